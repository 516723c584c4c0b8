import { describe, expect, it } from 'vitest'
import { difference, folded } from './diff'

const signs = (before: string, after: string) => difference(before, after).map((l) => l.sign + l.text)

describe('difference', () => {
  it('keeps what is the same', () => {
    expect(signs('a\nb\nc\n', 'a\nc\n')).toEqual([' a', '-b', ' c'])
    expect(signs('a\nc', 'a\nb\nc')).toEqual([' a', '+b', ' c'])
    expect(signs('a\nb\nc\nd', 'a\nx\nc\ny')).toEqual([' a', '-b', '+x', ' c', '-d', '+y'])
    expect(signs('', 'a\nb\n')).toEqual(['+a', '+b'])
    expect(signs('a\n', '')).toEqual(['-a'])
    expect(signs('a\na\na', 'a\na')).toHaveLength(3)
  })
  it('numbers lines on both sides', () => {
    expect(difference('a\nb', 'b\nc')).toEqual([{ sign: '-', text: 'a', before: 1 }, { sign: ' ', text: 'b', before: 2, after: 1 }, { sign: '+', text: 'c', after: 2 }])
  })
  it('gives both texts back, whatever they are', () => {
    let seed = 7
    const next = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n
    for (let run = 0; run < 300; run++) {
      const text = () => Array.from({ length: next(12) }, () => 'abcd'[next(4)]).join('\n')
      const [a, b] = [text(), text()]
      const lines = difference(a, b)
      expect(lines.filter((l) => l.sign !== '+').map((l) => l.text).join('\n')).toBe(a)
      expect(lines.filter((l) => l.sign !== '-').map((l) => l.text).join('\n')).toBe(b)
    }
  })
})

describe('folded', () => {
  it('leaves a gap where nothing changed', () => {
    const text = Array.from({ length: 30 }, (_, i) => `line ${i}`)
    const shown = folded(difference(text.join('\n'), text.toSpliced(15, 1, 'new').join('\n')), 2)
    expect(shown.map((l) => l && l.sign + l.text)).toEqual([null, ' line 13', ' line 14', '-line 15', '+new', ' line 16', ' line 17', null])
    expect(folded(difference('a', 'a'))).toEqual([])
  })
})
