import type { LoadBalancerPlan } from '../api/types'
import { some } from './format'

/** The same thing happening to load balancers of one group; first stands for all of them. */
export interface Effect {
  group: string
  names: string[]
  first: LoadBalancerPlan
}

/** effects gathers load balancers that do the same, in the order in which they come. */
export function effects(list: LoadBalancerPlan[]): Effect[] {
  const found = new Map<string, Effect>()
  for (const lb of list) {
    const key = JSON.stringify([lb.group, lb.reload ?? [], lb.sentences?.length ? lb.sentences : (lb.commands ?? [])])
    const e = found.get(key)
    if (e) e.names.push(lb.name)
    else found.set(key, { group: lb.group, names: [lb.name], first: lb })
  }
  return [...found.values()]
}

/** whichOnes names the load balancers of an effect the shortest way; size is how many the plan has of the group. */
export function whichOnes(e: Pick<Effect, 'group' | 'names'>, size: number): string {
  if (e.names.length === size && size > 1) return `${size === 2 ? 'Both' : 'All ' + size} load balancers of ${e.group}`
  return `${some(e.names, 6)} of ${e.group}`
}
