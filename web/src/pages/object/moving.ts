import { address } from '../../api/client'
import type { Obj } from '../../api/types'
import { recordOf } from '../../text/path'

/** moveOf is the way from an object's page to where its traffic is moved by hand; undefined where there is none. */
export function moveOf(o: Obj): { title: string; href: string } | undefined {
  const name = o.metadata.name
  if (o.kind === 'Server') return { title: 'Drain, weight…', href: `/servers/${encodeURIComponent(name)}/health` }
  // Only what has a pool in each zone can be taken out of one.
  const zoned = o.kind === 'Site' && Object.values(recordOf(o.spec.backends)).some((b) => Object.keys(recordOf(b)).length > 1)
  return zoned ? { title: 'Fail over…', href: address('/failover', { q: name }) } : undefined
}
