import { expect, it } from 'vitest'
import { ago, bytes, millis, percent, rate, some, span } from './format'

it('writes numbers as people read them', () => {
  expect([0, 0.01, 0.44, 9.96, 12.4, 1420, 14_200, 1_400_000, null, NaN].map(rate)).toEqual(['0', '<0.1', '0.4', '10', '12', '1,420', '14.2 k', '1.4 M', '–', '–'])
  expect([0, 0.0004, 0.015, 0.42, 0.998, 1, undefined].map(percent)).toEqual(['0 %', '<0.1 %', '1.5 %', '42 %', '>99 %', '100 %', '–'])
  expect([3, 999, 1200, 180_000].map(millis)).toEqual(['3 ms', '999 ms', '1.2 s', '3 min'])
  expect([512, 1400, 22_000_000].map(bytes)).toEqual(['512 B', '1.4 KB', '22 MB'])
})

it('writes times and names', () => {
  expect([40_000, 12 * 60_000, 200 * 60_000, 86_400_000, 5 * 86_400_000].map(span)).toEqual(['40 s', '12 min', '3 h 20 min', '1 day', '5 days'])
  expect(ago(new Date(0), 90_000)).toBe('1 min ago')
  expect(ago(new Date(90_000), 0)).toBe('in 1 min')
  expect(some(['a', 'b', 'c', 'd', 'e'])).toBe('a, b, c and 2 more')
})
