import { describe, expect, it } from 'vitest'
import { connected, layout, nodeHeight, nodeWidth, short, type Graph } from './graph'

const node = (id: string) => ({ id, kind: 'Pool', name: id, state: 'serving' as const })
const chain: Graph = {
  nodes: ['a', 'b', 'c', 'd', 'x'].map(node),
  edges: [{ from: 'a', to: 'b', requests: 9 }, { from: 'b', to: 'c' }, { from: 'd', to: 'c' }, { from: 'b', to: 'gone' }],
}

describe('layout', () => {
  it('goes from left to right, and nothing overlaps', () => {
    const many: Graph = { nodes: Array.from({ length: 60 }, (_, i) => node(`n${i}`)), edges: Array.from({ length: 59 }, (_, i) => ({ from: `n${i >> 1}`, to: `n${i + 1}` })) }
    for (const g of [chain, many]) {
      const l = layout(g)
      const at = new Map(l.nodes.map((n) => [n.id, n]))
      for (const e of l.edges) expect(at.get(e.from)!.x + nodeWidth).toBeLessThan(at.get(e.to)!.x)
      for (const n of l.nodes) {
        for (const m of l.nodes) if (n !== m) expect(Math.abs(n.x - m.x) >= nodeWidth || Math.abs(n.y - m.y) >= nodeHeight, `${n.id} and ${m.id}`).toBe(true)
        expect(n.x - nodeWidth / 2).toBeGreaterThanOrEqual(0)
        expect(n.y + nodeHeight / 2).toBeLessThanOrEqual(l.height)
      }
    }
  })
  it('leaves edges out that lead nowhere, and draws busy ones wider', () => {
    const l = layout(chain)
    expect(l.edges).toHaveLength(3)
    expect(l.edges[0]!.width).toBeGreaterThan(l.edges[1]!.width)
  })
})

it('follows a path both ways, and no further', () => {
  expect([...connected(chain.edges, 'b')].sort()).toEqual(['a', 'b', 'c', 'gone'])
  expect([...connected(chain.edges, 'c')].sort()).toEqual(['a', 'b', 'c', 'd'])
  expect([...connected([{ from: 'a', to: 'b' }, { from: 'b', to: 'a' }], 'a')].sort()).toEqual(['a', 'b'])
})

it('cuts names in the middle', () => {
  expect(short('short')).toBe('short')
  expect(short('a-very-long-name-of-a-pool-az1')).toBe('a-very-lo…a-pool-az1')
})
