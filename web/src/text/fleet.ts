import type { Group, LoadBalancer } from '../api/fleet'
import type { State } from '../api/types'
import type { Square } from '../parts/Strip.svelte'
import { many, span } from './format'

/** squareOf says how far a load balancer is with what its group wants. */
export function squareOf(lb: LoadBalancer, group: Group, now: number): Square {
  const silent = lb.lastSeen ? ` for ${span(now - Date.parse(lb.lastSeen))}` : ''
  if (!lb.reachable) return { name: lb.name, zone: lb.zone, state: 'unreachable', note: lb.run === 'unknown' ? 'it was never heard' : `not heard${silent}; it serves revision ${lb.revision}` }
  if (lb.run === 'failed') return { name: lb.name, zone: lb.zone, state: 'refused', note: lb.message }
  if (lb.quarantined > 0) return { name: lb.name, zone: lb.zone, state: 'refused', note: `${many(lb.quarantined, 'part')} kept in the last good form` }
  if (lb.ready) return { name: lb.name, zone: lb.zone, state: 'done' }
  return { name: lb.name, zone: lb.zone, state: 'pending', note: `at revision ${lb.revision} of ${group.wanted}` }
}

/** standing is a load balancer's state in the words that sites and pools have, with a sentence that says why. */
export function standing(lb: LoadBalancer, group: Group, now: number): { state: State; why: string } {
  if (lb.run === 'unknown') return { state: 'unknown', why: 'Its agent was never heard.' }
  const heard = lb.lastSeen ? ` has not been heard for ${span(now - Date.parse(lb.lastSeen))}` : ' is not heard'
  if (!lb.reachable) return { state: 'unknown', why: `Its agent${heard}; what it has goes on serving (revision ${lb.revision}).` }
  if (lb.run === 'failed') return { state: 'down', why: lb.message || "Its agent can't bring HAProxy to what is wanted." }
  if (lb.state !== 'Active') return { state: 'degraded', why: lb.state === 'Drain' ? 'It drains: it should get no new traffic.' : 'It is in maintenance.' }
  if (lb.quarantined > 0) return { state: 'degraded', why: `HAProxy refuses ${many(lb.quarantined, 'part')}; the last good form stays.` }
  if (lb.drift) return { state: 'degraded', why: 'Other hands changed it.' }
  if (lb.warnings?.length) return { state: 'degraded', why: lb.warnings[0]!.message }
  if (!lb.ready) return { state: 'degraded', why: `It applies revision ${group.wanted} and has read back ${lb.revision}.` }
  return { state: 'serving', why: '' }
}
