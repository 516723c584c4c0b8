import { many, millis } from './format'

/** What one load balancer did for a change. */
export interface Work {
  name: string
  group: string
  zone: string
  done: boolean
  at?: string
  afterMs?: number
  commands?: number
  waiting?: number
  started?: boolean
  reloaded?: boolean
  reload?: { object?: string; text: string }[]
  with?: number[]
}

/** The same done by load balancers of one group; first stands for all of them but for when. */
export interface Deed {
  first: Work
  all: Work[]
}

/** deeds gathers load balancers that did the same, in the order in which they come. */
export function deeds(list: Work[]): Deed[] {
  const found = new Map<string, Deed>()
  for (const w of list) {
    const key = JSON.stringify([w.group, w.done, w.commands ?? 0, w.waiting ?? 0, w.started, w.reloaded, w.reload ?? [], w.with ?? []])
    const d = found.get(key)
    if (d) d.all.push(w)
    else found.set(key, { first: w, all: [w] })
  }
  return [...found.values()]
}

/** did says what a load balancer did; a reload is a word of its own. */
export function did(w: Work): string {
  if (!w.done) return 'not read back yet'
  if (w.reloaded) return 'one reload, hitless'
  if (w.started) return 'HAProxy was started with it'
  if (!w.commands) return 'nothing was to be done'
  return `at run time, ${many(w.commands, 'command')}, no reload` + (w.waiting ? `; ${w.waiting} waiting for connections to end` : '')
}

/** took says how long after the change it was read back, by the first and by the last of them. */
export function took(d: Deed): string {
  const times = d.all.filter((w) => w.done).map((w) => w.afterMs ?? 0)
  if (times.length === 0) return ''
  const from = millis(Math.min(...times)), to = millis(Math.max(...times))
  return from === to ? from : `${from} to ${to}`
}
