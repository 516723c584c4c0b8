import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Obj } from '../api/types'

const kept = { draft: '' }
vi.mock('./router.svelte', () => ({ router: { get: () => kept.draft, set: (q: { draft: string }) => (kept.draft = q.draft) } }))
const { Draft } = await import('./draft.svelte')

const site = (name = ''): Obj => ({ kind: 'Site', metadata: { name }, spec: {} }) as Obj
let asked: { url: URL; body: string; aborted: () => boolean; answer: (status: number, value: unknown) => void }[] = []
beforeEach(() => {
  asked = []
  kept.draft = ''
  vi.useFakeTimers()
  vi.stubGlobal('fetch', (path: string, init: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError')))
      asked.push({ url: new URL(path, 'https://weir.example'), body: init.body as string, aborted: () => !!init.signal?.aborted, answer: (status, value) => resolve(new Response(JSON.stringify(value), { status })) })
    }))
})
afterEach(() => void vi.useRealTimers())
const settled = () => vi.advanceTimersByTimeAsync(400)

async function refused(d: InstanceType<typeof Draft>, status: number, problem: object) {
  d.follow()
  await settled()
  asked.at(-1)!.answer(status, problem)
  await settled()
}

it('is one thing in the form and as YAML', () => {
  const d = new Draft(site())
  d.set(d.main, 'metadata.name', 'www')
  d.set(d.main, 'spec.listeners[0].port', 443)
  expect(d.text).toBe('kind: Site\nmetadata:\n  name: www\nspec:\n  listeners:\n  - port: 443\n')
  d.write('kind: Pool\nmetadata: {name: web}\nspec: {}\n---\nkind: Site\nmetadata: {name: api}\n')
  expect(d.objects.map((o) => `${o.kind}/${o.metadata.name}`)).toEqual(['Site/api', 'Pool/web']) // its own comes first
  expect([d.main.spec, d.mistake]).toEqual([{}, ''])
  d.set(d.main, 'metadata.name', '')
  expect(d.main.metadata).toEqual({})
})

it('keeps the objects of before while YAML can not be taken over', () => {
  const d = new Draft(site('www'))
  for (const [text, says] of [['kind: [', /./], ['kind: Pool\nmetadata: {name: web}\n', /no object of kind Site/], ['', /./]] as const) {
    d.write(text)
    expect([d.text, d.main.metadata.name]).toEqual([text, 'www'])
    expect(d.mistake).toMatch(says)
  }
  d.write('kind: Site\nmetadata: nonsense\nspec: [1]\n')
  expect([d.mistake, d.main.metadata, d.main.spec]).toEqual(['', { name: '' }, {}])
  d.write('kind: [')
  d.set(d.main, 'metadata.name', 'new') // the form has the word again
  expect([d.mistake, d.typed, d.text.includes('name: new')]).toEqual(['', undefined, true])
})

it('asks for the plan of something that is new, and not before it has a name', async () => {
  const d = new Draft(site())
  d.follow()
  await settled()
  expect([asked.length, d.asking]).toEqual([0, false])
  d.set(d.main, 'metadata.name', 'www')
  const stop = d.follow()!
  d.objects.push({ kind: 'Pool', metadata: { name: 'web' }, spec: {} } as Obj)
  stop()
  d.follow()
  await settled()
  expect(asked.map((a) => [a.url.pathname, a.url.searchParams.getAll('new')])).toEqual([['/api/v1/plan', ['Site/www', 'Pool/web']]])
  expect([asked[0]!.body, kept.draft !== '']).toEqual([d.text, true])
  asked[0]!.answer(200, { change: 1 })
  await settled()
  expect([d.answer, d.asking]).toEqual([{ change: 1 }, false])
  d.write('kind: [')
  d.follow()
  await settled()
  expect([asked.length, d.answer, d.asking]).toEqual([1, undefined, false])
})

it('comes back from its address, and is not taken from that of another kind', async () => {
  const d = new Draft(site())
  d.set(d.main, 'metadata.name', 'www')
  d.follow()
  await settled()
  expect(new Draft(site()).main.metadata.name).toBe('www')
  expect(new Draft({ kind: 'Pool', metadata: { name: '' }, spec: {} } as Obj).main).toEqual({ kind: 'Pool', metadata: { name: '' }, spec: {} })
  kept.draft = 'nonsense'
  expect(new Draft(site()).main.metadata.name).toBe('')
})

it('tells what is wrong at fields that somebody has come to, and at all once it was tried', async () => {
  const d = new Draft(site('www'))
  d.touch(d.main, 'spec.hostnames')
  await refused(d, 400, { title: 'Invalid', errors: [
    { path: 'spec.hostnames[0]', message: 'is no host name', object: 'Site/www' },
    { path: 'spec.listeners', message: 'is needed', object: 'Site/www' },
    { path: 'spec.hostnamesMore', message: 'is another field', object: 'Site/www' },
    { path: 'spec.hostnames[0]', message: 'of another kind', object: 'Pool/web' },
  ] })
  expect(d.at(d.main, 'spec.hostnames')).toBe('')
  expect(d.at(d.main, 'spec.hostnames', true)).toBe('[0] is no host name')
  expect(d.at(d.main, 'spec.listeners')).toBe('')
  d.tried = true
  expect([d.at(d.main, 'spec.listeners'), d.at(d.main, 'spec.hostnames[0]'), d.problems.length]).toEqual(['is needed', 'is no host name', 4])
})

it('tells which of several objects of a kind is meant', async () => {
  const d = new Draft(site('www'))
  d.tried = true
  d.objects.push({ kind: 'Pool', metadata: { name: 'a' }, spec: {} } as Obj, { kind: 'Pool', metadata: { name: 'b' }, spec: {} } as Obj)
  await refused(d, 400, { errors: [{ path: 'spec.port', message: 'is needed', object: 'Pool/b' }] })
  expect([d.at(d.objects[1]!, 'spec.port'), d.at(d.objects[2]!, 'spec.port')]).toEqual(['', 'is needed'])
})

it('says at the name that it is taken', async () => {
  const d = new Draft(site('www'))
  await refused(d, 412, { detail: 'Site/www exists already: choose another name' })
  expect([d.taken, d.at(d.main, 'metadata.name')]).toEqual(['Site/www', 'there is a Site of this name already'])
  d.set(d.main, 'metadata.name', 'api')
  expect(d.at(d.main, 'metadata.name')).toBe('')
})

it('writes all of it as new, once, and keeps what was typed when it is refused', async () => {
  const d = new Draft(site('www'))
  d.follow()
  await settled()
  const saving = d.save('for the launch')
  expect([asked[0]!.aborted(), d.busy, await d.save('again')]).toEqual([true, true, 0])
  expect(d.follow()).toBeUndefined()
  expect([asked[1]!.url.pathname, asked[1]!.url.searchParams.get('reason'), asked[1]!.url.searchParams.getAll('new')]).toEqual(['/api/v1/apply', 'for the launch', ['Site/www']])
  asked[1]!.answer(403, { title: 'Forbidden', detail: 'not yours' })
  expect([await saving, d.busy, d.tried, d.problem?.message, d.main.metadata.name]).toEqual([0, false, true, 'not yours', 'www'])
  const again = d.save('')
  asked[2]!.answer(200, { revision: 42 })
  expect([await again, d.busy]).toEqual([42, false])
  d.write('kind: [')
  expect([await d.save(''), asked.length]).toEqual([0, 3])
})
