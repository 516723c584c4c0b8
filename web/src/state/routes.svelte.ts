import { ask, at, Refusal, unheard } from '../api/client'
import type { Applied, Obj } from '../api/types'
import { packed, unpacked } from '../text/pack'
import { listOf, recordOf } from '../text/path'
import { actionOf, conditionsOf, merged, routeOf, type Condition } from '../text/route'
import { textOf } from './draft.svelte'
import { Foretold } from './foretold.svelte'
import { router } from './router.svelte'
import { whenOther } from './session.svelte'

/** A route as it is edited; saved is its place in the site as it is kept, -1 for a new one. */
export interface EditedRoute {
  id: number
  saved: number
  conditions: Condition[]
  action: Record<string, unknown>
  /** touched says that it is no longer as it came. */
  touched: boolean
  came: unknown
}

/** A route at its place in the order, the site's own or that of a Route. */
export interface PlacedRoute {
  object: string
  field?: string
  role?: string
  why: string
  ahead?: string
  match: unknown
  backend?: string
  action?: unknown
}

/** What somebody else wrote meanwhile. */
export interface Conflict {
  site: Obj
  /** fits says that only other parts of the site changed. */
  fits: boolean
}

const pause = 300

/** Routes is the routes of a site while somebody edits them, and what the API says of them. */
export class Routes extends Foretold {
  site: Obj
  rows = $state<EditedRoute[]>([])
  conflict = $state.raw<Conflict>()
  hidden = $state(0)
  busy = $state(false)
  /** placed is the order, with the id of the row for the site's own. */
  placed = $state.raw<{ id: number; route: PlacedRoute }[]>([])
  #base = $state.raw<{ revision: number; routes: unknown[] | undefined }>({ revision: 0, routes: [] })
  #next = 0

