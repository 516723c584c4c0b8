/** How far changes have come that go through a group in waves. */
export interface WaveStatus {
  state: 'idle' | 'waiting' | 'going' | 'stopped' | 'halted'
  reached: number
  has: number
  of: number
  until?: string
  changes?: number[]
  queued?: number[]
  message: string
}

/** What a person can do to a wave. */
export interface Action {
  name: 'stop' | 'back' | 'go' | 'finish'
  title: string
  means: string
}

export const actions: Action[] = [
  { name: 'stop', title: 'Stop', means: 'It reaches no further load balancer; those that it has reached keep what they have.' },
  { name: 'back', title: 'Send back', means: 'The load balancers that it has reached are given what they had before.' },
  { name: 'go', title: 'Go on', means: 'It goes on where it was stopped, or begins anew after it has gone back.' },
  { name: 'finish', title: 'Finish at once', means: 'Every load balancer is given what is newest at once, and nobody waits to see what comes of it.' },
]

/** picture is what people decide by: whether it goes on, and with which changes. What waves do by themselves is not in it. */
export function picture(w: WaveStatus): string {
  const all = [...new Set([...(w.changes ?? []), ...(w.queued ?? [])])].sort((a, b) => a - b)
  return JSON.stringify([w.state === 'waiting' ? 'going' : w.state, all])
}

/** refusal says why something can't be done to a wave as it is; the server has the last word. */
export function refusal(action: Action['name'], w: WaveStatus): string {
  if (w.state === 'idle') return 'Nothing is on its way.'
  const still = w.state === 'stopped' || w.state === 'halted'
  if (action === 'stop' && still) return 'It is stopped already.'
  if (action === 'go' && !still) return 'It is going already.'
  if (action === 'back' && w.state === 'halted') return 'It has gone back already.'
  return ''
}
