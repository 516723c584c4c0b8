// Puts markup into every text field of every kind, by the API's own schema.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { World } from './weir'

interface Raw { $ref?: string; type?: string | string[]; readOnly?: boolean; writeOnly?: boolean; enum?: unknown[]; pattern?: string; format?: string; anyOf?: unknown[]; 'x-refers'?: string; properties?: Record<string, Raw>; items?: Raw; oneOf?: Raw[]; additionalProperties?: Raw | boolean }
export interface Obj { kind: string; metadata: { name: string; [more: string]: unknown }; spec?: unknown }
type Keys = (string | number)[]
interface Problem { object?: string; path?: string; message: string }
interface Refused { detail: string; errors?: Problem[] }

// What stands for all items of a list, all values of a map, and the keys of a map.
const item = '[]', value = '*', key = 'KEY'

/** texts gives the paths of the text fields of a shape: spec.members.[].name, metadata.labels.*, metadata.labels.KEY; those that are one of some words, a name of an object or a form of their own are bound. */
function texts(s: Raw, all: Record<string, Raw>, at: string[] = [], inside: string[] = []): { at: string[]; bound: boolean }[] {
  if (s.readOnly || s.writeOnly) return [] // what is never told again stands on no page
  if (s.$ref) {
    const name = s.$ref.replace('#/components/schemas/', '')
    return inside.includes(name) ? [] : texts(all[name]!, all, at, [...inside, name])
  }
  const more = s.additionalProperties
  return [
    ...([s.type].flat().includes('string') ? [{ at, bound: !!(s.enum ?? s.pattern ?? s.format ?? s.anyOf ?? s['x-refers']) }] : []),
    ...(s.oneOf ?? []).flatMap((o) => texts(o, all, at, inside)),
    ...Object.entries(s.properties ?? {}).flatMap(([k, v]) => texts(v, all, [...at, k], inside)),
    ...(s.items ? texts(s.items, all, [...at, item], inside) : []),
    ...(more && typeof more === 'object' ? [{ at: [...at, key], bound: false }, ...texts(more, all, [...at, value], inside)] : []),
  ]
}

// What is put into fields, the worst first; n tells the fields apart. A field takes the first that the rules accept.
const worst: ((n: number) => string)[] = [
  (n) => `<img src=x onerror=alert(${n})>"'><script>alert(${n})</script>\n{{${n}}} \${${n}} javascript:alert(${n}) \u202eleft\u202c \u200b\u2066 ${'long'.repeat(40)}${n}`,
  (n) => `<img src=x onerror=alert(${n})>"'><script>alert(${n})</script> {{${n}}} \u200b ${'long'.repeat(12)}${n}`,
  (n) => `<img src=x onerror=alert(${n})>"'{{${n}}} \u200b`,
  (n) => `<img src=x onerror=alert(${n})>"'><script>alert(${n})</script>`,
  (n) => `<img src=x onerror=alert(${n})>`,
  (n) => `<svg/onload=alert(${n})>`,
  (n) => `javascript:alert(${n})//{{${n}}}`,
  (n) => `https://127.0.0.1:1/javascript:alert(${n})?<script>`,
  (n) => `https://127.0.0.1:1/javascript:alert(${n})`,
  (n) => `/javascript:alert(${n})`,
  (n) => `{{${n}}}`,
  (n) => `${'word'.repeat(14)}${n}`,
]

/** Field is a place of an object that markup was put into; level says which text of worst, undefined that none is accepted. */
interface Field { bound: boolean; of: Obj; pattern: string; keys: Keys; key: boolean; came: unknown; n: number; level?: number; own: string[] }

/** reason is one for a change, in one line; what turns the direction of text is let through there. */
export const reason = worst[1]!(7) + " \u202eleft\u202c"

export interface Hostile {
  /** objects are what the rules accept. */
  objects: Obj[]
  /** refused is an object of each kind with the worst text in each of its fields. */
  refused: Obj[]
  /** untried are fields of which nothing can be said: an object of hostile.yaml should have them. */
  untried: string[]
  /** taken counts the fields that have markup. */
  taken: number
}

// The API writes a.b[0] and a[b], and some keys in small letters.
const textOf = (keys: Keys) => keys.join('.').toLowerCase()
const pathOf = (path: string) => path.replace(/\[([^\]]*)\]/g, '.$1').toLowerCase()
const under = (path: string, above: string) => path === above || path.startsWith(above + '.')
const at = (v: unknown, keys: Keys) => keys.reduce<unknown>((v, k) => (typeof v === 'object' && v !== null ? (v as Record<string | number, unknown>)[k] : undefined), v)