  constructor(site: Obj) {
    super()
    this.site = site
    const kept = unpacked(router.get('draft'))?.[0]
    if (kept?.kind === 'Routes' && kept.metadata.name === site.metadata.name) {
      const revision = Number(kept.spec.revision) || 0
      this.#base = { revision, routes: revision === site.revision ? listOf(site.spec.routes) : undefined }
      this.rows = listOf(kept.spec.routes).map((r, i) => this.#row(r, -1 - i))
    } else this.take(site)
  }

  /** take begins anew from a site as it is kept. */
  take(site: Obj) {
    this.site = site
    this.#base = { revision: site.revision ?? 0, routes: listOf(site.spec.routes) }
    this.rows = listOf(site.spec.routes).map((r, i) => this.#row(r, i))
    this.problem = this.answer = this.conflict = undefined
  }

  /** renew takes over what was saved elsewhere, unless something is being edited. */
  renew(site: Obj) {
    if (site.metadata.name === this.site.metadata.name && site.revision !== this.site.revision && !this.dirty) this.take(site)
  }

  #row(route: unknown, saved: number): EditedRoute {
    return { id: this.#next++, saved, conditions: conditionsOf(recordOf(route).match), action: structuredClone(actionOf(route)), touched: false, came: route }
  }

  add(): EditedRoute {
    this.rows.push(this.#row({ match: { path: { prefix: '' } }, backend: Object.keys((this.site.spec.backends ?? {}) as object)[0] ?? 'default' }, -1))
    const row = this.rows.at(-1)!
    row.touched = true
    return row
  }

  remove(id: number) {
    this.rows = this.rows.filter((r) => r.id !== id)
  }

  /** swap puts a row behind the one that comes after it, which counts only where nothing else orders them. */
  swap(a: number, b: number) {
    const i = this.rows.findIndex((r) => r.id === a), j = this.rows.findIndex((r) => r.id === b)
    if (i < 0 || j < 0) return
    const rows = [...this.rows]
    ;[rows[i], rows[j]] = [rows[j]!, rows[i]!]
    this.rows = rows
  }

  /** routes are those of the site as they are edited. */
  get routes(): unknown[] {
    return this.rows.map((r) => (r.touched ? routeOf($state.snapshot(r.conditions) as Condition[], $state.snapshot(r.action) as Record<string, unknown>) : $state.snapshot(r.came)))
  }

  get dirty(): boolean {
    return this.#base.routes === undefined || JSON.stringify(this.routes) !== JSON.stringify(this.#base.routes)
  }

  /** edited is the site as it would be. */
  get edited(): Obj {
    const routes = this.routes
    return { kind: this.site.kind, metadata: this.site.metadata, spec: { ...this.site.spec, routes: routes.length > 0 ? routes : undefined } }
  }

  /** at tells what is wrong with a part of a row, and below it. */
  at(id: number, path = '', below = true): string {
    const i = this.rows.findIndex((r) => r.id === id)
    const from = `spec.routes[${i}]${path && '.' + path}`
    return (this.problem?.problem.errors ?? [])
      .filter((e) => e.path === from || (below && e.path.startsWith(from) && /^[.[]/.test(e.path.slice(from.length))))
      .map((e) => e.message)
      .join('; ')
  }

  /** follow asks for the order and the plan whenever something has changed: $effect(() => routes.follow()). */
  follow(): (() => void) | undefined {
    const text = textOf([this.edited])
    const ids = this.rows.map((r) => r.id)
    const dirty = this.dirty
    if (this.busy) return
    this.asking = true
    const timer = setTimeout(() => {
      const draft = dirty ? packed([{ kind: 'Routes', metadata: { name: this.site.metadata.name }, spec: { revision: this.#base.revision, routes: this.routes } }]) : ''
      if (router.get('draft') !== draft) router.set({ draft })
      void this.#ask(text, ids, dirty)
    }, pause)
    return () => clearTimeout(timer)
  }

  async #ask(text: string, ids: number[], dirty: boolean) {
    await this.foretell(async (signal) => {
      const order = await ask<{ routes: PlacedRoute[]; hidden?: number }>('/api/v1/sites/preview', { method: 'POST', asks: true, yaml: text, signal })
      if (signal.aborted) return undefined
      this.placed = order.value.routes.map((route) => ({ id: ids[Number(/^routes\[(\d+)\]$/.exec(route.field ?? '')?.[1] ?? -1)] ?? -1, route }))
      this.hidden = order.value.hidden ?? 0
      return dirty ? (await ask<Applied>('/api/v1/plan', { method: 'POST', asks: true, yaml: text, signal })).value : undefined
    })
  }

  /** save writes the routes and gives the revision, 0 when they were refused, or when the site is no longer what it was. */
  async save(reason: string): Promise<number> {
    if (this.busy) return 0
    this.stop()
    this.busy = true
    try {
      const a = await ask<Obj>(at('sites', this.site.metadata.name), { method: 'PUT', yaml: textOf([this.edited]), etag: `"${this.#base.revision}"`, query: { reason } })
      this.take(a.value)
      return a.revision
    } catch (e) {
      if (!(e instanceof Refusal)) throw e
      if (e.status === 412) await this.#compare(e)
      else this.problem = e
      return 0
    } finally {
      this.busy = false
    }
  }

  async #compare(refused: Refusal) {
    try {
      const site = (await ask<Obj>(at('sites', this.site.metadata.name))).value
      if ((site.revision ?? 0) <= this.#base.revision) {
        this.problem = unheard()
        return
      }
      this.conflict = { site, fits: this.#base.routes !== undefined && merged(this.#base.routes, this.routes, listOf(site.spec.routes)) !== undefined }
      this.problem = undefined
    } catch (e) {
      if (!(e instanceof Refusal)) throw e
      this.problem = refused
    }
  }

  /** ontop keeps the routes as they were typed and all else as it is kept now. */
  ontop() {
    const site = this.conflict?.site
    if (!site) return
    this.site = site
    this.#base = { revision: site.revision ?? 0, routes: listOf(site.spec.routes) }
    this.rows = this.rows.map((r) => ({ ...r, saved: -1 }))
    this.conflict = undefined
  }
}

let last: Routes | undefined
whenOther(() => (last = undefined))

/** routesOf gives the routes of a site to edit: those that were left unsaved when the person looked elsewhere, else new ones. */
export function routesOf(site: Obj): Routes {
  if (!last || last.site.metadata.name !== site.metadata.name || !last.dirty) last = new Routes(site)
  return last
}
