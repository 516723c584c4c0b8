import { some } from './format'

/** Who is in a pool, or would be. */
export interface PoolPreview {
  revision: number
  in: number
  out: Record<string, number>
  servers: { name: string; in: boolean; state: string; reason: string; address?: string; zone?: string; clusters?: string[]; member?: boolean }[]
  omitted?: number
  hidden?: number
}

const reasons: Record<string, string> = {
  zone: 'in another zone', cluster: 'in another cluster', shared: 'not shared with the role', port: 'without the port', member: 'named by hand already', waiting: 'not registered', stale: 'silent', withdrawn: 'withdrawn',
}

/** outOf says in a few words why servers are not in. */
export function outOf(out: Record<string, number>): string {
  return some(Object.entries(out).sort(([, a], [, b]) => b - a).map(([state, n]) => `${n} ${reasons[state] ?? state}`), 4)
}
