import { recordOf, textOf } from './path'

// Routes that send the paths below one to a backend, as the form of a new site makes them; all others are left alone.
function plain(route: unknown, backend: string): boolean {
  const r = recordOf(route)
  const match = recordOf(r.match)
  return r.backend === backend && Object.keys(match).join() === 'path' && Object.keys(recordOf(match.path)).join() === 'prefix'
}

/** pathOf gives the path below which requests go to a backend. */
export function pathOf(routes: unknown[], backend: string): string {
  return textOf(recordOf(recordOf(recordOf(routes.find((r) => plain(r, backend))).match).path).prefix)
}

/** setPath gives the routes with another such path; '' takes the route out. */
export function setPath(routes: unknown[], backend: string, prefix: string): unknown[] | undefined {
  const at = routes.findIndex((r) => plain(r, backend))
  const next = routes.filter((_, i) => i !== at)
  if (prefix) next.splice(at < 0 ? next.length : at, 0, { match: { path: { prefix } }, backend })
  return next.length > 0 ? next : undefined
}
