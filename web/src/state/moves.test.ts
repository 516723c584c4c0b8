import { expect, it } from 'vitest'
import { fixedName, overrideOf, shiftOf } from './moves'

// The command line makes the same names; cmd/weir has its tests.
it('names what is done by hand as the command line does', async () => {
  expect(await fixedName('web-az1-1-in-api')).toBe('web-az1-1-in-api')
  expect(await fixedName('Web.Example')).toMatch(/^web-example-[0-9a-f]{8}$/)
  expect(await fixedName('a'.repeat(64))).toMatch(/^a{54}-[0-9a-f]{8}$/)
  expect(await fixedName('--')).toMatch(/^x-[0-9a-f]{8}$/)
})

it('makes overrides and shifts', async () => {
  const until = Date.parse('2026-12-01T12:00:00.900Z')
  expect(await overrideOf({ server: 's1', role: 'web', pool: 'api', state: 'drain', reason: 'disk', until })).toEqual({
    kind: 'Override', metadata: { name: 's1-in-api', role: 'web' }, spec: { server: 's1', pool: 'api', state: 'drain', reason: 'disk', expiresAt: '2026-12-01T12:00:00Z' },
  })
  expect((await overrideOf({ server: 's1', role: 'web', weight: 0, reason: 'x', until })).spec).toMatchObject({ weight: 0 })
  expect(await shiftOf({ sites: ['b', 'a'], zone: 'az1', reason: 'r', until }, 'web')).toMatchObject({ metadata: { name: 'a-and-b-out-of-az1', role: 'web' }, spec: { sites: ['a', 'b'], zone: 'az1' } })
  expect(await shiftOf({ all: true, zone: 'az1', reason: 'r', until }, '')).toMatchObject({ metadata: { name: 'all-sites-out-of-az1' }, spec: { all: true } })
})
