import { expect, it } from 'vitest'
import { effects, whichOnes } from './plan'

it('gathers load balancers that do the same', () => {
  const at = (name: string, sentences: string[], reload: { text: string }[] = []) => ({ name, group: 'edge', zone: 'az1', sentences, reload })
  const list = effects([at('a', ['add x']), at('b', ['add x']), at('c', ['add x'], [{ text: 'port' }])])
  expect(list.map((e) => e.names)).toEqual([['a', 'b'], ['c']])
  expect(whichOnes(list[0]!, 2)).toBe('Both load balancers of edge')
  expect(whichOnes(list[0]!, 3)).toBe('a, b of edge')
  expect(whichOnes(list[1]!, 1)).toBe('c of edge')
})
