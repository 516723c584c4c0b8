import type { State } from '../../api/types'

/** What one load balancer sees of a server. */
export interface View {
  loadBalancer: string
  state: 'up' | 'down' | 'starting' | 'maint' | 'drain' | 'no check'
  since?: string
  check?: string
  connections?: number
}

export interface Health {
  server: string
  up: number
  of: number
  views: View[]
}

/** seenAs says what HAProxy sees of a server as people say it. */
export function seenAs(v: View['state']): string {
  return { maint: 'in maintenance', drain: 'draining', 'no check': 'not checked', up: 'up', down: 'down', starting: 'starting' }[v] ?? v
}

/** stateOf puts what HAProxy sees of a server into the words of all objects. */
export function stateOf(v: View['state']): State {
  return v === 'up' || v === 'no check' ? 'serving' : v === 'down' ? 'down' : v === 'starting' ? 'unknown' : 'degraded'
}

/** stateOfAll is the worst that holds everywhere: down when no load balancer sends it traffic, degraded when some do not. */
export function stateOfAll(h: Health): State {
  if (h.of === 0) return 'unknown'
  if (h.up === h.of) return 'serving'
  if (h.up > 0) return 'degraded'
  return h.views.some((v) => v.state === 'down') ? 'down' : h.views.every((v) => v.state === 'starting') ? 'unknown' : 'degraded'
}

/** spanOf reads a duration as Weir writes them, in milliseconds: 500ms, 30s, 1m30s, 2h, 3d. */
export function spanOf(text: string | undefined): number {
  let ms = 0
  for (const [, n, unit] of (text ?? '').matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)) ms += Number(n) * { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[unit as 'ms']
  return ms
}

/** rising is the share of its traffic, of 0 to 1, that a server takes while its slow start lasts; 1 after it. HAProxy lets the weight grow evenly over the time. */
export function rising(v: View, slowStart: string | undefined, now: number): number {
  const whole = spanOf(slowStart)
  if (whole === 0 || v.state !== 'up' || !v.since) return 1
  return Math.min(1, Math.max(0, (now - Date.parse(v.since)) / whole))
}
