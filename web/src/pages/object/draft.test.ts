import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import type { Kind, Obj } from '../../api/types'

vi.stubGlobal('window', globalThis)
vi.stubGlobal('addEventListener', () => {})
let anotherComes = () => {}
vi.mock('../../state/session.svelte', () => ({ whenOther: (forget: () => void) => (anotherComes = forget), who: { refused: (kind: string) => (kind === 'Zone' ? 'Only admins may write zones.' : '') } }))
const { Draft, draftOf, dropNew, newDraftOf, unsaved } = await import('./draft.svelte')

const kind = { name: 'Pool', plural: 'pools' } as Kind
const pool = (revision: number, spec: object = { balance: 'leastconn', members: [{ name: 'a', port: 80 }] }, name = 'web'): Obj => ({ kind: 'Pool', metadata: { name, role: 'web' }, spec: spec as Obj['spec'], revision, status: { conditions: [] } }) as Obj
const edit = (revision = 7) => new Draft(kind, pool(revision), pool(revision))

// The API: what is asked of it waits until the test answers.
interface Asked {
  method: string
  path: string
  headers: Record<string, string>
  body?: { spec: Record<string, unknown> }
  answer: (status: number, value: unknown, revision?: number) => void
}
let asked: Asked[] = []
beforeEach(() => {
  asked = []
  vi.useFakeTimers()
  vi.stubGlobal('fetch', (path: string, init: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      init.signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError')))
      asked.push({
        method: init.method!, path, headers: init.headers as Record<string, string>, body: init.body ? JSON.parse(init.body as string) : undefined,
        answer: (status, value, revision = 0) => resolve(new Response(typeof value === 'string' ? value : JSON.stringify(value), { status, headers: { 'Weir-Revision': String(revision) } })),
      })
    }))
})
afterEach(() => void vi.useRealTimers())
const settled = () => vi.advanceTimersByTimeAsync(400)

it('is dirty while it says something else, however that was written', () => {
  const d = edit()
  expect(d.dirty).toBe(false)
  d.set(['spec', 'balance'], 'random')
  expect(d.dirty).toBe(true)
  d.set(['spec', 'balance'], 'leastconn')
  expect(d.dirty).toBe(false)
  // Another order of keys, comments and quotes are nothing else; a number as text is, and so is an empty list for none.
  d.type('# mine\nspec:\n  members: [{port: 80, name: "a"}]\n  balance: leastconn\nmetadata: {role: web, name: web}\nkind: Pool\n')
  expect([d.dirty, d.unread]).toEqual([false, ''])
  d.set(['spec', 'members', 0, 'port'], '80')
  expect(d.dirty).toBe(true)
  d.forget()
  d.set(['spec', 'selector'], [])
  expect(d.dirty).toBe(true)
  d.set(['spec', 'selector'], undefined)
  expect(d.dirty).toBe(false)
  expect(new Draft(kind, undefined, pool(0)).dirty).toBe(true)
})

it('shows the form and the YAML of one draft', () => {
  const d = edit()
  d.set(['spec', 'members', 1], { name: 'b' })
  expect(d.text).toContain('name: b')
  expect(d.text).not.toContain('status')
  d.type(d.text.replace('name: b', 'name: c'))
  expect(d.at(['spec', 'members', 1, 'name'])).toBe('c')
  d.set(['spec', 'members', 0], undefined)
  expect(d.at(['spec', 'members'])).toEqual([{ name: 'c' }])
})

it('keeps text that can not be read, and the last object that could', () => {
  const d = edit()
  for (const text of ['spec: [', 'a: 1\n---\nb: 2\n', '']) {
    d.type(text)
    expect([d.text, d.unread !== '', d.dirty, d.at(['spec', 'balance'])]).toEqual([text, true, true, 'leastconn'])
  }
  d.set(['spec', 'balance'], 'random') // the form has the word again
  expect([d.unread, d.text.includes('random')]).toEqual(['', true])
})

it('asks once for what stands there after a pause, and takes no older answer', async () => {
  const d = edit()
  d.set(['spec', 'balance'], 'source')
  d.set(['spec', 'balance'], 'random')
  expect([asked.length, d.asking]).toEqual([0, true])
  await settled()
  expect(asked.map((a) => [a.method, a.path, a.body!.spec.balance])).toEqual([['POST', '/api/v1/plan', 'random']])
  d.set(['spec', 'balance'], 'uri')
  await settled()
  asked[0]!.answer(200, { of: 'random' })
  await settled()
  expect([d.answer, d.asking]).toEqual([undefined, true])
  asked[1]!.answer(200, { of: 'uri' })
  await settled()
  expect([d.answer, d.asking]).toEqual([{ of: 'uri' }, false])
  d.forget()
  expect([d.answer, d.asking]).toEqual([undefined, false])
})

