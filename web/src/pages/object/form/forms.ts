import type { Shape } from '../../../api/schema'

/** Form is how a value is edited. */
export type Form = 'text' | 'lines' | 'number' | 'switch' | 'choice' | 'reference' | 'fields' | 'pairs' | 'items' | 'variants'

// Strings that are texts of many lines whatever they hold now.
const long = /^(chain|key|text|body|html|json|pem|data|caBundle)$/

/** formOf tells the form of a value by its shape; name is that of its field. */
export function formOf(s: Shape, name = '', value?: unknown): Form {
  if (s.oneOf?.length) return 'variants'
  if (s.type === 'array') return 'items'
  if (s.type === 'object') return s.properties ? 'fields' : 'pairs'
  if (s.type === 'boolean') return 'switch'
  if (s.type === 'integer' || s.type === 'number') return 'number'
  if (s.enum?.length) return 'choice'
  if (s.refers) return 'reference'
  return (typeof value === 'string' && value.includes('\n')) || long.test(name) ? 'lines' : 'text'
}

/** empty is what a field begins with when it is added. */
export function empty(s: Shape): unknown {
  switch (formOf(s)) {
    case 'variants':
      return empty(s.oneOf![0]!)
    case 'items':
      return []
    case 'pairs':
      return {}
    case 'fields':
      return Object.fromEntries(s.required.flatMap((k) => (s.properties?.[k] ? [[k, empty(s.properties[k]!)]] : [])))
    case 'switch':
      return true
    case 'number':
      return undefined
    case 'choice':
      return s.enum![0]
    default:
      return ''
  }
}

/** variantOf tells which of the forms a value has; the first when it has none of them. */
export function variantOf(forms: Shape[], value: unknown): number {
  const type = Array.isArray(value) ? 'array' : typeof value
  const fits = (s: Shape) => (s.enum ? s.enum.includes(String(value)) : s.type === type || (type === 'number' && s.type === 'integer'))
  const found = forms.findIndex(fits)
  return found < 0 ? 0 : found
}

/** variantName says in a few words what a form of a value is. */
export function variantName(s: Shape): string {
  if (s.enum?.length === 1) return s.enum[0]!
  if (s.description) return s.description.replace(/\.$/, '').replace(/^./, (c) => c.toLowerCase())
  if (s.type === 'object') return 'its fields'
  return { string: 'a word', integer: 'a number', boolean: 'yes or no', array: 'a list' }[s.type] ?? s.type
}

/** shown gives the fields of an object that a form shows, and those that can be added; fields that only tell are left out. */
export function shown(s: Shape, value: unknown, opened: string[]): { here: string[]; more: string[] } {
  const all = Object.keys(s.properties ?? {}).filter((k) => !s.properties![k]!.readOnly)
  const set = value !== null && typeof value === 'object' ? Object.keys(value).filter((k) => all.includes(k)) : []
  const here = [...new Set([...s.required.filter((k) => all.includes(k)), ...set, ...opened.filter((k) => all.includes(k))])]
  return { here, more: all.filter((k) => !here.includes(k)) }
}

/** effectWord says in a word or two what changing a field takes, out of the sentence that says it all. */
export function effectWord(effect: string): string {
  const [reload, runs] = [effect.includes('reload'), effect.includes('run time')]
  return reload && runs ? 'run time or reload' : reload ? 'reload' : runs ? 'run time' : ''
}

// Lists whose name is no regular plural of what is in them.
const ones: Record<string, string> = { alpn: 'protocol', cookies: 'cookie', exempt: 'access list', forwardedFor: 'network', proxyProtocol: 'network', query: 'parameter', remove: 'header', shareWith: 'role', strip: 'header' }

/** oneOf names an item of a list by the list's name: address of addresses, entry of entries. */
export function oneOf(list: string): string {
  return ones[list] ?? list.replace(/ies$/, 'y').replace(/(ss|sh|ch|x)es$/, '$1').replace(/(?<!s)s$/, '')
}

/**
 * numberTyped reads a number while it is typed, undefined where nothing is. What is not yet written as numbers are (1., -, 08)
 * stays as it is: to show it otherwise would take it out of the typist's hands, and the API says what is wrong with it.
 */
export function numberTyped(text: string): number | string | undefined {
  const t = text.trim()
  return t === '' ? undefined : String(Number(t)) === t && Number.isFinite(Number(t)) ? Number(t) : t
}

/** moved gives a list with one item some places further; it stays where there are not so many. */
export function moved<T>(list: T[], from: number, by: number): T[] {
  const next = [...list]
  if (!(from in list) || !(from + by in list)) return next
  next.splice(from + by, 0, ...next.splice(from, 1))
  return next
}

/** renamed gives a map with a key under another name, at its place; a name that is empty or taken changes nothing. */
export function renamed(map: Record<string, unknown>, from: string, to: string): Record<string, unknown> {
  const name = to.trim()
  if (!name || Object.hasOwn(map, name)) return map
  return Object.fromEntries(Object.entries(map).map(([k, v]) => [k === from ? name : k, v]))
}
