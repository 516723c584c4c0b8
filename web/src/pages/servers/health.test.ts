import { expect, it } from 'vitest'
import { rising, seenAs, spanOf, stateOf, stateOfAll, type View } from './health'

const view = (state: View['state'], since?: string): View => ({ loadBalancer: 'lb', state, since })

it('says how a server stands', () => {
  expect(['up', 'no check', 'down', 'starting', 'maint', 'drain'].map((s) => stateOf(s as View['state']))).toEqual(['serving', 'serving', 'down', 'unknown', 'degraded', 'degraded'])
  expect(stateOfAll({ server: 's', up: 2, of: 2, views: [] })).toBe('serving')
  expect(stateOfAll({ server: 's', up: 1, of: 2, views: [view('up'), view('down')] })).toBe('degraded')
  expect(stateOfAll({ server: 's', up: 0, of: 2, views: [view('maint'), view('down')] })).toBe('down')
  expect((['maint', 'drain', 'up'] as const).map(seenAs)).toEqual(['in maintenance', 'draining', 'up'])
  expect(stateOfAll({ server: 's', up: 0, of: 1, views: [view('drain')] })).toBe('degraded')
  expect(stateOfAll({ server: 's', up: 0, of: 1, views: [view('starting')] })).toBe('unknown')
})

it('knows how far a slow start is', () => {
  expect(['500ms', '30s', '1m30s', '', undefined].map(spanOf)).toEqual([500, 30_000, 90_000, 0, 0])
  const now = Date.parse('2026-11-22T12:00:30Z')
  expect(rising(view('up', '2026-11-22T12:00:15Z'), '30s', now)).toBe(0.5)
  expect(rising(view('up', '2026-11-22T11:00:00Z'), '30s', now)).toBe(1)
  expect(rising(view('down', '2026-11-22T12:00:15Z'), '30s', now)).toBe(1)
  expect(rising(view('up', '2026-11-22T12:00:15Z'), undefined, now)).toBe(1)
})
