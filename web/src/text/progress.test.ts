import { expect, test } from 'vitest'
import { squaresOf } from './progress'

const fleet = ['a', 'b', 'c'].map((name) => ({ name, zone: 'az1', group: 'edge', state: 'Active' })).concat({ name: 'd', zone: 'az1', group: 'edge', state: 'Drain' }, { name: 'e', zone: 'az1', group: 'other', state: 'Active' })
const states = (g: object) => squaresOf({ revision: 1, programmed: false, done: false, groups: [{ name: 'edge', ready: 0, of: 3, ...g }] }, fleet).map((s) => s.name + ' ' + s.state)

test('a square a load balancer that the change concerns', () => {
  expect(states({ ready: 2, laggards: ['b'] })).toEqual(['a done', 'b pending', 'c done'])
  expect(states({ ready: 3 })).toEqual(['a done', 'b done', 'c done'])
  expect(states({ ready: 0 })).toEqual(['a pending', 'b pending', 'c pending'])
  expect(states({ ready: 1, laggards: ['a', 'b'], halted: true })).toEqual(['a refused', 'b refused', 'c done'])
})
