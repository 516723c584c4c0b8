import { expect, it } from 'vitest'
import { partName, whoseOf } from './matrix'

it('tells the parts of a site apart, no further than needed', () => {
  const names = (...all: [string, string][]) => all.map(([backend, group], _, list) => partName({ backend, group }, list.map(([b, g]) => ({ backend: b, group: g }))))
  expect(names(['default', 'edge'])).toEqual([''])
  expect(names(['default', 'edge'], ['api', 'edge'])).toEqual(['default', 'api'])
  expect(names(['default', 'edge'], ['default', 'internal'])).toEqual(['edge', 'internal'])
  expect(names(['default', 'edge'], ['api', 'internal'])).toEqual(['default on edge', 'api on internal'])
})

it('says whose traffic a shift moves', () => {
  const shifts = [{ sites: ['a', 'b'] }, { sites: ['a', 'b', 'c', 'd', 'e'] }, { ofRole: 'web' }, { all: true }, { all: true, role: 'web' }]
  expect(shifts.map((s) => whoseOf({ zone: 'az1', ...s }))).toEqual(['a, b', 'a, b, c and 2 more', 'all sites of role web', 'all sites', 'all sites of role web'])
})
