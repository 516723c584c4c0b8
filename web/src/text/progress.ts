import type { Square } from '../parts/Strip.svelte'

/** How far the load balancers are on their way to a revision. */
export interface Progress {
  revision: number
  programmed: boolean
  done: boolean
  groups: { name: string; ready: number; of: number; laggards?: string[]; message?: string; halted?: boolean; inWaves?: boolean }[]
}

/** squaresOf draws the load balancers of the groups that a revision concerns; those that are not Active take no part. */
export function squaresOf(p: Progress, balancers: { name: string; zone: string; group: string; state: string }[]): Square[] {
  return p.groups.flatMap((g) => {
    const late = new Set(g.laggards ?? [])
    return balancers
      .filter((b) => b.group === g.name && b.state === 'Active')
      .map((b): Square => ({ name: b.name, zone: b.zone, state: g.ready === g.of || (!late.has(b.name) && late.size > 0) ? 'done' : g.halted ? 'refused' : 'pending' }))
  })
}