/** places finds where a pattern stands in a value. */
function places(v: unknown, pattern: string[], keys: Keys = []): Keys[] {
  const [p, ...rest] = pattern
  if (p === undefined) return typeof v === 'string' || typeof v === 'number' ? [keys] : []
  if (typeof v !== 'object' || v === null) return []
  if (p === key) return Array.isArray(v) ? [] : [keys]
  if (p === item) return Array.isArray(v) ? v.flatMap((x, i) => places(x, rest, [...keys, i])) : []
  if (p === value) return Array.isArray(v) ? [] : Object.entries(v).flatMap(([k, x]) => places(x, rest, [...keys, k]))
  return places((v as Record<string, unknown>)[p], rest, [...keys, p])
}

/** put sets what is at a path and makes what is missing above it. */
function put(o: Obj, keys: Keys, what: unknown) {
  let v = o as unknown as Record<string | number, unknown>
  for (const [i, k] of keys.slice(0, -1).entries()) {
    if (typeof v[k] !== 'object' || v[k] === null) v[k] = typeof keys[i + 1] === 'number' ? [] : {}
    v = v[k] as Record<string | number, unknown>
  }
  const last = keys.at(-1)!
  if (what !== undefined) v[last] = what
  else if (Array.isArray(v)) v.splice(Number(last), 1)
  else delete v[last]
}

function fieldsOf(bases: Obj[], schemas: Record<string, Raw>): Field[] {
  const fields: Field[] = []
  for (const kind of new Set(bases.map((o) => o.kind))) {
    const patterns = new Map(texts(schemas[kind]!, schemas).map((p) => [p.at.join('.'), p]))
    for (const [pattern, { at: parts, bound }] of patterns) {
      if (pattern === 'kind' || pattern === 'metadata.name' || pattern === 'metadata.role') continue // which object it is, and whose
      const isKey = parts.at(-1) === key
      const found = bases.filter((o) => o.kind === kind).flatMap((of) => places(of, parts).map((keys) => ({ of, keys })))
      // What stands nowhere is put into the objects of the kind, with what is missing above it.
      if (found.length === 0) for (const of of bases.filter((o) => o.kind === kind)) found.push({ of, keys: (isKey ? parts.slice(0, -1) : parts).map((p) => (p === item ? 0 : p === value ? 'a' : p)) })
      for (const { of, keys } of found) {
        const n = 1000 + fields.length
        const came = isKey ? Object.entries((at(of, keys) ?? {}) as object)[0]?.[1] : at(of, keys)
        fields.push({ of, bound, pattern: `${kind} ${pattern}`, keys, key: isKey, came: isKey && came === undefined ? 'a' : came, n, level: 0, own: [] })
      }
    }
  }
  return fields
}

// made gives the objects with the texts of all fields, keys last, since paths go through the old ones.
function made(bases: Obj[], fields: Field[]): Obj[] {
  const copies = new Map(bases.map((o) => [o, structuredClone(o)]))
  for (const f of [...fields].sort((a, b) => Number(a.key) - Number(b.key))) {
    if (f.level === undefined) continue
    const text = worst[f.level]!(f.n)
    put(copies.get(f.of)!, f.key ? [...f.keys, text] : f.keys, f.key ? structuredClone(f.came) : text)
  }
  return [...copies.values()]
}

let found: Promise<Hostile> | undefined

/** hostile finds by dry runs which fields take what, once, and gives objects with the worst of it. */
export function hostile(world: World): Promise<Hostile> {
  return (found ??= find(world))
}

