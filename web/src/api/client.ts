import { json, marked, meant, parsed } from '../text/marks'
import { heard } from './clock'

// How the console asks the API: in the name of who is signed in, by the cookie that the browser keeps. This is the one
// place where texts come in and go out, so that what nobody sees is spelled out in all that pages show (text/marks).

/** What the API says when it refuses (RFC 9457). */
export interface Problem {
  title: string
  status: number
  detail: string
  errors: { path: string; message: string; object?: string }[]
}

/** Refusal is an answer that is no success, or none at all (status 0). */
export class Refusal extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title)
  }
  get status() {
    return this.problem.status
  }
}

export interface Answer<T> {
  value: T
  etag: string
  /** The revision of a write, 0 when there was none. */
  revision: number
}

export type Query = Record<string, string | number | boolean | string[] | undefined>

/** address makes a path and a query; what is undefined or empty is left out. */
export function address(path: string, query: Query = {}): string {
  const q = new URLSearchParams()
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === '' || value === false) continue
    for (const v of Array.isArray(value) ? value : [value]) q.append(name, String(v))
  }
  const text = q.toString()
  return text ? `${path}?${text}` : path
}

/** at makes the path of an object; names are escaped. */
export function at(plural: string, name: string, more = ''): string {
  return `/api/v1/${plural}/${encodeURIComponent(name)}${more}`
}

interface Ask {
  method?: string
  query?: Query
  /** body is sent as JSON, yaml as it is. */
  body?: unknown
  yaml?: string
  etag?: string
  /** known is the ETag of what is shown already: then value may be undefined, which says that nothing changed. */
  known?: string
  signal?: AbortSignal
}

/** How long an answer may take that is only read, in milliseconds; a write is awaited, since nobody knows what became of it. */
const patience = 30_000

// onSignedOut is told when the API no longer knows who asks. What it gives, if anything, is kept when somebody is signed
// in again: who only reads awaits that.
let onSignedOut: () => Promise<void> | undefined = () => undefined
export function whenSignedOut(f: () => Promise<void> | undefined) {
  onSignedOut = f
}

// onForbidden is told when the API refuses for want of a right, which the page may have thought was there.
let onForbidden = () => {}
export function whenForbidden(f: () => void) {
  onForbidden = f
}

// send gives the answer to a request, whole within that many milliseconds, a Refusal, or what the asker aborted it with.
async function send(path: string, ask: Ask, within?: number): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json, application/problem+json' }
  let body: string | undefined
  if (ask.yaml !== undefined) {
    headers['Content-Type'] = 'application/yaml'
    body = marked(ask.yaml) ? (await import('../text/yaml')).plain(ask.yaml) : ask.yaml
  } else if (ask.body !== undefined) {
    headers['Content-Type'] = 'application/json'
    body = json(ask.body)
  }
  if (ask.etag) headers['If-Match'] = ask.etag
  if (ask.known) headers['If-None-Match'] = ask.known
  const ends = [ask.signal, within && AbortSignal.timeout(within)].filter((s) => s instanceof AbortSignal)
  let res: Response
  try {
    res = await fetch(meantQuery(path, ask.query), { method: ask.method ?? 'GET', headers, body, signal: AbortSignal.any(ends), credentials: 'same-origin', cache: 'no-store' })
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e
    throw silence()
  }
  heard(res.headers.get('Date'))
  if (res.ok || res.status === 304) return res
  const refusal = new Refusal(await problemOf(res))
  if (res.status === 403) onForbidden()
  const again = res.status === 401 ? onSignedOut() : undefined
  if (!again || !reads(ask)) throw refusal
  await again
  ask.signal?.throwIfAborted()
  return send(path, ask, within)
}

function reads(ask: Ask): boolean {
  return (ask.method ?? 'GET') === 'GET'
}

// silence is what is said when no answer comes, or not all of one.
function silence(): Refusal {
  return new Refusal({ title: 'No answer', status: 0, detail: 'The control plane does not answer. Load balancers go on as they are; this page tries again.', errors: [] })
}

// whole reads an answer to its end, which a connection may not live to see.
async function whole(res: Response, signal?: AbortSignal): Promise<string> {
  try {
    return await res.text()
  } catch (e) {
    if (signal?.aborted) throw e
    throw silence()
  }
}

function meantQuery(path: string, query: Query = {}): string {
  const all = Object.entries(query).map(([name, v]): [string, Query[string]] => [name, typeof v === 'string' ? meant(v) : Array.isArray(v) ? v.map(meant) : v])
  return address(path, Object.fromEntries(all))
}

async function problemOf(res: Response): Promise<Problem> {
  const fallback: Problem = { title: res.statusText || 'Refused', status: res.status, detail: res.status >= 500 ? `The control plane, or what stands before it, could not answer this (${res.status}). Load balancers go on as they are.` : `The answer was ${res.status}.`, errors: [] }
  try {
    const given = parsed<Record<string, unknown>>(await res.text())
    return {
      title: words(given.title) || fallback.title,
      status: res.status,
      detail: words(given.detail) || words(given.title) || fallback.detail,
      errors: Array.isArray(given.errors) ? given.errors.map((e: Record<string, unknown>) => ({ path: String(e.path ?? e.location ?? ''), message: String(e.message ?? ''), object: e.object === undefined ? undefined : String(e.object) })) : [],
    }
  } catch {
    return fallback
  }
}

function words(v: unknown): string {
  return typeof v === 'string' ? v : ''
}

// readable reads an answer, which is always an object or a list of them.
function readable(text: string): unknown {
  try {
    const value = parsed(text)
    if (typeof value !== 'object' || value === null) throw new SyntaxError('no object')
    return value
  } catch {
    throw new Refusal({ title: 'No answer', status: 0, detail: 'What came back is no answer of the control plane; something between it and this browser speaks in its place.', errors: [] })
  }
}

/** ask sends one request and reads a JSON answer. */
export async function ask<T>(path: string, how: Ask = {}): Promise<Answer<T>> {
  const res = await send(path, how, reads(how) ? patience : undefined)
  const text = res.status === 304 || res.status === 204 ? '' : await whole(res, how.signal)
  return { value: (text ? readable(text) : undefined) as T, etag: res.headers.get('ETag') ?? '', revision: Number(res.headers.get('Weir-Revision') ?? 0) }
}

/** get is the value alone. */
export async function get<T>(path: string, query?: Query, signal?: AbortSignal): Promise<T> {
  return (await ask<T>(path, { query, signal })).value
}

/** lines reads a stream of JSON values, one a line, until it ends or is aborted. */
export async function* lines<T>(path: string, query: Query, signal: AbortSignal): AsyncGenerator<T> {
  const res = await send(path, { query, signal })
  const reader = res.body!.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  for (;;) {
    const { done, value } = await next(reader, signal)
    if (done) return
    const parts = (rest + value).split('\n')
    rest = parts.pop()!
    for (const part of parts) if (part.trim()) yield readable(part) as T
  }
}

async function next(reader: ReadableStreamDefaultReader<string>, signal: AbortSignal) {
  try {
    return await reader.read()
  } catch (e) {
    if (signal.aborted) throw e
    throw silence()
  }
}
