import { expect, it } from 'vitest'
import type { Fleet, LoadBalancer } from '../../api/fleet'
import type { Condition, Obj } from '../../api/types'
import { squares, standing } from './standing'

const is = (type: string, status: Condition['status'], more: Partial<Condition> = {}): Condition => ({ type, status, message: `${type} ${status}`, ...more })
const fine = [is('Accepted', 'True'), is('Programmed', 'True', { ready: 2, of: 2 }), is('Serving', 'True', { reason: 'Up', ready: 2, of: 2 })]

it('sums conditions up, the worst first', () => {
  expect(standing(fine)).toEqual({ state: 'serving', why: '' })
  expect(standing([...fine.slice(0, 2), is('Serving', 'False')])).toEqual({ state: 'down', why: 'Serving False' })
  expect(standing([...fine.slice(0, 2), is('Serving', 'True', { reason: 'Up', ready: 1, of: 2 })]).state).toBe('degraded')
  expect(standing([...fine, is('Quarantined', 'True')])).toEqual({ state: 'degraded', why: 'Quarantined True' })
  expect(standing([...fine, is('Drifted', 'False')]).state).toBe('serving')
  // What is only on its way is told after what is wrong.
  expect(standing([is('Programmed', 'False', { reason: 'Pending' }), is('Certified', 'False')]).why).toBe('Certified False')
  expect(standing([is('Programmed', 'Unknown')]).state).toBe('unknown')
  expect(standing([is('Programmed', 'Unknown', { reason: 'NotInUse' }), is('Serving', 'Unknown')])).toEqual({ state: 'unused', why: 'Programmed Unknown' })
  expect(standing([]).state).toBe('unknown')
})

const balancer = (name: string, more: Partial<LoadBalancer> = {}): LoadBalancer => ({
  name, zone: 'az1', state: 'Active', run: 'converged', ready: true, reachable: true, revision: 9, seen: 9, reloads: { count: 0 }, programmed: 1, pending: 0, quarantined: 0, ...more,
})
const fleet = (...groups: LoadBalancer[][]): Fleet => ({ version: 'dev', revision: 9, groups: groups.map((loadBalancers, i) => ({ name: `g${i}`, wanted: 9, ready: 0, of: loadBalancers.length, loadBalancers })) })
const pool = (of: number, ...groups: string[]): Obj => ({ kind: 'Pool', metadata: { name: 'web' }, spec: {}, revision: 9, status: { conditions: [is('Programmed', 'True', { ready: of, of, groups })] } })
const drawn = (o: Obj, f?: Fleet) => squares(o, f, 60_000).map((g) => `${g.group}: ${g.squares.map((s) => `${s.name} ${s.state}${s.note ? ' ' + s.note : ''}`).join(' | ')}`)

it('draws a square for each load balancer that an object concerns', () => {
  const late = balancer('b', { ready: false, revision: 8 })
  const refusing = balancer('c', { deviations: [{ object: 'Pool/web', state: 'quarantined', message: 'no', since: new Date(0).toISOString() }, { object: 'Pool/other', state: 'pending' }] })
  const silent = balancer('d', { reachable: false, lastSeen: new Date(0).toISOString() })
  expect(drawn(pool(4, 'g0'), fleet([balancer('a'), late, refusing, silent, balancer('e', { state: 'Maintenance' })]))).toEqual(['g0: a done | b pending | c refused no, since 1 min ago | d unreachable last heard 1 min ago'])
  // In several groups it stands in each, and in no other of the same size.
  const three = fleet([balancer('a')], [balancer('b')], [balancer('c')])
  expect(drawn(pool(1, 'g1'), three)).toEqual(['g1: b done'])
  expect(drawn(pool(2, 'g0', 'g2'), three)).toEqual(['g0: a done', 'g2: c done'])
  expect(drawn(pool(0), three)).toEqual([])
  expect(drawn(pool(1, 'g1'))).toEqual([])
  expect(drawn({ ...pool(1, 'g0'), kind: 'LoadBalancer', metadata: { name: 'b' } }, fleet([balancer('a'), balancer('b')]))).toEqual(['g0: b done'])
})
