import dagre from '@dagrejs/dagre'
import type { State } from '../../api/types'
import { grouped } from '../../text/groups'

/** An object, or many folded into one: folds counts them. */
export interface Node {
  id: string
  kind: string
  name: string
  role?: string
  state: State
  why?: string
  zone?: string
  group?: string
  folds?: number
  requests?: number
  errorRatio?: number
}

export interface Edge {
  from: string
  to: string
  requests?: number
  errorRatio?: number
}

export interface Graph {
  nodes: Node[]
  edges: Edge[]
  leftOut?: number
}

/** A node with its place: the middle, in pixels. */
export interface Placed extends Node {
  x: number
  y: number
}

/** An edge with its way, from the right side of one node to the left side of the other. */
export interface Drawn extends Edge {
  path: string
  width: number
}

export interface Layout {
  nodes: Placed[]
  edges: Drawn[]
  width: number
  height: number
}

export const nodeWidth = 176
export const nodeHeight = 36

/** layout places a graph from left to right as traffic flows. */
export function layout(graph: Graph): Layout {
  const g = new dagre.graphlib.Graph()
  g.setGraph({ rankdir: 'LR', nodesep: 10, ranksep: 72, marginx: 16, marginy: 16, ranker: graph.nodes.length > 150 ? 'longest-path' : 'network-simplex' })
  g.setDefaultEdgeLabel(() => ({}))
  for (const n of graph.nodes) g.setNode(n.id, { width: nodeWidth, height: nodeHeight })
  const known = new Set(graph.nodes.map((n) => n.id))
  const edges = graph.edges.filter((e) => known.has(e.from) && known.has(e.to))
  for (const e of edges) g.setEdge(e.from, e.to)
  dagre.layout(g)
  const nodes = graph.nodes.map((n) => {
    const { x = 0, y = 0 } = g.node(n.id)
    return { ...n, x, y }
  })
  const at = new Map(nodes.map((n) => [n.id, n]))
  const most = Math.max(1, ...edges.map((e) => e.requests ?? 0))
  const size = g.graph()
  return {
    nodes,
    edges: edges.map((e) => ({ ...e, path: curve(at.get(e.from)!, at.get(e.to)!), width: 1 + 5 * Math.sqrt((e.requests ?? 0) / most) })),
    width: Math.max(size.width ?? 0, nodeWidth),
    height: Math.max(size.height ?? 0, nodeHeight),
  }
}

function curve(a: Placed, b: Placed): string {
  const x1 = a.x + nodeWidth / 2
  const x2 = b.x - nodeWidth / 2
  const bend = Math.max(24, (x2 - x1) / 2)
  return `M${x1.toFixed(0)} ${a.y.toFixed(0)}C${(x1 + bend).toFixed(0)} ${a.y.toFixed(0)} ${(x2 - bend).toFixed(0)} ${b.y.toFixed(0)} ${x2.toFixed(0)} ${b.y.toFixed(0)}`
}

/** connected gives the nodes before and after one, along the edges in each direction, and itself. */
export function connected(edges: Edge[], id: string): Set<string> {
  const found = new Set([id])
  for (const [from, to] of [['from', 'to'], ['to', 'from']] as const) {
    const next = grouped(edges, (e) => e[from])
    const seen = new Set([id])
    for (let todo = [id]; todo.length > 0; ) {
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

/** short cuts a name in the middle, where names differ least. */
export function short(name: string, most = 20): string {
  return name.length <= most ? name : name.slice(0, Math.ceil(most / 2) - 1) + '…' + name.slice(-Math.floor(most / 2))
}
