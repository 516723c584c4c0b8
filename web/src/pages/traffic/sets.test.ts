import { expect, it } from 'vitest'
import { charts, known, summed, sums } from './sets'

it('adds rates up, weighs shares, and tells nothing from zero', () => {
  const count = { figure: 'requests', name: '', unit: 'count' } as const
  expect(summed(count, { requests: [1.5, null, 0.5] }, 10)).toBe(20)
  expect(summed(count, { requests: [0, 0] }, 10)).toBe(0)
  expect(summed(count, { requests: [null, null] }, 10)).toBe(null)
  expect(summed(count, {}, 10)).toBe(null)
  const share = { figure: 'tls.resumed', name: '', unit: 'share', of: 'tls.handshakes' } as const
  expect(summed(share, { 'tls.resumed': [1, 0, null], 'tls.handshakes': [3, 1, 0] }, 10)).toBe(0.75)
  expect(summed(share, { 'tls.resumed': [null], 'tls.handshakes': [0] }, 10)).toBe(null)
})

it('shows of a kind only what is kept', () => {
  expect(known(charts.Server!, ['requests.2xx', 'bytes.in']).map((c) => c.lines.map((l) => l.figure))).toEqual([['requests.2xx'], ['bytes.in']])
  for (const kind of Object.keys(charts)) expect(sums[kind]!.length, kind).toBeGreaterThan(0)
})
