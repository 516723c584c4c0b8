import { expect, it } from 'vitest'
import { asked, bears } from './impact'

it('says how much is asked, as far as that is known', () => {
  const of = (requests: number | null, peak: number | null) => asked({ site: 'www', touches: 'all requests', requests, peak })
  expect(of(310, 1420)).toBe('310/s now · peak 1,420/s')
  expect(of(null, 0)).toBe('peak 0/s')
  expect(of(null, null)).toBe('')
})

it('says whether a zone may go', () => {
  expect(bears({ holds: true, without: 'az1', zone: 'az2', carries: 71 })).toBe('any one zone may go (without az1, az2 carries 71 %)')
  expect(bears({ holds: false, without: 'az1', zone: 'az2', carries: 150 })).toBe('without az1, az2 would carry 150 % of what it can')
  expect(bears({ holds: false, without: 'az1' })).toBe('no other zone can take what az1 serves')
})