async function find(world: World): Promise<Hostile> {
  const { value: doc } = await world.call<{ components: { schemas: Record<string, Raw> } }>('GET', '/openapi.json')
  const { value: kinds } = await world.call<{ kinds: { name: string; readOnly?: boolean }[] }>('GET', '/api/v1/kinds')
  const bases = parseAllDocuments(readFileSync(join(import.meta.dirname, 'hostile.yaml'), 'utf8')).map((d) => (d as { toJS(): unknown }).toJS() as Obj)
  // A Token is made by a request of its own, and its texts are names and words that CheckText bounds.
  const lacking = kinds.kinds.filter((k) => !k.readOnly && k.name !== 'Token' && !bases.some((o) => o.kind === k.name)).map((k) => k.name)
  const fields = fieldsOf(bases, doc.components.schemas)
  const ask = async (objects: Obj[]) => {
    const { status, value } = await world.call<Refused>('POST', '/api/v1/apply?dryRun=true', objects)
    return status === 200 ? undefined : value
  }
  const plain = await ask(bases)
  if (plain) throw new Error(`hostile.yaml is refused as it is: ${plain.detail}\n${(plain.errors ?? []).map((e) => `${e.object} ${e.path}: ${e.message}`).join('\n')}`)
  for (let round = 0; ; round++) {
    const objects = made(bases, fields)
    const no = await ask(objects)
    if (!no) break
    if (round === 400) throw new Error(`it goes on being refused: ${no.detail}\n${JSON.stringify(no.errors?.slice(0, 5))}`)
    const lowered = new Set<Field>()
    const lower = (f: Field, said?: string) => {
      if (said && f.own.length === 0) f.own.push(said)
      if (lowered.has(f) || f.level === undefined) return
      lowered.add(f)
      f.level = next(f)
    }
    for (const e of no.errors ?? []) {
      const path = pathOf(e.path ?? '')
      const all = fields.filter((f) => e.object === `${f.of.kind}/${f.of.metadata.name}`)
      for (const f of all) if (!f.key && f.own.length === 0 && path === textOf(f.keys)) f.own.push(e.message)
      const mine = all.filter((f) => f.level !== undefined)
      const blamed = [
        mine.filter((f) => under(path, textOf(f.key ? [...f.keys, worst[f.level!]!(f.n)] : f.keys))),
        // It is said of what is above: of a key, or of what was added and does not belong there.
        mine.filter((f) => f.key && (under(textOf(f.keys), path) || under(path, textOf(f.keys)))),
        mine.filter((f) => f.came === undefined && (path === '' || under(textOf(f.keys), path))),
        mine.filter((f) => under(textOf(f.keys), path)),
        // It names what is another now: a host, a backend.
        mine.filter((f) => f.level === worst.length - 1),
        mine.filter((f) => f.came === undefined),
        // The message names what it is, of another object: the text, or the object.
        fields.filter((f) => f.level !== undefined && e.message.includes(worst[f.level]!(f.n))),
        fields.filter((f) => f.level === worst.length - 1 && e.message.includes(`${f.of.kind}/${f.of.metadata.name}`)),
      ].findIndex((list, i) => {
        list.forEach((f) => (i === 2 || i === 5 ? (f.level = undefined) : lower(f, i < 2 ? e.message : undefined)))
        return list.length > 0
      })
      if (blamed < 0 && JSON.stringify(made(bases, fields)) === JSON.stringify(objects)) throw new Error(`nobody can be blamed for ${e.object} ${e.path}: ${e.message}`)
    }
  }  await alone(bases, fields, ask)
  return { objects: made(bases, fields), taken: fields.filter((f) => f.level !== undefined).length, untried: [...lacking, ...untried(fields)], refused: made(bases, fields.map((f) => ({ ...f, level: 0 }))).filter((o, i, list) => list.findIndex((x) => x.kind === o.kind) === i) }
}

const next = (f: Field) => (!f.bound && f.level! + 1 < worst.length ? f.level! + 1 : undefined)

// alone tries the fields of which nothing is known yet one by one in objects that are else as they were, so that what is
// refused is refused for the text. What is accepted is put beside the others if they go together.
async function alone(bases: Obj[], fields: Field[], ask: (objects: Obj[]) => Promise<Refused | undefined>) {
  for (const pattern of untried(fields)) {
    for (const f of fields.filter((f) => f.pattern === pattern)) {
      for (f.level = 0; f.level !== undefined; f.level = next(f)) {
        const no = await ask(made(bases, [f]))
        if (!no) break
        if (f.own.length === 0 && (f.came !== undefined || no.errors?.some((e) => pathOf(e.path ?? '') === textOf(f.keys)))) f.own.push(no.errors?.[0]?.message ?? no.detail)
      }
      if (f.level !== undefined && (await ask(made(bases, fields)))) f.level = undefined
    }
  }
}

function untried(fields: Field[]): string[] {
  const tried = new Set(fields.filter((f) => f.level !== undefined || f.own.length > 0).map((f) => f.pattern))
  return [...new Set(fields.map((f) => f.pattern))].filter((p) => !tried.has(p))
}
