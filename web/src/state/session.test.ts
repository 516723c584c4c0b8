import { afterEach, expect, test, vi } from 'vitest'
import { who } from './session.svelte'

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
