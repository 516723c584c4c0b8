import type { Component } from 'svelte'
import { who } from '../state/session.svelte'

// Which page an address shows. Each page is a file of its own, loaded when it is first shown.

// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Loader = () => Promise<{ default: Component<any> }>

export interface Found {
  /** rail is the entry of the rail that the page belongs to. */
  rail: string
  title: string
  /** key tells pages apart: the same one stays while only its props change. */
  key: string
  load: Loader
  props: Record<string, unknown>
}

const home: Loader = () => import('./Home.svelte')
const missing: Loader = () => import('./Missing.svelte')

// Pages at one address each.
const fixed: Record<string, [rail: string, title: string, load: Loader]> = {
  '': ['home', 'Home', home],
  failover: ['failover', 'Failover', () => import('./Failover.svelte')],
  map: ['map', 'Map', () => import('./Map.svelte')],
  changes: ['changes', 'Changes', () => import('./Changes.svelte')],
  fleet: ['fleet', 'Fleet', () => import('./Fleet.svelte')],
  tls: ['tls', 'Certificates', () => import('./Tls.svelte')],
  egress: ['egress', 'Calls to partners', () => import('./Egress.svelte')],
  me: ['', 'My rights', () => import('./Me.svelte')],
  objects: ['objects', 'Objects', () => import('./Objects.svelte')],
}

// Lists and pages of single kinds that have one of their own; all others share one.
const lists: Record<string, Loader> = {
  servers: () => import('./Servers.svelte'),
  sites: () => import('./Sites.svelte'),
  pools: () => import('./Pools.svelte'),
  certificates: () => import('./Tls.svelte'),
}
const ofObjects: Record<string, Loader> = {}
const anyList: Loader = () => import('./List.svelte')
const anyObject: Loader = () => import('./ObjectPage.svelte')
const makers: Record<string, [title: string, load: Loader]> = {
  pools: ['Create a pool', () => import('./pool/New.svelte')],
  sites: ['Create a site', () => import('./site/New.svelte')],
}

// The entry of the rail that shows a kind.
const rails: Record<string, string> = { sites: 'sites', pools: 'pools', servers: 'servers', loadbalancers: 'fleet', certificates: 'tls', zoneshifts: 'failover', egressclients: 'egress', partners: 'egress', slas: 'egress', egressrules: 'egress' }

/** find tells the page of a path's parts. */
export function find(parts: string[]): Found {
  const [one = '', name, tab = ''] = parts
  const at = Object.hasOwn(fixed, one) ? fixed[one] : undefined // the word may be any
  if (at && name === undefined) return { rail: at[0], title: at[1], key: one, load: at[2], props: {} }
  if (one === 'changes' && /^[1-9]\d{0,15}$/.test(name ?? '') && parts.length === 2) return { rail: 'changes', title: `Change ${name}`, key: `changes/${name}`, load: () => import('./ChangePage.svelte'), props: { revision: Number(name) } }
  const kind = who.kind(one)
  if (!kind || parts.length > 3) return { rail: '', title: 'Not here', key: 'missing', load: missing, props: {} }
  const rail = rails[one] ?? 'objects'
  if (name === undefined) return { rail, title: kind.name + (kind.name.endsWith('s') ? 'es' : 's'), key: one, load: lists[one] ?? anyList, props: { kind } }
  const maker = makers[one] ?? [`New ${kind.name}`, () => import('./NewObject.svelte')]
  if (name === 'new' && tab === '') return { rail, title: maker[0], key: one + '/new', load: maker[1], props: { kind } }
  return { rail, title: `${name} · ${kind.name}`, key: `${one}/${name}`, load: ofObjects[one] ?? anyObject, props: { kind, name, tab } }
}
