// Characters that nobody sees, or that turn the direction of what follows: controls, joiners and spaces of no width,
// marks and overrides of direction, tags. A text with them reads otherwise than it is. What comes from the API, and so
// all that pages show, has them spelled out as ⟨U+202E⟩; what goes to the API has them as they were.

// eslint-disable-next-line no-control-regex
const unseen = '[\\0-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f-\\x9f\\u00ad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180e\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164\\ufeff\\uffa0\\ufff9-\\ufffb\\u{e0000}-\\u{e007f}]'
const each = new RegExp(unseen, 'gu')
// What looks like a mark is spelled out, too, or it could not be told from one.
const eachOrMark = new RegExp(unseen + '|⟨(?=U\\+)', 'gu')
const some = new RegExp(unseen + '|⟨U\\+|\\\\u(?!003[ce]|0026)', 'iu')
const mark = /⟨U\+([0-9A-F]{4,6})⟩/g

const spelled = (c: string) => `⟨U+${c.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}⟩`

/** shown spells out what nobody sees; meant is the way back. */
export function shown(text: string): string {
  return text.replace(eachOrMark, spelled)
}

/** meant gives the text that shown was given. */
export function meant(text: string): string {
  return text.replace(mark, (whole, hex: string) => {
    const c = parseInt(hex, 16)
    return c <= 0x10ffff ? String.fromCodePoint(c) : whole
  })
}

/** harmless spells out what nobody sees in a text that may have marks already, as an address has that somebody else made. */
export function harmless(text: string): string {
  return text.replace(each, spelled)
}

/** texts gives a value with each of its texts, keys too, put through f. */
export function texts<T>(value: T, f: (text: string) => string): T {
  if (typeof value === 'string') return f(value) as T
  if (Array.isArray(value)) return value.map((v) => texts(v as unknown, f)) as T
  if (value === null || typeof value !== 'object') return value
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [f(k), texts(v as unknown, f)])) as T
}

/** parsed reads JSON to be shown. */
export function parsed<T>(json: string): T {
  const value = JSON.parse(json) as T
  return some.test(json) ? texts(value, shown) : value
}

/** marked says whether a text has marks. */
export function marked(text: string): boolean {
  return text.includes('⟨U+')
}

/** json writes a value as it is meant. */
export function json(value: unknown): string {
  const text = JSON.stringify(value)
  return marked(text) ? JSON.stringify(texts(value, meant)) : text
}
