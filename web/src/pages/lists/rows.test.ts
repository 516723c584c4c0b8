import { expect, it } from 'vitest'
import type { Row } from '../../api/types'
import { left, tops } from './rows'

it('scales all lines of a column alike', () => {
  const row = (spark: (number | null)[]): Row => ({ name: 'a', state: 'serving', traffic: { requests: 1, errorRatio: 0, spark, errorSpark: [] } })
  expect(tops([row([1, null, 7]), row([3]), { name: 'b', state: 'unknown' }])).toEqual({ requests: 7, errors: 0 })
  expect(tops([])).toEqual({ requests: 0, errors: 0 })
})

it('says how long certificates last', () => {
  expect([undefined, 90, 20, 6, 1, 0, -1, -30].map(left)).toEqual([
    { text: '–', worry: '' }, { text: '90 days', worry: '' }, { text: '20 days', worry: 'degraded' }, { text: '6 days', worry: 'down' }, { text: '1 day', worry: 'down' },
    { text: 'ends today', worry: 'down' }, { text: 'ended yesterday', worry: 'down' }, { text: 'ended 30 days ago', worry: 'down' },
  ])
})
