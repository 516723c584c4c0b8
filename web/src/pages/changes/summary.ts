import { grouped } from '../../text/groups'
import type { ChangeRecord } from '../../api/types'
import { many, some } from '../../text/format'

/** summary says in a line what a change wrote: one object by name, some by kind. */
export function summary(c: Pick<ChangeRecord, 'objects' | 'omitted'>): string {
  const hidden = c.omitted ? ` and ${many(c.omitted, 'object')} of other roles` : ''
  const [one, two] = c.objects
  if (!one) return hidden ? many(c.omitted!, 'object') + ' of other roles' : 'nothing'
  if (!two) return `${one.kind} ${one.name}${hidden}`
  const kinds = [...grouped(c.objects, (o) => o.kind)]
  if (kinds.length === 1) return `${one.kind} ${some(c.objects.map((o) => o.name), 2)}${hidden}`
  return some(kinds.map(([kind, list]) => (list.length === 1 ? `${kind} ${list[0]!.name}` : many(list.length, kind, kind + 's'))), 4) + hidden
}
