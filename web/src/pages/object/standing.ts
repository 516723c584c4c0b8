import type { Fleet, LoadBalancer } from '../../api/fleet'
import type { Condition, Obj, State } from '../../api/types'
import type { Square } from '../../parts/Strip.svelte'
import { ago } from '../../text/format'

// How an object stands, by its conditions and by what the fleet says of it.

/** Standing is a state with its reason, which is empty while there is nothing to say. */
export interface Standing {
  state: State
  why: string
}

const bad = (c: Condition) => ((c.type === 'Quarantined' || c.type === 'Drifted') ? c.status === 'True' : c.status === 'False')

/** standing sums conditions up: down when nothing serves, degraded when anything is not as it should be. */
export function standing(conditions: Condition[] = []): Standing {
  const serving = conditions.find((c) => c.type === 'Serving')
  if (serving?.status === 'False') return { state: 'down', why: serving.message ?? '' }
  const wrong = conditions.find((c) => bad(c) && c.reason !== 'Pending')
  if (wrong) return { state: 'degraded', why: wrong.message ?? '' }
  if (serving && (serving.reason === 'Degraded' || (serving.of ?? 0) > (serving.ready ?? 0))) return { state: 'degraded', why: serving.message ?? '' }
  const pending = conditions.find((c) => bad(c))
  if (pending) return { state: 'degraded', why: pending.message ?? '' }
  const unused = conditions.find((c) => c.type === 'Programmed' && c.reason === 'NotInUse')
  if (unused) return { state: 'unused', why: unused.message ?? '' }
  const unknown = conditions.find((c) => c.status === 'Unknown' && (c.type === 'Serving' || c.type === 'Programmed'))
  if (unknown || conditions.length === 0) return { state: 'unknown', why: unknown?.message ?? 'Nothing is known of it yet.' }
  return { state: 'serving', why: '' }
}

/** GroupSquares are the load balancers of one group that an object concerns. */
export interface GroupSquares {
  group: string
  squares: Square[]
}

/** squares tells which load balancers have an object as it is wished, by group; none when it concerns no load balancer. */
export function squares(o: Obj, fleet: Fleet | undefined, now: number): GroupSquares[] {
  const programmed = o.status?.conditions?.find((c) => c.type === 'Programmed')
  if (!fleet || !programmed?.of) return []
  const ref = `${o.kind}/${o.metadata.name}`
  const square = (lb: LoadBalancer): Square => {
    const about = (lb.deviations ?? []).find((d) => d.object === ref)
    const since = (at?: string) => (at ? `since ${ago(new Date(at), now)}` : '')
    if (!lb.reachable) return { name: lb.name, zone: lb.zone, state: 'unreachable', note: lb.lastSeen ? `last heard ${ago(new Date(lb.lastSeen), now)}` : 'never heard' }
    if (about?.state === 'quarantined') return { name: lb.name, zone: lb.zone, state: 'refused', note: [about.message, since(about.since)].filter(Boolean).join(', ') }
    if (about || (!lb.ready && lb.revision < (o.revision ?? 0))) return { name: lb.name, zone: lb.zone, state: 'pending', note: [about?.message, since(about?.since)].filter(Boolean).join(', ') }
    return { name: lb.name, zone: lb.zone, state: 'done' }
  }
  const concerned = (lb: LoadBalancer) => lb.state === 'Active' && (o.kind !== 'LoadBalancer' || lb.name === o.metadata.name)
  return fleet.groups
    .filter((g) => programmed.groups?.includes(g.name))
    .map((g) => ({ group: g.name, squares: g.loadBalancers.filter(concerned).map(square) }))
    .filter((g) => g.squares.length > 0)
}
