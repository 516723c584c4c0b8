import { expect, it } from 'vitest'
import { connected, health, short } from './graph'

const chain = [{ from: 'a', to: 'b' }, { from: 'b', to: 'c' }, { from: 'd', to: 'c' }, { from: 'b', to: 'gone' }]

it('follows a path both ways, and no further', () => {
  expect([...connected(chain, 'b')].sort()).toEqual(['a', 'b', 'c', 'gone'])
  expect([...connected(chain, 'c')].sort()).toEqual(['a', 'b', 'c', 'd'])
  expect([...connected(chain, 'a', 'd')].sort()).toEqual(['a', 'b', 'c', 'd', 'gone'])
  expect([...connected([{ from: 'a', to: 'b' }, { from: 'b', to: 'a' }], 'a')].sort()).toEqual(['a', 'b'])
})

it('cuts texts in the middle, as little as they need', () => {
  expect(short('short', () => true)).toBe('short')
  expect(short('a-very-long-name-of-a-pool-az1', (t) => t.length <= 20)).toBe('a-very-lon…-pool-az1')
  expect(short('wide', () => false)).toBe('…')
})

it('shows errors on the way to what serves', () => {
  const pool = { id: 'Pool/a', kind: 'Pool', name: 'a' }
  const edge = { from: 'Site/a', to: 'Pool/a' }
  expect(health(edge, { ...pool, state: 'serving' })).toBe('serving')
  expect(health({ ...edge, errorRatio: 0.02 }, { ...pool, state: 'serving' })).toBe('down')
  expect(health(edge, { ...pool, state: 'degraded' })).toBe('degraded')
  expect(health({ ...edge, errorRatio: null }, { ...pool, state: 'down' })).toBe('down')
})
