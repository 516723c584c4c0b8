import type { State } from '../../api/types'
import { grouped } from '../../text/groups'

/** An object, or many folded into one: folds counts them. */
export interface Node {
  id: string
  kind: string
  name: string
  role?: string
  state?: State
  why?: string
  zone?: string
  group?: string
  folds?: number
  requests?: number | null
  errorRatio?: number | null
}

/** An edge as traffic flows; zones are those in which a site uses a pool: each is a virtual server. */
export interface Edge {
  from: string
  to: string
  zones?: string[]
  requests?: number | null
  errorRatio?: number | null
}

export interface Graph {
  nodes: Node[]
  edges: Edge[]
  leftOut?: number
}

/** The columns in which kinds stand, as traffic flows; what hangs on sites and pools stands before them. */
export const columns: { title: string; kinds: string[] }[] = [
  { title: 'Load balancers', kinds: ['LoadBalancer'] },
  { title: 'Groups', kinds: ['LoadBalancerGroup', 'Issuer'] },
  { title: 'Addresses and rules', kinds: ['IPAddress', 'Certificate', 'Route', 'Split', 'RateLimit', 'Logic', 'Map', 'AccessList', 'ErrorPage'] },
  { title: 'Sites', kinds: ['Site'] },
  { title: 'Pools and partners', kinds: ['Pool', 'Partner'] },
  { title: 'Servers', kinds: ['Server'] },
]

/** columnOf gives the column of a kind; what nobody knows stands with the rules. */
export function columnOf(kind: string): number {
  const i = columns.findIndex((c) => c.kinds.includes(kind))
  return i < 0 ? 2 : i
}

/** carries says whether traffic flows through nodes of a kind, and they do not hang on others. */
export function carries(kind: string): boolean {
  return ['LoadBalancer', 'LoadBalancerGroup', 'IPAddress', 'Site', 'Pool', 'Partner', 'Server'].includes(kind)
}

/** called is the name of a node as people read it. */
export function called(n: Node): string {
  return n.folds ? n.name.replace(/^of Pool\//, 'of ') : n.name
}

/** health says how what leads to a node does: as the node, unless errors come of it although it serves. */
export function health(e: Edge, to: Node | undefined): 'down' | 'degraded' | 'serving' {
  if (to?.state === 'down' || (e.errorRatio ?? 0) > 0.01) return 'down'
  return to?.state === 'degraded' ? 'degraded' : 'serving'
}

/** connected gives the nodes before and after some, along the edges in each direction, and themselves. */
export function connected(edges: Edge[], ...ids: string[]): Set<string> {
  const found = new Set(ids)
  for (const [from, to] of [['from', 'to'], ['to', 'from']] as const) {
    const next = grouped(edges, (e) => e[from])
    const seen = new Set(ids)
    for (let todo = [...ids]; todo.length > 0; ) {
      const more = (next.get(todo.pop()!) ?? []).map((e) => e[to]).filter((n) => !seen.has(n))
      for (const n of more) {
        seen.add(n)
        found.add(n)
      }
      todo.push(...more)
    }
  }
  return found
}

/** short cuts a text in the middle, where names differ least, until it fits. */
export function short(text: string, fits: (text: string) => boolean): string {
  if (fits(text)) return text
  const letters = [...text]
  let most = 1
  let cut = '…'
  for (let least = letters.length; most < least; ) {
    const n = (most + least + 1) >> 1
    const tried = letters.slice(0, Math.ceil(n / 2)).join('') + '…' + letters.slice(letters.length - Math.floor(n / 2)).join('')
    if (fits(tried)) {
      cut = tried
      most = n
    } else least = n - 1
  }
  return cut
}
