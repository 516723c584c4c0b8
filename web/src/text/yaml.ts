import { LineCounter, parseAllDocuments, parseDocument, stringify } from 'yaml'
import { within, type Shape } from '../api/schema'
import type { Obj } from '../api/types'
import { json } from './marks'

/** written gives an object as people write it: without what the server adds, the kind first. */
export function written(o: Obj): string {
  return stringify({ kind: o.kind, metadata: o.metadata, spec: o.spec }, { lineWidth: 0, indentSeq: false })
}

/** read gives the objects of a text, or says in which line it is no YAML. */
export function read(text: string): { objects: Obj[]; problem: string } {
  const lines = new LineCounter()
  const docs = parseAllDocuments(text, { lineCounter: lines })
  if (!Array.isArray(docs)) return { objects: [], problem: '' }
  for (const d of docs) {
    const e = d.errors[0]
    if (e) return { objects: [], problem: `line ${lines.linePos(e.pos[0]).line}: ${e.message.split('\n')[0]!.replace(/ at line .*$/, '')}` }
  }
  return { objects: docs.map((d) => d.toJS() as Obj).filter((o) => o !== null), problem: '' }
}

/** plain gives a text that says what one with marks means, in letters that every reader of YAML takes as they are. */
export function plain(text: string): string {
  const docs = parseAllDocuments(text)
  if (!Array.isArray(docs) || docs.some((d) => d.errors.length > 0)) return text
  // Ends of lines, and what YAML refuses, can stand in it as escapes only.
  const escaped = (s: string) => s.replace(/[\x7f-\uffff]/g, (c) => (/[\ud800-\udfff]/.test(c) ? c : '\\u' + c.charCodeAt(0).toString(16).padStart(4, '0')))
  return docs.map((d) => '---\n' + escaped(json(d.toJS())) + '\n').join('')
}

interface Offer {
  label: string
  apply?: string
  detail?: string
  info?: string
  type: 'property' | 'enum'
}

/** fieldsAt offers what may stand at a place of a text: the fields of the object that the place is in, or the values of its field. */
export async function fieldsAt(text: string, pos: number, kind: string, shapeOf: (kind: string) => Promise<Shape | undefined>): Promise<Offer[]> {
  const start = Math.max(0, text.lastIndexOf('\n---', pos) + 1)
  const end = text.indexOf('\n---', pos)
  const lines = text.slice(start, end < 0 ? undefined : end).split('\n')
  const row = text.slice(start, pos).split('\n').length - 1
  const here = lines[row] ?? ''
  const found = kind || /^kind:\s*(\w+)/m.exec(lines.join('\n'))?.[1]
  const root = found ? await shapeOf(found) : undefined
  if (!root) return []
  const before = here.slice(0, pos - start - lines.slice(0, row).join('\n').length - (row ? 1 : 0))
  const path = pathOf(lines, row)
  const value = /^[\s-]*([\w.-]+):\s+\S*$/.exec(before)
  if (value) {
    const s = within(root, [...path, value[1]!])
    const offers = s?.enum ?? (s?.type === 'boolean' ? ['true', 'false'] : [])
    return offers.map((label) => ({ label, type: 'enum' }))
  }
  if (!/^[\s-]*[\w.-]*$/.test(before)) return []
  const properties = within(root, path)?.properties ?? {}
  return Object.entries(properties)
    .filter(([, s]) => !s.readOnly)
    .map(([label, s]) => ({ label, apply: label + (s.type === 'object' || s.type === 'array' ? ':' : ': '), detail: s.type, info: s.description, type: 'property' as const }))
}

// pathOf gives the keys that a line is below, by indentation alone: while one types, the text is no YAML.
function pathOf(lines: string[], row: number): (string | number)[] {
  const indentOf = (l: string) => l.match(/^ */)![0].length
  const line = lines[row] ?? ''
  let indent = indentOf(line)
  const path: (string | number)[] = []
  if (/^ *- /.test(line) || /^ *-$/.test(line)) path.unshift(0)
  for (let i = row - 1; i >= 0 && (indent > 0 || path[0] === 0); i--) {
    const l = lines[i]!
    if (!l.trim() || l.trim().startsWith('#')) continue
    const at = indentOf(l)
    const item = /^ *- /.test(l)
    const key = /^ *(?:- )*([\w.*-]+):\s*(?:#.*)?$/.exec(l)?.[1]
    const keyAt = l.search(/[^\s-]/)
    if (item && path[0] !== 0 && at < indent && keyAt <= indent) {
      if (key && keyAt < indent) path.unshift(key)
      path.unshift(0)
      indent = at
    } else if (key && !item && (path[0] === 0 ? at <= indent : at < indent)) {
      path.unshift(key)
      indent = at
    }
  }
  return path
}

/** same says whether two texts mean the same. */
export function same(a: string, b: string): boolean {
  return JSON.stringify(parseDocument(a).toJS()) === JSON.stringify(parseDocument(b).toJS())
}
