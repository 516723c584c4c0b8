import { describe, expect, it } from 'vitest'
import type { Edge, Graph, Node } from './graph'
import { headHeight, layout, nodeHeight, nodeWidth, refreshed, type Layout } from './layout'

const node = (kind: string, name: string): Node => ({ id: `${kind}/${name}`, kind, name, state: 'serving' })

/** fleet makes sites with a pool in each of three zones and servers in each pool; every tenth site has a rule on a pool. */
function fleet(sites: number, servers: number): Graph {
  const nodes: Node[] = [node('LoadBalancer', 'lb'), node('LoadBalancerGroup', 'edge'), node('IPAddress', 'vip')]
  const edges: Edge[] = [{ from: 'LoadBalancer/lb', to: 'LoadBalancerGroup/edge' }, { from: 'LoadBalancerGroup/edge', to: 'IPAddress/vip' }]
  for (let s = 0; s < sites; s++) {
    nodes.push(node('Site', `s${s}`))
    edges.push({ from: 'IPAddress/vip', to: `Site/s${s}` })
    if (s % 10 === 0) {
      nodes.push(node('Certificate', `c${s}`))
      edges.push({ from: `Certificate/c${s}`, to: `Pool/s${s}-1` })
    }
    for (let z = 0; z < 3; z++) {
      nodes.push(node('Pool', `s${s}-${z}`))
      edges.push({ from: `Site/s${s}`, to: `Pool/s${s}-${z}`, zones: [`az${z}`] })
      for (let n = 0; n < servers; n++) {
        nodes.push(node('Server', `s${s}-${z}-${n}`))
        edges.push({ from: `Pool/s${s}-${z}`, to: `Server/s${s}-${z}-${n}` })
      }
    }
  }
  return { nodes, edges }
}

// What no drawing may have: nodes on each other, or outside, or an edge that does not lead to the right.
function sound(l: Layout, edges: number) {
  const at = new Map(l.nodes.map((n) => [n.id, n]))
  expect(l.edges).toHaveLength(edges)
  for (const e of l.edges) expect(at.get(e.from)!.x + nodeWidth).toBeLessThan(at.get(e.to)!.x)
  const nodes = l.nodes.toSorted((a, b) => a.x - b.x || a.y - b.y)
  for (const [i, n] of nodes.entries()) {
    const next = nodes[i + 1]
    if (next?.x === n.x) expect(next.y - n.y, `${n.id} and ${next.id}`).toBeGreaterThanOrEqual(nodeHeight - 0.001)
    expect(n.x - nodeWidth / 2).toBeGreaterThanOrEqual(0)
    expect(n.x + nodeWidth / 2).toBeLessThanOrEqual(l.width)
    expect(n.y - nodeHeight / 2).toBeGreaterThanOrEqual(headHeight)
    expect(n.y + nodeHeight / 2).toBeLessThanOrEqual(l.height)
  }
}

describe('layout', () => {
  it('is sound from nothing to 10,000 servers, and no higher than its longest column needs', () => {
    for (const [sites, servers] of [[0, 0], [5, 2], [125, 4], [500, 7]] as const) {
      const graph = fleet(sites, servers)
      const l = layout(graph)
      sound(l, graph.edges.length)
      const longest = Math.max(3 * sites * Math.max(1, servers), 1)
      expect(l.height).toBeLessThan(longest * (nodeHeight + 10) * 1.1 + 200)
    }
    expect(layout({ nodes: [], edges: [] }).nodes).toEqual([])
  })
  it('puts a pool beside its servers', () => {
    const l = layout(fleet(20, 3))
    const at = new Map(l.nodes.map((n) => [n.id, n]))
    for (let s = 0; s < 20; s++) expect(Math.abs(at.get(`Pool/s${s}-1`)!.y - at.get(`Server/s${s}-1-1`)!.y)).toBeLessThan(nodeHeight)
  })
  it('has columns of what is there alone, and leaves edges out that lead nowhere or back', () => {
    const l = layout({ nodes: [node('Site', 'a'), node('Server', 's')], edges: [{ from: 'Site/a', to: 'Server/s' }, { from: 'Server/s', to: 'Site/a' }, { from: 'Site/a', to: 'Pool/gone' }] })
    expect(l.heads.map((h) => h.title)).toEqual(['Sites', 'Servers'])
    sound(l, 1)
  })
  it('draws busy edges wider, and keeps places while figures change', () => {
    const graph = fleet(2, 1)
    const first = layout(graph)
    const now = refreshed(first, {
      nodes: graph.nodes.map((n) => ({ ...n, state: n.kind === 'Server' ? ('down' as const) : n.state })),
      edges: graph.edges.map((e) => ({ ...e, requests: e.from === 'Site/s0' && e.to === 'Pool/s0-1' ? 90 : null })),
    })
    expect(now.nodes.map((n) => [n.x, n.y])).toEqual(first.nodes.map((n) => [n.x, n.y]))
    expect(now.nodes.filter((n) => n.state === 'down')).toHaveLength(6)
    expect(now.edges.filter((e) => e.width > 5).map((e) => e.to)).toEqual(['Pool/s0-1'])
  })
})
