import { expect, it } from 'vitest'
import { onto, same } from './value'

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
