import { afterEach, expect, test, vi } from 'vitest'
import { heard, now } from './clock'

const real = Date.parse('2026-03-01T12:00:00Z')
afterEach(() => void vi.useRealTimers())

test('a clock that is off by a day is put right by the answers, one that is off by a second is left alone', () => {
  vi.useFakeTimers({ now: real - 86_400_000 })
  heard(new Date(real).toUTCString())
  expect(now()).toBe(real)
  heard(null)
  heard('nonsense')
  expect(now()).toBe(real)
  vi.setSystemTime(real + 1000) // somebody has set it
  heard(new Date(real).toUTCString())
  expect(now()).toBe(real + 1000)
})
