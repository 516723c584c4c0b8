import { expect, it } from 'vitest'
import { between, type Override } from './byhand'

const drain: Override = { server: 's1', state: 'drain', reason: 'disk', expiresAt: '2026-12-01T12:00:00Z' }
const all = (...list: Override[]) => new Map(list.map((o) => [o.server + (o.pool ?? ''), o]))

it('tells what others have done by hand between two looks, and nothing else', () => {
  expect(between(all(), all())).toEqual([])
  expect(between(all(drain), all({ ...drain }))).toEqual([])
  expect(between(all(), all(drain))).toEqual(['s1: drain (disk)'])
  expect(between(all(drain), all())).toEqual(['s1: no longer drain'])
  expect(between(all(drain), all({ ...drain, expiresAt: '2026-12-01T13:00:00Z' }))).toEqual(['s1: drain (disk)'])
  expect(between(all(drain), all(drain, { server: 's1', pool: 'api', weight: 0 }))).toEqual(['s1 in api: weight 0'])
})
