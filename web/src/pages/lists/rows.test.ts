import { expect, it } from 'vitest'
import type { Row } from '../../api/types'
import { left, tops } from './rows'

it('scales all lines of a column alike', () => {
  const row = (spark: (number | null)[]): Row => ({ name: 'a', state: 'serving', traffic: { requests: 1, errorRatio: 0, spark, errorSpark: [] } })
  expect(tops([row([1, null, 7]), row([3]), { name: 'b', state: 'unknown' }])).toEqual({ requests: 7, errors: 0 })
  expect(tops([])).toEqual({ requests: 0, errors: 0 })
})

it('says how long certificates last', () => {
  expect([undefined, 1000, 1, 0, -1, -2, -30].map((d) => left(d))).toEqual([
    { text: '–', worry: '' }, { text: '1,000 days', worry: '' }, { text: '1 day', worry: '' }, { text: 'less than a day', worry: '' },
    { text: 'has ended', worry: 'down' }, { text: 'ended 1 day ago', worry: 'down' }, { text: 'ended 29 days ago', worry: 'down' },
  ])
  expect([20, 0, -1].map((d) => left(d, true).worry)).toEqual(['degraded', 'degraded', 'down'])
})
