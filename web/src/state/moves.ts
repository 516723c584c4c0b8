import { ask, at } from '../api/client'
import type { Applied, Obj } from '../api/types'

// What people do to traffic by hand. The objects have the same names as those that the command line makes, so that the
// last of either counts.

const longest = 63

/** fixedName makes a name out of a text, always the same one. */
export async function fixedName(text: string): Promise<string> {
  if (text.length <= longest && /^[a-z0-9]([a-z0-9_-]*[a-z0-9])?$/.test(text)) return text
  const sum = new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))
  const hash = [...sum.slice(0, 4)].map((b) => b.toString(16).padStart(2, '0')).join('')
  const word = [...text.toLowerCase()].map((c) => (/[a-z0-9_]/.test(c) ? c : '-')).join('').slice(0, longest - 9).replace(/^[-_]+|[-_]+$/g, '')
  return (word || 'x') + '-' + hash
}

export interface Move {
  server: string
  role: string
  pool?: string
  state?: 'drain' | 'maintenance' | 'ready'
  weight?: number
  reason: string
  /** until when, in milliseconds. */
  until: number
}

/** overrideOf is the object that a move is. */
export async function overrideOf(m: Move): Promise<Obj> {
  return {
    kind: 'Override',
    metadata: { name: await fixedName(m.server + (m.pool ? `-in-${m.pool}` : '')), role: m.role },
    spec: { server: m.server, ...(m.pool && { pool: m.pool }), ...(m.state && { state: m.state }), ...(m.weight !== undefined && { weight: m.weight }), reason: m.reason, expiresAt: instant(m.until) },
  }
}

export interface Shift {
  sites?: string[]
  role?: string
  all?: boolean
  zone: string
  reason: string
  until: number
}

/** shiftOf is the object that takes sites out of a zone; owner is the role that it belongs to, none for all sites. */
export async function shiftOf(s: Shift, owner: string): Promise<Obj> {
  const whose = s.all ? 'all-sites' : s.role ? s.role + '-sites' : [...(s.sites ?? [])].sort().join('-and-')
  return {
    kind: 'ZoneShift',
    metadata: { name: await fixedName(`${whose}-out-of-${s.zone}`), ...(owner && { role: owner }) },
    spec: { ...(s.all ? { all: true } : s.role ? { role: s.role } : { sites: [...(s.sites ?? [])].sort() }), zone: s.zone, reason: s.reason, expiresAt: instant(s.until) },
  }
}

function instant(ms: number): string {
  return new Date(Math.floor(ms / 1000) * 1000).toISOString().replace('.000Z', 'Z')
}

/** apply makes objects, and deletions as "Kind/name", one change; dry tells what it would do, with the plan. */
export async function apply(objects: Obj[], how: { reason?: string; dry?: boolean; deletes?: string[]; signal?: AbortSignal } = {}): Promise<Applied> {
  const yaml = objects.map((o) => '---\n' + JSON.stringify(o) + '\n').join('')
  const query = { reason: how.reason, dryRun: how.dry, plan: how.dry, delete: how.deletes }
  return (await ask<Applied>('/api/v1/apply', { method: 'POST', asks: how.dry, yaml, query, signal: how.signal })).value
}

/** remove deletes one object as it was seen, and gives the revision of that; what somebody wrote meanwhile is left alone. */
export async function remove(plural: string, seen: Obj, reason: string): Promise<number> {
  return (await ask(at(plural, seen.metadata.name), { method: 'DELETE', query: { reason }, etag: `"${seen.revision}"` })).revision
}
