import { expect, test } from 'vitest'
import { numberOf, put, valueAt } from './path'

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
