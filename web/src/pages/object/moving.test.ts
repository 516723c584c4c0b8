import { expect, test } from 'vitest'
import { moveOf } from './moving'

const site = (backends: unknown) => moveOf({ kind: 'Site', metadata: { name: 'www' }, spec: { backends } })

test('a server is moved beside what its checks say', () => {
  expect(moveOf({ kind: 'Server', metadata: { name: 'web-1' }, spec: {} })).toEqual({ title: 'Drain, weight…', href: '/servers/web-1/health' })
})

test('a site is moved when it has pools in several zones', () => {
  expect(site({ api: 'api', default: { az1: 'a', az2: 'b' } })?.href).toBe('/failover?q=www')
  expect(site({ default: { az1: 'a' } })).toBeUndefined()
  expect(site({ default: 'web' })).toBeUndefined()
  expect(site(undefined)).toBeUndefined()
  expect(moveOf({ kind: 'Pool', metadata: { name: 'web' }, spec: {} })).toBeUndefined()
})
