import type { Fleet } from '../../api/fleet'
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
  const unknown = conditions.find((c) => c.status === 'Unknown' && (c.type === 'Serving' || c.type === 'Programmed'))
  if (unknown || conditions.length === 0) return { state: 'unknown', why: unknown?.message ?? 'Nothing is known of it yet.' }
  return { state: 'serving', why: '' }
}

/** squares tells which load balancers have an object as it is wished; none when it concerns no load balancer, or when it can't be told which. */
export function squares(o: Obj, fleet: Fleet | undefined, now: number): Square[] {
  const programmed = o.status?.conditions?.find((c) => c.type === 'Programmed')
  if (!fleet || !programmed?.of) return []
  const ref = `${o.kind}/${o.metadata.name}`
  const active = fleet.groups.map((g) => g.loadBalancers.filter((lb) => lb.state === 'Active'))
  let concerned = active.flat()
  if (o.kind === 'LoadBalancer') concerned = concerned.filter((lb) => lb.name === o.metadata.name)
  else if (concerned.length !== programmed.of) {
    // It concerns some groups; which ones, their sizes tell when only one has that size.
    const fitting = active.filter((list) => list.length === programmed.of)
    concerned = fitting.length === 1 ? fitting[0]! : []
  }
  return concerned.map((lb) => {
    const about = (lb.deviations ?? []).find((d) => d.object === ref)
    const since = (at?: string) => (at ? `since ${ago(new Date(at), now)}` : '')
    if (!lb.reachable) return { name: lb.name, zone: lb.zone, state: 'unreachable', note: lb.lastSeen ? `last heard ${ago(new Date(lb.lastSeen), now)}` : 'never heard' }
    if (about?.state === 'quarantined') return { name: lb.name, zone: lb.zone, state: 'refused', note: [about.message, since(about.since)].filter(Boolean).join(', ') }
    if (about || (!lb.ready && lb.revision < (o.revision ?? 0))) return { name: lb.name, zone: lb.zone, state: 'pending', note: [about?.message, since(about?.since)].filter(Boolean).join(', ') }
    return { name: lb.name, zone: lb.zone, state: 'done' }
  })
}
