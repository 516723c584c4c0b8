import { expect, it } from 'vitest'
import { picture, type WaveStatus } from './waves'

const status = (more: Partial<WaveStatus>): WaveStatus => ({ state: 'going', reached: 1, has: 1, of: 3, message: '', ...more })

it('is another picture when somebody steers or another change joins, not when waves go on by themselves', () => {
  const was = picture(status({ state: 'waiting', queued: [7, 9] }))
  for (const same of [status({ changes: [7, 9] }), status({ changes: [7], queued: [9], reached: 3, has: 2, until: 'soon' })]) expect(picture(same)).toBe(was)
  for (const other of [status({ state: 'stopped', changes: [7, 9] }), status({ state: 'idle' }), status({ changes: [7, 9], queued: [10] })]) expect(picture(other)).not.toBe(was)
})
