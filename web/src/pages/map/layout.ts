import { columnOf, columns, type Edge, type Graph, type Node } from './graph'

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
  /** heads are the titles of the columns, over the left side of their nodes. */
  heads: { title: string; x: number }[]
  width: number
  height: number
}

export const nodeWidth = 184
export const nodeHeight = 36
const gap = 10
const between = 84
const margin = 16
/** headHeight is kept free above all nodes. */
export const headHeight = 28
// What passes a column takes some room there, so that it does not run behind nodes.
const passing = 12
const rounds = 8

// A slot is a place in a column: of a node, or of an edge that passes.
interface Slot {
  column: number
  size: number
  y: number
  before: Slot[]
  after: Slot[]
}

/**
 * layout places a graph in columns from left to right as traffic flows. In a column, slots are near those that they lead to
 * and come from, and never overlap.
 */
export function layout(graph: Graph): Layout {
  const used = columns.map((_, i) => i).filter((i) => graph.nodes.some((n) => columnOf(n.kind) === i))
  const rows: Slot[][] = used.map(() => [])
  const slotOf = new Map<string, Slot>()
  const slot = (column: number, size: number) => {
    const s: Slot = { column, size, y: 0, before: [], after: [] }
    rows[column]!.push(s)
    return s
  }
  for (const n of graph.nodes) slotOf.set(n.id, slot(used.indexOf(columnOf(n.kind)), nodeHeight))
  const ways = graph.edges.flatMap((edge) => {
    const from = slotOf.get(edge.from)
    const to = slotOf.get(edge.to)
    if (!from || !to || from.column >= to.column) return []
    const way = [from]
    for (let c = from.column + 1; c < to.column; c++) way.push(slot(c, passing))
    way.push(to)
    for (let i = 1; i < way.length; i++) {
      way[i - 1]!.after.push(way[i]!)
      way[i]!.before.push(way[i - 1]!)
    }
    return [{ edge, way }]
  })
  const height = place(rows)
  const x = (column: number) => margin + nodeWidth / 2 + column * (nodeWidth + between)
  const most = Math.max(1, ...graph.edges.map((e) => e.requests ?? 0))
  return {
    nodes: graph.nodes.map((n) => ({ ...n, x: x(slotOf.get(n.id)!.column), y: slotOf.get(n.id)!.y })),
    edges: ways.map(({ edge, way }) => ({ ...edge, path: drawn(way, x), width: widthOf(edge, most) })),
    heads: used.map((c, i) => ({ title: columns[c]!.title, x: x(i) - nodeWidth / 2 })),
    width: x(Math.max(0, used.length - 1)) + nodeWidth / 2 + margin,
    height,
  }
}

/** refreshed is a layout with the states and figures of now, everything where it was. */
export function refreshed(old: Layout, graph: Graph): Layout {
  const nodes = new Map(graph.nodes.map((n) => [n.id, n]))
  const edges = new Map(graph.edges.map((e) => [e.from + '>' + e.to, e]))
  const most = Math.max(1, ...graph.edges.map((e) => e.requests ?? 0))
  return {
    ...old,
    nodes: old.nodes.map(({ x, y, ...n }) => ({ ...(nodes.get(n.id) ?? n), x, y })),
    edges: old.edges.map((e) => {
      const now = edges.get(e.from + '>' + e.to) ?? e
      return { ...now, path: e.path, width: widthOf(now, most) }
    }),
  }
}

function widthOf(e: Edge, most: number): number {
  return 1 + 5 * Math.sqrt((e.requests ?? 0) / most)
}

const mean = (list: Slot[]) => list.reduce((sum, s) => sum + s.y, 0) / list.length

/** place gives slots their y, and says how high all of it is. */
function place(rows: Slot[][]): number {
  for (const row of rows) spread(row, row.map(() => 0))
  for (let round = 0; round < rounds; round++) {
    const forth = round % 2 === 0
    for (const row of forth ? rows : rows.toReversed()) {
      const wish = new Map(row.map((s) => {
        const near = forth ? s.before : s.after
        return [s, near.length > 0 ? mean(near) : s.y]
      }))
      row.sort((a, b) => wish.get(a)! - wish.get(b)!)
      spread(row, row.map((s) => wish.get(s)!))
    }
  }
  // The order stands. The longest column is packed, and the others go where it draws them.
  const size = (row: Slot[]) => row.reduce((sum, s) => sum + s.size + gap, 0)
  const longest = rows.reduce((best, row, i) => (size(row) > size(rows[best]!) ? i : best), 0)
  const follow = (row: Slot[], near: (s: Slot) => Slot[]) => spread(row, row.map((s) => (near(s).length > 0 ? mean(near(s)) : s.y)))
  if (rows[longest]) spread(rows[longest], rows[longest].map(() => 0))
  for (let c = longest - 1; c >= 0; c--) follow(rows[c]!, (s) => s.after)
  for (let c = longest + 1; c < rows.length; c++) follow(rows[c]!, (s) => s.before)
  const all = rows.flat()
  const top = Math.min(0, ...all.map((s) => s.y - s.size / 2)) - margin - headHeight
  for (const s of all) s.y -= top
  return Math.max(nodeHeight, ...all.map((s) => s.y + s.size / 2)) + margin
}

/** spread puts the slots of a column, in their order, as near to where they wish to be as none overlaps. */
function spread(row: Slot[], wishes: number[]): void {
  // Without what stands above them, the wishes must not fall: runs that do are put at their mean.
  const blocks: { sum: number; n: number }[] = []
  const above: number[] = []
  let used = 0
  for (const [i, s] of row.entries()) {
    above.push(used + s.size / 2)
    used += s.size + gap
    let block = { sum: wishes[i]! - above[i]!, n: 1 }
    for (let last = blocks.at(-1); last && last.sum / last.n >= block.sum / block.n; last = blocks.at(-1)) {
      block = { sum: block.sum + last.sum, n: block.n + last.n }
      blocks.pop()
    }
    blocks.push(block)
  }
  let i = 0
  for (const b of blocks) for (let n = 0; n < b.n; n++, i++) row[i]!.y = b.sum / b.n + above[i]!
}

function drawn(way: Slot[], x: (column: number) => number): string {
  let path = ''
  for (let i = 1; i < way.length; i++) {
    const [a, b] = [way[i - 1]!, way[i]!]
    const [x1, x2] = [x(a.column) + nodeWidth / 2, x(b.column) - nodeWidth / 2]
    const middle = ((x1 + x2) / 2).toFixed(0)
    path += `${i === 1 ? 'M' : 'L'}${x1.toFixed(0)} ${a.y.toFixed(0)}C${middle} ${a.y.toFixed(0)} ${middle} ${b.y.toFixed(0)} ${x2.toFixed(0)} ${b.y.toFixed(0)}`
  }
  return path
}
