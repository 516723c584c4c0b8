import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { Loading } from './loading.svelte'

let there = false
beforeEach(() => {
  there = false
  vi.useFakeTimers()
  vi.stubGlobal('fetch', async () => (there ? new Response('{}') : Promise.reject(new TypeError('network error'))))
})
afterEach(() => void vi.useRealTimers())

it('brings the code of a page once the control plane is back', async () => {
  const load = vi.fn(async () => (there ? 'page' : Promise.reject(new TypeError('no code'))))
  const loading = new Loading(load)
  await vi.advanceTimersByTimeAsync(3000)
  expect(loading.problem).toMatchObject({ status: 0 })
  there = true
  await vi.advanceTimersByTimeAsync(3000)
  expect(await loading.page).toBe('page')
})

it('gives up where the control plane answers and has no such code', async () => {
  there = true
  const load = vi.fn(async () => Promise.reject(new TypeError('no code')))
  await expect(new Loading(load).page).rejects.toThrow('no code')
  expect(load).toHaveBeenCalledTimes(2)
})
