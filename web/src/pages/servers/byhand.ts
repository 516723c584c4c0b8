import { get } from '../../api/client'
import type { Obj } from '../../api/types'

/** What is done to a server by hand. */
export interface Override {
  server: string
  pool?: string
  state?: 'drain' | 'maintenance' | 'ready'
  weight?: number
  reason?: string
  expiresAt?: string
}

/** byHand gives what is done by hand to some servers, by the names of the objects. */
export async function byHand(servers: string[]): Promise<Map<string, Override>> {
  const names = new Set(servers)
  const all = await get<{ items: Obj<Override>[] | null }>('/api/v1/overrides')
  return new Map((all.items ?? []).filter((o) => names.has(o.spec.server)).map((o) => [o.metadata.name, o.spec]))
}

/** between tells, server by server, what others have done to them between two looks. */
export function between(before: Map<string, Override>, after: Map<string, Override>): string[] {
  const told: string[] = []
  for (const [name, now] of after) {
    const was = before.get(name)
    if (was && JSON.stringify(was) === JSON.stringify(now)) continue
    const what = now.state ?? `weight ${now.weight}`
    told.push(`${now.server}${now.pool ? ` in ${now.pool}` : ''}: ${what}${now.reason ? ` (${now.reason})` : ''}`)
  }
  for (const [name, was] of before) if (!after.has(name)) told.push(`${was.server}${was.pool ? ` in ${was.pool}` : ''}: no longer ${was.state ?? `weight ${was.weight}`}`)
  return told
}
