import type { Obj } from '../api/types'
import { namesOf, recordOf } from './path'

/** covers says whether a certificate for some names is good for a host name; a wildcard stands for one label. */
export function covers(names: string[], host: string): boolean {
  const h = host.toLowerCase()
  const parent = h.slice(h.indexOf('.') + 1)
  return names.some((n) => n === h || (!h.startsWith('*') && h.includes('.') && n === '*.' + parent))
}

/** lacking gives the host names that a certificate is not good for. */
export function lacking(names: string[], hosts: string[]): string[] {
  return hosts.filter((h) => h && !covers(names, h))
}

/** certifiedNames are those of a Certificate: of its chain, else those that are ordered. */
export function certifiedNames(o: Obj): string[] {
  const shown = namesOf(recordOf(o.spec.info).names)
  return shown.length > 0 ? shown : namesOf(o.spec.names)
}

/** usable says whether objects of a role may name an object: it is theirs, nobody's, or shared with them. */
export function usable(o: Obj, role: string | undefined): boolean {
  return !o.metadata.role || o.metadata.role === role || (o.metadata.shareWith ?? []).includes(role ?? '')
}

/** listable says whether a listener may name a Certificate: it has a key, and was not made for a site that orders its own. */
export function listable(o: Obj): boolean {
  return (!!o.spec.issuer || !!o.spec.keyRef) && !o.spec.revoked && !(o.metadata.managedBy === 'weir' && o.metadata.name.startsWith('auto-'))
}
