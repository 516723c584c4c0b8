import { expect, it } from 'vitest'
import { summary } from './summary'
import { refusal } from './waves'

const of = (...refs: string[]) => ({ objects: refs.map((r) => ({ kind: r.split('/')[0]!, name: r.split('/')[1]! })) })

it('says what a change wrote', () => {
  expect(summary(of('Pool/web'))).toBe('Pool web')
  expect(summary({ ...of('Pool/web'), omitted: 1 })).toBe('Pool web and 1 object of other roles')
  expect(summary(of('Pool/a', 'Pool/b', 'Pool/c'))).toBe('Pool a, b and 1 more')
  expect(summary(of('Pool/a', 'Pool/b', 'Site/c'))).toBe('2 Pools, Site c')
  expect(summary({ objects: [], omitted: 2 })).toBe('2 objects of other roles')
})

it('says what can not be done to a wave', () => {
  const wave = { reached: 1, has: 1, of: 2, message: '' }
  expect(refusal('go', { ...wave, state: 'going' })).toBeTruthy()
  expect(refusal('stop', { ...wave, state: 'going' })).toBe('')
  expect(refusal('go', { ...wave, state: 'halted' })).toBe('')
  expect(refusal('back', { ...wave, state: 'stopped' })).toBe('')
  expect(refusal('finish', { ...wave, state: 'idle' })).toBeTruthy()
})
