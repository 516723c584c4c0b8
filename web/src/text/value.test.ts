import { expect, it } from 'vitest'
import { at, onto, path, put, same } from './value'

it('writes paths as the API does', () => {
  expect(path(['spec', 'members', 0, 'address'])).toBe('spec.members[0].address')
  expect(path(['spec'])).toBe('spec')
})

it('finds and replaces without touching the rest', () => {
  const o = { spec: { members: [{ name: 'a' }, { name: 'b' }], port: 80 }, metadata: { name: 'x' } }
  expect(at(o, ['spec', 'members', 1, 'name'])).toBe('b')
  expect(at(o, ['spec', 'port', 'more'])).toBeUndefined()
  const changed = put(o, ['spec', 'members', 1, 'name'], 'c')
  expect(changed.spec.members).toEqual([{ name: 'a' }, { name: 'c' }])
  expect(o.spec.members[1]).toEqual({ name: 'b' })
  expect(changed.metadata).toBe(o.metadata)
  expect(put(o, ['spec', 'members', 0], undefined).spec.members).toEqual([{ name: 'b' }])
  expect('port' in put(o, ['spec', 'port'], undefined).spec).toBe(false)
  expect(put({}, ['spec', 'check', 'path'], '/')).toEqual({ spec: { check: { path: '/' } } })
  expect(put({}, ['list', 0], 'a')).toEqual({ list: ['a'] })
})

it('tells what is the same', () => {
  expect(same({ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 })).toBe(true)
  expect(same({ a: undefined }, {})).toBe(false)
  expect(same([1], { 0: 1 })).toBe(false)
  expect(same([1, 2], [2, 1])).toBe(false)
})

it('brings changes onto what somebody else wrote', () => {
  const base = { balance: 'a', port: 80, check: { path: '/', rise: 1 }, list: [1] }
  expect(onto(base, { ...base, port: 81 }, { ...base, balance: 'b' })).toEqual({ value: { balance: 'b', port: 81, check: { path: '/', rise: 1 }, list: [1] }, both: [] })
  expect(onto(base, { ...base, check: { path: '/x', rise: 1 } }, { ...base, check: { path: '/', rise: 2 } }).value).toEqual({ ...base, check: { path: '/x', rise: 2 } })
  expect(onto(base, { ...base, check: { path: '/x', rise: 1 } }, { ...base, check: { path: '/y', rise: 1 } })).toEqual({ value: { ...base, check: { path: '/x', rise: 1 } }, both: ['check.path'] })
  const { port: _, ...without } = base
  expect(onto(base, without, { ...base, list: [1, 2] }).value).toEqual({ ...without, list: [1, 2] })
  expect(onto(base, { ...base, list: [2] }, { ...base, list: [3] }).both).toEqual(['list'])
  expect(onto(base, { ...base, port: 81 }, without)).toEqual({ value: { ...without, port: 81 }, both: ['port'] })
})
