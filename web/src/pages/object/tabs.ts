import type { Component } from 'svelte'
import type { Kind, Obj } from '../../api/types'
import { charts } from '../traffic/sets'
import type { Draft } from './draft.svelte'

/** What a tab of an object's page is given. */
export interface Shown {
  kind: Kind
  name: string
  object: Obj
  draft: Draft
  /** refresh asks for the object again. */
  refresh: () => void
  tab: string
}

interface Tab {
  /** slug is its part of the address; the empty one is the first. */
  slug: string
  title: string
  /** of are the kinds that have it; without, all have. */
  of?: string[]
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  load: () => Promise<{ default: Component<any> }>
}

/** The tabs of objects' pages, in their order. A kind's own stand here as one line each. */
export const tabs: Tab[] = [
  { slug: '', title: 'Overview', load: () => import('./Overview.svelte') },
  { slug: 'routes', title: 'Routes', of: ['Site'], load: () => import('../site/Routes.svelte') },
  { slug: 'calls', title: 'Calls', of: ['EgressClient'], load: () => import('../egress/Calls.svelte') },
  { slug: 'servers', title: 'Servers', of: ['Pool'], load: () => import('../servers/PoolServers.svelte') },
  { slug: 'health', title: 'Health', of: ['Server'], load: () => import('../servers/ServerHealth.svelte') },
  { slug: 'traffic', title: 'Traffic', of: Object.keys(charts).filter((k) => k !== 'TLS'), load: () => import('../traffic/Traffic.svelte') },
  { slug: 'log', title: 'Log', of: ['Site'], load: () => import('../traffic/Log.svelte') },
  { slug: 'edit', title: 'Edit', load: () => import('./Edit.svelte') },
  { slug: 'yaml', title: 'YAML', load: () => import('./Edit.svelte') },
  { slug: 'used-by', title: 'Used by', load: () => import('./UsedBy.svelte') },
  { slug: 'history', title: 'History', load: () => import('./History.svelte') },
  { slug: 'rendered', title: 'Rendered', of: ['LoadBalancer', 'Site', 'Pool', 'Server', 'Certificate', 'AccessList', 'Map', 'RateLimit', 'Logic', 'ErrorPage', 'Split', 'Route'], load: () => import('./Rendered.svelte') },
]

/** tabsOf gives those of a kind. */
export function tabsOf(kind: string): Tab[] {
  return tabs.filter((t) => !t.of || t.of.includes(kind))
}
