import { afterEach, expect, test, vi } from 'vitest'
import { ask, lines, Refusal } from './client'

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
