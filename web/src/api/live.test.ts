import { afterEach, beforeEach, expect, it, vi } from 'vitest'

vi.stubGlobal('window', globalThis)
vi.stubGlobal('document', { visibilityState: 'visible', addEventListener: () => {}, removeEventListener: () => {} })
const { Live } = await import('./live.svelte')

let asked: ((status: number, value?: unknown, headers?: Record<string, string>) => void)[] = []
beforeEach(() => {
  asked = []
  vi.useFakeTimers({ now: Date.parse('2026-12-01T12:00:00Z') })
  vi.stubGlobal('fetch', (_: string, { signal }: RequestInit) =>
    new Promise<Response>((resolve, reject) => {
      signal?.addEventListener('abort', () => reject(new DOMException('', 'AbortError')))
      asked.push((status, value = {}, headers = {}) => (status === 0 ? reject(new TypeError('network error')) : resolve(new Response(JSON.stringify(value), { status, headers }))))
    }))
})
afterEach(() => void vi.useRealTimers())
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms)

it('says that a value is old, and since when, while its answer is late', async () => {
  const live = new Live<{ n: number }>('/api/v1/overview', {}, 5000)
  const stop = live.start()
  asked[0]!(200, { n: 1 })
  await pass(0)
  const at = Date.now()
  await pass(5000)
  expect([asked.length, live.problem]).toEqual([2, undefined])
  await pass(5000)
  expect([live.value, live.problem?.status, live.problem?.since]).toEqual([{ n: 1 }, 0, at])
  asked[1]!(200, { n: 2 })
  await pass(0)
  expect([live.value, live.problem]).toEqual([{ n: 2 }, undefined])
  stop()
})

it('shows what a control plane tells that does not hear of its store, and from when that is', async () => {
  const live = new Live<{ n: number }>('/api/v1/overview')
  const stop = live.start()
  asked[0]!(200, { n: 1 }, { 'Weir-Silent-Since': '2026-12-01T11:59:20Z' })
  await pass(0)
  expect([live.value, live.problem?.since]).toEqual([{ n: 1 }, Date.parse('2026-12-01T11:59:20Z')])
  await pass(5000)
  asked[1]!(200, { n: 1 })
  await pass(0)
  expect(live.problem).toBeUndefined()
  stop()
})

it('says of nothing that it is old', async () => {
  const live = new Live('/api/v1/overview')
  const stop = live.start()
  await pass(5000)
  expect([live.problem?.status, live.problem?.since]).toEqual([0, 0])
  stop()
})

it('asks again soon when nobody answered, also what is asked for once, and not what was refused', async () => {
  for (const [status, times] of [[0, 2], [503, 2], [404, 1], [200, 1]] as const) {
    asked = []
    const stop = new Live('/api/v1/zones', {}, 0).start()
    asked[0]!(status)
    await pass(3000)
    expect(asked.length, String(status)).toBe(times)
    stop()
  }
})
