import { afterEach, expect, test, vi } from 'vitest'
import { ask, forgetRevisions, lines, Refusal } from './client'

afterEach(() => void vi.unstubAllGlobals())
const answer = (body: BodyInit | null, init?: ResponseInit) => vi.stubGlobal('fetch', async () => new Response(body, init))
const refusal = async (p: Promise<unknown>) => {
  const e = await p.then(() => undefined, (e: unknown) => e)
  expect(e).toBeInstanceOf(Refusal)
  return (e as Refusal).problem
}
// A connection that breaks after the first bytes.
const broken = (first: string) =>
  new ReadableStream({
    start: (c) => c.enqueue(new TextEncoder().encode(first)),
    pull: (c) => c.error(new TypeError('network error')),
  })

test('whatever stands where an answer should be is said in words', async () => {
  for (const body of ['<html>', 'null', '3', '"text"', '{"items":']) {
    answer(body)
    expect((await refusal(ask('/api/v1/sites'))).title, body).toBe('No answer')
  }
  answer(broken('{"items":['))
  expect((await refusal(ask('/api/v1/sites'))).detail).toMatch(/does not answer/)
  for (const body of ['<html>', '', 'null', '{"title":{"a":1},"detail":[{}]}', '{"errors":[null]}']) {
    answer(body, { status: 503 })
    const p = await refusal(ask('/api/v1/sites'))
    expect(p.status).toBe(503)
    expect(p.detail, body).toMatch(/could not answer this \(503\)/)
    expect(p.title).not.toMatch(/object/)
  }
})

test('a stream that breaks, or is none, is said in words', async () => {
  const all = async () => {
    const got: unknown[] = []
    for await (const m of lines<unknown>('/api/v1/status', {}, new AbortController().signal)) got.push(m)
    return got
  }
  answer('{"type":"live"}\n{"type":"heartbeat"}\n')
  expect(await all()).toEqual([{ type: 'live' }, { type: 'heartbeat' }])
  answer('<html>\n')
  await refusal(all())
  answer(broken('{"type":"live"}\n'))
  await refusal(all())
})

test('who only reads is told when no answer comes; who left is told nothing', async () => {
  const limit = new AbortController()
  vi.spyOn(AbortSignal, 'timeout').mockReturnValue(limit.signal)
  vi.stubGlobal('fetch', (_: string, { signal }: RequestInit) => new Promise((_, no) => signal?.addEventListener('abort', () => no(signal.reason as Error))))
  const waiting = refusal(ask('/api/v1/sites'))
  limit.abort(new DOMException('late', 'TimeoutError'))
  expect((await waiting).title).toBe('No answer')
  vi.restoreAllMocks()
  const left = new AbortController()
  const gone = ask('/api/v1/sites', { signal: left.signal })
  left.abort()
  await expect(gone).rejects.toMatchObject({ name: 'AbortError' })
})

test('of a write without an answer nobody says that it was not done', async () => {
  vi.stubGlobal('fetch', async () => Promise.reject(new TypeError('network error')))
  expect((await refusal(ask('/api/v1/sites/www', { method: 'PUT', body: {} }))).detail).toMatch(/nobody knows whether this was done/)
  expect((await refusal(ask('/api/v1/plan', { method: 'POST', asks: true, body: {} }))).detail).toMatch(/tries again/)
})

test('a stream that says nothing for long is over, though its connection stands', async () => {
  vi.useFakeTimers()
  answer(new ReadableStream({ start: (c) => c.enqueue(new TextEncoder().encode('{"type":"live"}\n')) }))
  const got = lines<{ type: string }>('/api/v1/sites/www/log', {}, new AbortController().signal)
  expect((await got.next()).value).toEqual({ type: 'live' })
  const late = refusal(got.next())
  await vi.advanceTimersByTimeAsync(40_000)
  expect((await late).title).toBe('No answer')
  vi.useRealTimers()
})

test('nothing older is asked for than what was seen', async () => {
  const sent: (string | undefined)[] = []
  let next = { revision: 0, header: '' }
  vi.stubGlobal('fetch', async (_: string, init: { headers: Record<string, string> }) => {
    sent.push(init.headers['Weir-At-Least'])
    return new Response(JSON.stringify({ revision: next.revision }), { headers: next.header ? { 'Weir-Revision': next.header } : {} })
  })
  forgetRevisions()
  for (next of [{ revision: 7, header: '' }, { revision: 5, header: '9' }, { revision: 8, header: '' }]) await ask('/api/v1/sites/www')
  forgetRevisions() // somebody signs in again: it may be another store
  await ask('/api/v1/sites/www')
  expect(sent).toEqual([undefined, '7', '9', undefined])
  forgetRevisions()
})
