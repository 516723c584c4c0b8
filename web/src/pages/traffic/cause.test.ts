import { expect, it } from 'vitest'
import { causeOf, endingOf } from './cause'

it('tells who ended a request', () => {
  for (const [termination, who] of [['--', ''], ['----', ''], ['', ''], ['LR--', ''], ['CD--', 'client'], ['cR', 'client'], ['SC--', 'server'], ['sH', 'server'], ['DC', 'server'], ['PR--', 'client'], ['PH', 'server'], ['PQ', 'Weir'], ['RC', 'Weir'], ['KD', 'Weir']] as const) {
    expect(causeOf(termination), termination).toBe(who)
  }
})

it('says why a request ended', () => {
  expect(endingOf('SC--', 'refuses connections')).toBe('ended by the server: refuses connections (SC--)')
  expect(endingOf('PQ')).toBe('ended by Weir (PQ)')
  expect(endingOf('----', '')).toBe('')
})
