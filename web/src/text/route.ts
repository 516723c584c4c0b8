import { namesOf, recordOf, textOf, listOf } from './path'

// Routes as the API has them, and as rows of conditions and one action in words.

/** One condition of a route. */
export interface Condition {
  is: 'path' | 'host' | 'method' | 'header' | 'query' | 'cookie' | 'source' | 'schedule' | 'map'
  /** how the value is compared: exact, prefix, regex; present and accessList for values with a name. */
  how: string
  /** name of the header, parameter or cookie. */
  name: string
  value: string
}

export type ActionKind = 'backend' | 'redirect' | 'page' | 'deny' | 'tarpit' | 'map'

type Fields = Record<string, unknown>

const valued = { header: 'headers', query: 'query', cookie: 'cookies' } as const
const hows = ['exact', 'prefix', 'regex', 'present', 'accessList']

/** conditionsOf reads a match. */
export function conditionsOf(match: unknown): Condition[] {
  const m = recordOf(match)
  const list: Condition[] = []
  const add = (is: Condition['is'], value: unknown, how = '', name = '') => value !== undefined && list.push({ is, how, name, value: textOf(value) })
  add('host', m.host)
  if (m.path !== undefined) {
    const p = recordOf(m.path)
    const how = ['exact', 'prefix', 'regex'].find((h) => p[h] !== undefined) ?? 'prefix'
    add('path', p[how] ?? '', how)
  }
  add('method', m.method)
  for (const [is, field] of Object.entries(valued)) {
    for (const raw of listOf(m[field])) {
      const v = recordOf(raw)
      const how = hows.find((h) => v[h] !== undefined) ?? 'exact'
      list.push({ is: is as Condition['is'], how, name: textOf(v.name), value: how === 'present' ? '' : textOf(v[how]) })
    }
  }
  add('source', m.accessList)
  add('schedule', m.schedule)
  add('map', m.map)
  return list
}

/** matchOf writes conditions; those with a name in the order in which the API keeps them, so that its problems find their row. */
export function matchOf(list: Condition[]): Fields {
  const m: Fields = {}
  const one = (is: Condition['is']) => list.find((c) => c.is === is)
  if (one('host')) m.host = one('host')!.value
  if (one('path')) m.path = { [one('path')!.how]: one('path')!.value }
  if (one('method')) m.method = one('method')!.value
  for (const [is, field] of Object.entries(valued)) {
    const values = sorted(list, is as Condition['is'])
    if (values.length > 0) m[field] = values.map((c) => ({ name: c.name, [c.how]: c.how === 'present' ? true : c.value }))
  }
  if (one('source')) m.accessList = one('source')!.value
  if (one('schedule')) m.schedule = one('schedule')!.value
  if (one('map')) m.map = one('map')!.value
  return m
}

function sorted(list: Condition[], is: Condition['is']): Condition[] {
  const key = (c: Condition) => (is === 'header' ? c.name.toLowerCase() : c.name)
  return list.filter((c) => c.is === is).sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0))
}

/** fieldOf tells where in a match a condition stands. */
export function fieldOf(list: Condition[], c: Condition): string {
  if (c.is === 'header' || c.is === 'query' || c.is === 'cookie') return `${valued[c.is]}[${sorted(list, c.is).indexOf(c)}]`
  return c.is === 'source' ? 'accessList' : c.is
}

/** actionOf gives what a route does in its long form. */
export function actionOf(route: unknown): Fields {
  const r = recordOf(route)
  return r.action !== undefined ? recordOf(r.action) : r.backend !== undefined ? { backend: r.backend } : {}
}

export function kindOf(route: unknown): ActionKind {
  if (recordOf(recordOf(route).match).map !== undefined) return 'map'
  const a = actionOf(route)
  return (['redirect', 'page', 'deny', 'tarpit'] as const).find((k) => a[k] !== undefined && a[k] !== false) ?? 'backend'
}

/** routeOf writes a route the shortest way. */
export function routeOf(list: Condition[], action: Fields): Fields {
  const match = matchOf(list)
  if (match.map !== undefined) return { match }
  return Object.keys(action).join() === 'backend' ? { match, backend: action.backend } : { match, action }
}

