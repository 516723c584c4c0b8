import { expect, it } from 'vitest'
import type { Group, LoadBalancer } from '../api/fleet'
import { squareOf, standing } from './fleet'

const now = Date.parse('2026-11-22T12:00:00Z')
const lb: LoadBalancer = { name: 'lb1', zone: 'az1', state: 'Active', run: 'converged', ready: true, reachable: true, revision: 7, seen: 7, lastSeen: '2026-11-22T11:59:48Z', reloads: { count: 0 }, programmed: 3, pending: 0, quarantined: 0 }
const group: Group = { name: 'edge', wanted: 7, ready: 1, of: 1, loadBalancers: [] }

it.each<[string, Partial<LoadBalancer>, string, string, string]>([
  ['all is well', {}, 'done', 'serving', ''],
  ['behind', { ready: false, revision: 6 }, 'pending', 'degraded', 'It applies revision 7 and has read back 6.'],
  ['silent', { reachable: false }, 'unreachable', 'unknown', 'Its agent has not been heard for 12 s; what it has goes on serving (revision 7).'],
  ['never heard', { run: 'unknown', reachable: false }, 'unreachable', 'unknown', 'Its agent was never heard.'],
  ['failed', { run: 'failed', message: 'no such program' }, 'refused', 'down', 'no such program'],
  ['quarantine', { quarantined: 1 }, 'refused', 'degraded', 'HAProxy refuses 1 part; the last good form stays.'],
  ['drift', { drift: {} }, 'done', 'degraded', 'Other hands changed it.'],
  ['drain', { state: 'Drain' }, 'done', 'degraded', 'It drains: it should get no new traffic.'],
])('%s', (_, what, square, state, why) => {
  expect(squareOf({ ...lb, ...what }, group, now).state).toBe(square)
  expect(standing({ ...lb, ...what }, group, now)).toEqual({ state, why })
})
