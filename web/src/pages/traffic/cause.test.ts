import { expect, it } from 'vitest'
import { causeOf } from './cause'

it('tells who ended a request', () => {
  for (const [termination, who] of [['--', ''], ['----', ''], ['', ''], ['LR--', ''], ['CD--', 'client'], ['cR', 'client'], ['SC--', 'server'], ['sH', 'server'], ['DC', 'server'], ['PR--', 'client'], ['PH', 'server'], ['PQ', 'Weir'], ['RC', 'Weir'], ['KD', 'Weir']] as const) {
    expect(causeOf(termination), termination).toBe(who)
  }
})