const compared: Record<string, string> = { exact: 'is', prefix: 'begins with', regex: 'matches', accessList: 'is in list' }

/** matchWords says when a route holds. */
export function matchWords(match: unknown): string {
  const of = { header: 'header', query: 'parameter', cookie: 'cookie' }
  const parts = conditionsOf(match).map((c) => {
    switch (c.is) {
      case 'path':
        return c.how === 'prefix' ? `path begins with ${c.value}` : `path ${compared[c.how]} ${c.value}`
      case 'host':
        return `host is ${c.value}`
      case 'method':
        return `method is ${c.value}`
      case 'source':
        return `client is in list ${c.value}`
      case 'schedule':
        return `while ${c.value} holds`
      case 'map':
        return `path is in map ${c.value}`
      default:
        return c.how === 'present' ? `${of[c.is]} ${c.name} is there` : `${of[c.is]} ${c.name} ${compared[c.how]} ${c.value}`
    }
  })
  return parts.length > 0 ? parts.join(' and ') : 'nothing yet'
}

/** actionWords says what becomes of the requests. */
export function actionWords(route: unknown): string {
  const a = actionOf(route)
  switch (kindOf(route)) {
    case 'map':
      return 'to the backend that the map names'
    case 'redirect':
      return `redirect ${textOf(recordOf(a.redirect).code) || 302} to ${target(recordOf(a.redirect))}`
    case 'page':
      return `answer with page ${textOf(recordOf(a.page).name)}, status ${textOf(recordOf(a.page).status) || 503}`
    case 'deny':
      return `refuse with ${textOf(a.deny)}`
    case 'tarpit':
      return 'hold for ten seconds, then refuse'
  }
  const r = recordOf(a.rewrite)
  const path = a.rewrite !== undefined ? `, path becomes ${textOf(r.path) || below(textOf(r.prefix))}` : ''
  return `to backend ${textOf(a.backend) || '…'}${path}${a.requestHeaders !== undefined || a.responseHeaders !== undefined ? ', headers changed' : ''}`
}

// What is left as it is, is an ellipsis.
function target(r: Fields): string {
  const path = textOf(r.path) || (r.prefix !== undefined ? below(textOf(r.prefix)) : '')
  if (r.scheme === undefined && r.host === undefined) return path || '…'
  return `${textOf(r.scheme) || '…'}://${textOf(r.host) || '…'}${path || '/…'}`
}
function below(prefix: string): string {
  return prefix.replace(/\/+$/, '') + '/…'
}

/** A header that is changed. */
export interface HeaderChange {
  how: 'set' | 'add' | 'remove'
  name: string
  value: string
}

export function headersOf(changes: unknown): HeaderChange[] {
  const c = recordOf(changes)
  return [
    ...namesOf(c.remove).map((name): HeaderChange => ({ how: 'remove', name, value: '' })),
    ...(['set', 'add'] as const).flatMap((how) => Object.entries(recordOf(c[how])).map(([name, value]): HeaderChange => ({ how, name, value: textOf(value) }))),
  ]
}

/** headerChanges writes them; of two of one name the last counts. Nothing is written where there is none. */
export function headerChanges(list: HeaderChange[]): Fields | undefined {
  const out: Fields = {}
  const remove = list.filter((h) => h.how === 'remove').map((h) => h.name)
  if (remove.length > 0) out.remove = remove
  for (const how of ['set', 'add'] as const) {
    const of = list.filter((h) => h.how === how)
    if (of.length > 0) out[how] = Object.fromEntries(of.map((h) => [h.name, h.value]))
  }
  return Object.keys(out).length > 0 ? out : undefined
}

/** merged takes the routes that somebody edits into a site that has changed meanwhile, undefined where its routes changed too. */
export function merged(base: unknown[], mine: unknown[], theirs: unknown[]): unknown[] | undefined {
  const text = (v: unknown) => JSON.stringify(v)
  if (text(base) === text(theirs) || text(mine) === text(theirs)) return mine
  if (text(base) === text(mine)) return theirs
  return undefined
}
