import { expect, test } from 'vitest'
import type { Obj } from '../api/types'
import { packed, unpacked } from './pack'

const pool: Obj = { kind: 'Pool', metadata: { name: 'wéb–1', role: 'web' }, spec: { port: 'http', members: [{ name: 'a' }] } }

test('what is packed can stand in an address and comes back', () => {
  const text = packed([pool])
  expect(text).toMatch(/^[A-Za-z0-9_-]+$/)
  expect(unpacked(text)).toEqual([pool])
})

test('nothing long and nothing secret stands in an address', () => {
  expect(packed([{ ...pool, spec: { x: 'y'.repeat(3000) } }])).toBe('')
  expect(packed([pool, { kind: 'Certificate', metadata: { name: 'c' }, spec: { key: 'PEM' } }])).toBe('')
  expect(packed([{ kind: 'Secret', metadata: { name: 's' }, spec: { data: 'x' } }])).toBe('')
})

test('addresses that somebody else wrote do no harm', () => {
  for (const bad of ['', '%%%', 'bnVsbA', btoa('[]'), btoa('[null]'), btoa('[{"kind":"Pool"}]'), btoa('[{"kind":"Pool","metadata":{"name":"x"},"spec":{"key":"k"}}]'), 'A'.repeat(5000)]) expect(unpacked(bad)).toBeUndefined()
})