it('asks nothing of what is unchanged, unread, without a name, or not for this person to write', async () => {
  edit().set(['spec', 'balance'], 'leastconn')
  edit().type('spec: [')
  edit().set(['metadata', 'name'], '')
  new Draft({ name: 'Zone', plural: 'zones' } as Kind, undefined, { kind: 'Zone', metadata: { name: 'az1' }, spec: {} }).set(['spec', 'capacity'], 5)
  await settled()
  expect(asked).toEqual([])
})

it('tells what is wrong at its field, and of this object alone', async () => {
  const d = edit()
  d.set(['spec', 'members', 0, 'port'], 'x')
  await settled()
  asked[0]!.answer(400, { title: 'Invalid', detail: 'it breaks rules', errors: [
    { path: 'spec.members[0].port', message: 'is no port', object: 'Pool/web' }, { path: 'spec.members[0].port', message: 'nor a name' },
    { path: 'spec.members[0].port', message: 'not mine', object: 'Pool/api' }, { path: '', message: 'of the whole', object: 'Pool/web' },
  ] })
  await settled()
  expect(d.problemAt(['spec', 'members', 0, 'port'])).toBe('is no port; nor a name')
  expect([d.problemAt(['spec', 'members', 1, 'port']), d.problemAt(['spec', 'members', 0])]).toEqual(['', ''])
  expect([d.answer, d.asking, d.problem?.status]).toEqual([undefined, false, 400])
  d.set(['spec', 'members', 0, 'port'], 81)
  await settled()
  asked[1]!.answer(200, {})
  await settled()
  expect(d.problem).toBeUndefined()
})

it('writes what it began with or nothing, and keeps all that was typed when it is refused', async () => {
  const d = edit(7)
  d.reason = ' more room '
  d.set(['spec', 'balance'], 'random')
  const saving = d.save()
  expect(await d.save()).toBe(false) // one at a time
  expect(asked.map((a) => [a.method, a.path, a.headers['If-Match']])).toEqual([['PUT', '/api/v1/pools/web?reason=more+room', '"7"']])
  asked[0]!.answer(500, 'no JSON')
  expect(await saving).toBe(false)
  expect([d.at(['spec', 'balance']), d.reason, d.saving, d.dirty, d.problem?.status]).toEqual(['random', ' more room ', false, true, 500])
  const again = d.save()
  asked[1]!.answer(200, pool(9, { balance: 'random', members: [] }), 9)
  expect(await again).toBe(true)
  expect([d.dirty, d.reason, d.saved?.revision, d.problem, d.base?.revision]).toEqual([false, '', 9, undefined, 9])
  const fresh = new Draft(kind, undefined, pool(0))
  void fresh.save()
  expect([asked[2]!.headers['If-None-Match'], asked[2]!.headers['If-Match']]).toEqual(['*', undefined])
})

it('shows what somebody else wrote, and goes on from there with what was typed on top', async () => {
  const d = edit(7)
  d.set(['spec', 'balance'], 'random')
  const saving = d.save()
  asked[0]!.answer(412, { title: 'Stale', detail: 'it was changed meanwhile' })
  await vi.advanceTimersByTimeAsync(0)
  asked[1]!.answer(200, pool(8, { balance: 'leastconn', port: 'http', members: [{ name: 'a', port: 80 }] }))
  expect(await saving).toBe(false)
  expect([d.theirs?.revision, d.merged.both]).toEqual([8, []])
  d.over()
  expect([d.base?.revision, d.theirs, d.value.spec]).toEqual([8, undefined, { balance: 'random', port: 'http', members: [{ name: 'a', port: 80 }] }])
})

it('makes anew what is gone when the person wants that', async () => {
  const d = edit(7)
  d.set(['spec', 'balance'], 'random')
  const saving = d.save()
  asked[0]!.answer(412, { title: 'Stale', detail: 'it was deleted meanwhile' })
  await vi.advanceTimersByTimeAsync(0)
  asked[1]!.answer(404, { title: 'Not found', detail: 'there is no Pool/web' })
  expect(await saving).toBe(false)
  void d.save()
  expect(asked[2]!.headers['If-None-Match']).toBe('*')
})

