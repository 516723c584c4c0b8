import { expect, test } from 'vitest'
import { harmless, json, marked, meant, parsed, shown } from './marks'
import { plain, read, written } from './yaml'

const hidden = ['\0', '\x1b[31m', '\x7f', '\x85', '\xad', '\u061c', '\u200b', '\u200d', '\u202e', '\u2028', '\u2067', '\ufeff', '\u{e0041}']

test.each(hidden)('%j is seen, and sent as it was', (c) => {
  const text = `a${c}b`
  expect(shown(text)).toMatch(/^a⟨U\+[0-9A-F]{4,6}⟩.*b$/)
  expect(meant(shown(text))).toBe(text)
  const value = { [text]: [text, 1, null, true], kind: 'x' }
  const seen = parsed<typeof value>(JSON.stringify(value))
  expect(JSON.stringify(seen)).toContain('⟨U+')
  expect(JSON.parse(json(seen))).toEqual(value)
})

test('what looks like a mark comes back as it was', () => {
  for (const text of ['⟨U+202E⟩', '⟨⟨U+202E⟩⟩', '⟨U+', '⟨U+202E⟩\u202e', '⟨U+FFFFFF⟩', '⟨U+27E8⟩U+']) expect(meant(shown(text)), text).toBe(text)
  expect(shown('⟨U+202E⟩')).not.toBe(shown('\u202e'))
  expect(harmless('⟨U+202E⟩\u202e')).toBe('⟨U+202E⟩⟨U+202E⟩')
})

test('what is seen stays as it is', () => {
  for (const text of ['a b', 'two\nlines\tand a tab', '<b>é ü 汉字 שלום 🙂</b>', '']) {
    expect(shown(text)).toBe(text)
    expect(marked(shown(text))).toBe(false)
  }
  expect(parsed('{"a": "<&>\\u003c", "__proto__": {"b": 1}}')).toEqual(JSON.parse('{"a": "<&><", "__proto__": {"b": 1}}'))
})

test('YAML with marks says the same as it was meant', () => {
  const o = { kind: 'ErrorPage', metadata: { name: 'x' }, spec: { body: 'a\u202eb\u2028c\x07d ⟨U+202E⟩\nnext' } }
  const seen = parsed<typeof o>(JSON.stringify(o))
  const text = written(seen)
  expect(text).toContain('⟨U+202E⟩')
  expect(read(plain(text)).objects).toEqual([o])
  // Nothing is left that a reader of YAML could take for the end of a line, or refuses.
  expect(plain(text)).not.toMatch(/[\u2028\u202e\x07]/)
  expect(plain('no: [yaml ⟨U+202E⟩')).toBe('no: [yaml ⟨U+202E⟩')
})
