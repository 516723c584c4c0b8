import { afterEach, expect, test, vi } from 'vitest'
import { ask } from '../api/client'
import { whenOther, who } from './session.svelte'

afterEach(() => vi.unstubAllGlobals())

test('nobody is shown pages before it is known which kinds there are', async () => {
  let well = false
  vi.stubGlobal('fetch', (path: string) => {
    const answer = (status: number, body: unknown) => Promise.resolve(new Response(JSON.stringify(body), { status, headers: { 'Content-Type': 'application/json' } }))
    if (path.startsWith('/api/v1/session')) return answer(200, { signedIn: true, me: { subject: 'olga', grants: [] } })
    return well ? answer(200, { kinds: [{ name: 'Site', plural: 'sites' }] }) : answer(503, { title: 'Service Unavailable' })
  })
  await expect(who.load()).rejects.toThrow()
  expect(who.session).toBeUndefined()
  well = true
  await who.load()
  expect(who.session?.signedIn).toBe(true)
  expect(who.kind('sites')?.name).toBe('Site')
})

test('who only reads awaits the person who comes back, who writes is told', async () => {
  let subject = 'olga'
  let signedIn = true
  const forget = vi.fn()
  whenOther(forget)
  const heard: string[] = []
  vi.stubGlobal('fetch', (path: string, { method }: RequestInit) => {
    const answer = (status: number, body: unknown) => Promise.resolve(new Response(JSON.stringify(body), { status }))
    if (path.startsWith('/api/v1/session')) return answer(200, { signedIn, me: signedIn ? { subject, grants: [] } : undefined })
    if (path.startsWith('/api/v1/kinds')) return answer(200, { kinds: [] })
    heard.push(method + ' ' + path)
    return signedIn ? answer(200, { of: subject }) : answer(401, { title: 'Unauthorized' })
  })
  await who.load()
  const persons = who.persons
  signedIn = false
  const read = ask<{ of: string }>('/api/v1/sites')
  await expect(ask('/api/v1/sites/www', { method: 'DELETE' })).rejects.toMatchObject({ problem: { status: 401 } })
  expect([who.expired, who.me?.subject]).toEqual([true, 'olga'])
  signedIn = true
  await who.load()
  expect([(await read).value.of, who.expired, who.persons, forget.mock.calls.length]).toEqual(['olga', false, persons, 0])
  expect(heard).toEqual(['GET /api/v1/sites', 'DELETE /api/v1/sites/www', 'GET /api/v1/sites'])

  signedIn = false
  const theirs = ask<{ of: string }>('/api/v1/sites')
  await vi.waitFor(() => expect(who.expired).toBe(true))
  signedIn = true
  subject = 'simon'
  await who.load()
  expect([(await theirs).value.of, who.persons, forget.mock.calls.length]).toEqual(['simon', persons + 1, 1])
})

test('rights that are given and taken meanwhile are known', async () => {
  let grants = [{ role: 'web', right: 'viewer' }]
  let signedIn = true
  let asked = 0
  vi.stubGlobal('fetch', (path: string) => {
    const answer = (status: number, body: unknown) => Promise.resolve(new Response(JSON.stringify(body), { status }))
    if (!path.startsWith('/api/v1/session')) return answer(403, { title: 'Forbidden' })
    asked++
    return answer(200, signedIn ? { signedIn, me: { subject: 'vera', grants }, providers: [] } : { signedIn, providers: [] })
  })
  await who.load()
  expect(who.holds('operator', 'web')).toBe(false)
  const session = who.session
  await who.renew()
  expect(who.session).toBe(session) // nothing is drawn again for the same
  grants = [{ role: 'web', right: 'operator' }]
  await who.renew()
  expect(who.holds('operator', 'web')).toBe(true)

  // What is refused may be so since a moment ago; many refusals ask once.
  grants = []
  asked = 0
  await Promise.allSettled([ask('/api/v1/sites/www', { method: 'DELETE' }), ask('/api/v1/sites/www', { method: 'DELETE' })])
  await vi.waitFor(() => expect(who.holds('viewer', 'web')).toBe(false))
  expect(asked).toBe(1)

  signedIn = false
  const persons = who.persons
  await who.renew()
  expect([who.expired, who.me?.subject, who.persons]).toEqual([true, 'vera', persons])
  asked = 0
  await who.renew() // whoever is to come back is looked for elsewhere
  expect(asked).toBe(0)
})
