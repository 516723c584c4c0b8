import { expect, test } from 'vitest'
import { keysOf, numberOf, pathOf, put, replaced, valueAt } from './path'

test('values are found by the paths of the API', () => {
  const o = { spec: { members: [{ port: 80 }, { port: 81 }], port: 'http' } }
  expect(valueAt(o, 'spec.members[1].port')).toBe(81)
  expect(valueAt(o, 'spec.port')).toBe('http')
  expect(valueAt(o, 'spec.port.of.nothing')).toBeUndefined()
  expect(valueAt(undefined, 'spec')).toBeUndefined()
})

test('put makes what is missing, and takes out what is nothing', () => {
  const o: Record<string, unknown> = { spec: 'not an object' }
  put(o, 'spec.healthCheck.path', '/ping')
  put(o, 'spec.members[0].name', 'a')
  expect(o).toEqual({ spec: { healthCheck: { path: '/ping' }, members: [{ name: 'a' }] } })
  put(o, 'spec.healthCheck.path', '')
  put(o, 'spec.tls.sni', '')
  expect(o).toEqual({ spec: { healthCheck: {}, members: [{ name: 'a' }] } })
})

test('what is no number stays as it was typed', () => {
  expect(numberOf(' 8080 ')).toBe(8080)
  expect(numberOf('80a')).toBe('80a')
  expect(numberOf('')).toBe('')
})

test('paths are written as the API does', () => {
  for (const text of ['spec', 'spec.members[0].address', 'spec.listeners[12].tls.certificates[3]']) expect(pathOf(keysOf(text))).toBe(text)
})

test('replaced copies the way to what changes, and nothing else', () => {
  const o = { spec: { members: [{ name: 'a' }, { name: 'b' }], port: 80 }, metadata: { name: 'x' } }
  expect(valueAt(o, ['spec', 'members', 1, 'name'])).toBe('b')
  const changed = replaced(o, ['spec', 'members', 1, 'name'], 'c')
  expect(changed.spec.members).toEqual([{ name: 'a' }, { name: 'c' }])
  expect(o.spec.members[1]).toEqual({ name: 'b' })
  expect(changed.metadata).toBe(o.metadata)
  expect(replaced(o, ['spec', 'members', 0], undefined).spec.members).toEqual([{ name: 'b' }])
  expect('port' in replaced(o, ['spec', 'port'], undefined).spec).toBe(false)
  expect(replaced({}, ['spec', 'check', 'path'], '/')).toEqual({ spec: { check: { path: '/' } } })
  expect(replaced({}, ['list', 0], 'a')).toEqual({ list: ['a'] })
})

test('fields keep their order, and empty is not unset', () => {
  const o = { b: 1, a: { y: 1, x: 2 }, c: 3 }
  expect(JSON.stringify(replaced(o, ['a', 'y'], 5))).toBe('{"b":1,"a":{"y":5,"x":2},"c":3}')
  expect(JSON.stringify(replaced(o, ['a', 'z'], ''))).toBe('{"b":1,"a":{"y":1,"x":2,"z":""},"c":3}')
  for (const empty of ['', 0, false, null, []]) expect(replaced(o, ['b'], empty).b).toEqual(empty)
  expect(replaced({ list: ['a'] }, ['list', 0], undefined)).toEqual({ list: [] })
})

test('what all objects inherit is nobody\'s field', () => {
  expect(valueAt({ labels: {} }, ['labels', 'constructor'])).toBeUndefined()
  const o = replaced(replaced({ labels: {} }, ['labels', '__proto__'], 'a'), ['labels', 'constructor'], 'b')
  expect(JSON.stringify(o)).toBe('{"labels":{"__proto__":"a","constructor":"b"}}')
  expect(JSON.stringify(replaced(o, ['labels', '__proto__'], undefined))).toBe('{"labels":{"constructor":"b"}}')
})