it('is the same draft when one looks elsewhere and comes back, brought up to date where nothing was typed', () => {
  const first = draftOf(kind, pool(1, { balance: 'source' }, 'kept'))
  expect(draftOf(kind, pool(2, { balance: 'uri' }, 'kept'))).toBe(first)
  expect([first.at(['spec', 'balance']), unsaved()]).toEqual(['uri', false])
  first.set(['spec', 'balance'], 'random')
  expect(unsaved()).toBe(true)
  draftOf(kind, pool(3, { balance: 'uri' }, 'kept')) // the status alone: nobody wrote
  expect(first.theirs).toBeUndefined()
  draftOf(kind, pool(4, { balance: 'source' }, 'kept'))
  expect([first.theirs?.revision, first.at(['spec', 'balance']), first.merged.both]).toEqual([4, 'random', ['spec.balance']])
  first.forget(first.theirs)
  expect([first.at(['spec', 'balance']), first.dirty]).toEqual(['source', false])
})

it('outlives what it is of, and is made anew only on purpose', async () => {
  const d = edit()
  d.set(['spec', 'balance'], 'random')
  d.gone()
  expect([d.dirty, d.at(['spec', 'balance'])]).toEqual([true, 'random'])
  const saving = d.save()
  await settled()
  expect(asked.at(-1)).toMatchObject({ method: 'PUT', headers: { 'If-None-Match': '*' } })
  asked.at(-1)!.answer(200, pool(9, { balance: 'random' }), 9)
  expect(await saving).toBe(true)
  expect(d.dirty).toBe(false)
})

it('shows nobody what another person typed', () => {
  draftOf(kind, pool(7, undefined, 'theirs')).set(['spec', 'balance'], 'random')
  expect(draftOf(kind, pool(7, undefined, 'theirs')).dirty).toBe(true)
  anotherComes()
  expect([unsaved(), draftOf(kind, pool(7, undefined, 'theirs')).dirty]).toEqual([false, false])
})

it('keeps a new object that was begun, wherever the person looks in between', async () => {
  const first = () => pool(0, {}, '')
  const d = newDraftOf(kind, '', first)
  expect(unsaved()).toBe(false)
  expect(newDraftOf(kind, '', first)).not.toBe(d) // nothing was typed
  const mine = newDraftOf(kind, '', first)
  mine.set(['metadata', 'name'], 'api')
  expect([newDraftOf(kind, '', first), newDraftOf(kind, 'api', first), unsaved()]).toEqual([mine, mine, true])
  expect(newDraftOf({ ...kind, name: 'Site' }, '', first)).not.toBe(mine)
  await settled()
  const saving = mine.save()
  asked.at(-1)!.answer(200, pool(8, {}, 'api'), 8)
  expect([await saving, unsaved()]).toEqual([true, false])
  expect(newDraftOf(kind, '', first)).not.toBe(mine) // it is made

  const other = newDraftOf(kind, '', first)
  other.set(['metadata', 'name'], 'b')
  dropNew(kind)
  expect([unsaved(), newDraftOf(kind, '', first) === other]).toEqual([false, false])
})

it('takes what it finds as saved when that is what was typed, and nothing older for what somebody else wrote', async () => {
  const d = draftOf(kind, pool(7, { balance: 'uri' }, 'lost'))
  d.set(['spec', 'balance'], 'random')
  const saving = d.save()
  asked.at(-1)!.answer(503, 'gone')
  expect(await saving).toBe(false)
  draftOf(kind, pool(8, { balance: 'random' }, 'lost')) // its answer was lost
  expect([d.dirty, d.theirs, d.base?.revision, d.problem, d.saved?.revision]).toEqual([false, undefined, 8, undefined, 8])

  d.set(['spec', 'balance'], 'source')
  const again = d.save()
  asked.at(-1)!.answer(412, { title: 'Stale', detail: 'it is another one' })
  await vi.advanceTimersByTimeAsync(0)
  asked.at(-1)!.answer(200, pool(7, { balance: 'uri' }, 'lost')) // of one that is behind
  expect(await again).toBe(false)
  expect([d.theirs, d.problem?.status, d.at(['spec', 'balance'])]).toEqual([undefined, 503, 'source'])
})

it('asks for the plan again when nobody could answer', async () => {
  const d = edit()
  d.set(['spec', 'balance'], 'random')
  await settled()
  asked[0]!.answer(503, 'gone')
  await vi.advanceTimersByTimeAsync(3000)
  expect([asked.length, d.problem?.status]).toEqual([2, 503])
  asked[1]!.answer(200, { of: 'random' })
  await settled()
  expect([d.answer, d.problem]).toEqual([{ of: 'random' }, undefined])
})
