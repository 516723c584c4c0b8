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
  /** since is until when what a page shows instead was known to be true, in milliseconds; 0 when it shows nothing. */
  constructor(
    readonly problem: Problem,
    readonly since = 0,
  ) {
    super(problem.detail || problem.title)
  }
  get status() {
    return this.problem.status
  }
  /** silent says that nobody could answer, which says nothing of what was asked: it may be asked again. */
  get silent() {
    return this.status === 0 || this.status >= 500
  }
}

export interface Answer<T> {
  value: T
  etag: string
  /** The revision of a write, 0 when there was none. */
  revision: number
  /** Since when the control plane that answered has not heard of its store, in milliseconds; 0 while it does. */
  cutOffSince: number
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
  /** asks says of a POST that it writes nothing, as the question for a plan. */
  asks?: boolean
  /** known is the ETag of what is shown already: then value may be undefined, which says that nothing changed. */
  known?: string
  signal?: AbortSignal
}

/** How long an answer may take that is only read, in milliseconds; a write is awaited, since nobody knows what became of it. */
const patience = 30_000

// newest is the last revision that this page has seen or made. Nothing older is to be had from then on, whichever control
// plane answers: one that has not heard of it yet waits, or says so.
let newest = 0
function saw(revision: unknown) {
  if (typeof revision === 'number' && revision > newest) newest = revision
}
/** forgetRevisions is for who comes back to what may be another store: one that was restored begins with earlier ones. */
export function forgetRevisions() {
  newest = 0
}

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
  if (newest > 0) headers['Weir-At-Least'] = String(newest)
  if (ask.known) headers['If-None-Match'] = ask.known
  const ends = [ask.signal, within && AbortSignal.timeout(within)].filter((s) => s instanceof AbortSignal)
  let res: Response
  try {
    res = await fetch(meantQuery(path, ask.query), { method: ask.method ?? 'GET', headers, body, signal: AbortSignal.any(ends), credentials: 'same-origin', cache: 'no-store' })
  } catch (e) {
    if (e instanceof DOMException && e.name === 'AbortError') throw e
    throw silence(reads(ask))
  }
  heard(res.headers.get('Date'))
  if (res.ok || res.status === 304) return res
  const refusal = new Refusal(await problemOf(res))
  if (res.status === 403) onForbidden()
  const again = res.status === 401 ? onSignedOut() : undefined
  if (!again || !gets(ask)) throw refusal
  await again
  ask.signal?.throwIfAborted()
  return send(path, ask, within)
}

function gets(ask: Ask): boolean {
  return (ask.method ?? 'GET') === 'GET'
}

function reads(ask: Ask): boolean {
  return ask.asks || gets(ask)
}

/** silence is what is said when no answer comes, or not all of one. What became of a write is then anybody's guess. */
export function silence(reads = true, since = 0): Refusal {
  const detail = reads
    ? 'The control plane does not answer. Load balancers go on as they are; this page tries again.'
    : 'The control plane did not answer, so nobody knows whether this was done. What you typed is kept: look at what is there once it answers, and do it again if it was not done.'
  return new Refusal({ title: reads ? 'No answer' : 'It may be done or not', status: 0, detail, errors: [] }, since)
}

// whole reads an answer to its end, which a connection may not live to see.
async function whole(res: Response, ask: Ask): Promise<string> {
  try {
    return await res.text()
  } catch (e) {
    if (ask.signal?.aborted) throw e
    throw silence(reads(ask))
  }
}

/** cutOff is said of what a control plane tells that has not heard of its store since then. */
export function cutOff(since: number): Refusal {
  return new Refusal({ title: '', status: 503, detail: 'The control plane that answers does not reach its store (etcd): what others wrote since may be missing, and nothing can be written here. Load balancers go on as they are.', errors: [] }, since)
}

/** unheard is said when what was written is refused for something newer, and who refuses it has nothing newer. */
export function unheard(): Refusal {
  return new Refusal({ title: 'Not saved', status: 503, detail: 'The control plane that answered has not heard yet what was written last. What you typed is kept: save it again in a moment.', errors: [] })
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
  const res = await send(path, how, gets(how) ? patience : undefined)
  const text = res.status === 304 || res.status === 204 ? '' : await whole(res, how)
  const value = text ? readable(text) : undefined
  const revision = Number(res.headers.get('Weir-Revision') ?? 0)
  saw(revision)
  saw((value as { revision?: unknown } | undefined)?.revision)
  return { value: value as T, etag: res.headers.get('ETag') ?? '', revision, cutOffSince: Date.parse(res.headers.get('Weir-Silent-Since') ?? '') || 0 }
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

// A stream says every 15 seconds at least that it lives. One that says nothing is over, though no connection ended: the
// other side may stand still, or be out of reach.
const beat = 40_000

async function next(reader: ReadableStreamDefaultReader<string>, signal: AbortSignal) {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, no) => (timer = setTimeout(() => no(silence()), beat)))
  try {
    return await Promise.race([reader.read(), late])
  } catch (e) {
    if (signal.aborted) throw e
    void reader.cancel().catch(() => {})
    throw silence()
  } finally {
    clearTimeout(timer)
  }
}
