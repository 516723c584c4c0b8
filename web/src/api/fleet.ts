import type { State } from './types'

/** One load balancer as /api/v1/status tells of it. */
export interface LoadBalancer {
  name: string
  zone: string
  state: 'Active' | 'Drain' | 'Maintenance'
  run: string
  message?: string
  ready: boolean
  reachable: boolean
  revision: number
  seen: number
  lastSeen?: string
  agent?: string
  haproxy?: string
  reloads: { count: number; last?: string; reasons?: { object?: string; text: string }[] }
  ended?: { count: number; last?: string; why?: string }
  warnings?: { reason: string; message: string; since?: string }[]
  programmed: number
  pending: number
  quarantined: number
  deviations?: Deviation[]
  drift?: { since?: string; [more: string]: unknown }
}

export interface Deviation {
  object?: string
  state: string
  reason?: string
  message?: string
  since?: string
}

export interface Group {
  name: string
  wanted: number
  ready: number
  of: number
  laggards?: string[]
  loadBalancers: LoadBalancer[]
  problems?: { object?: string; path?: string; message: string }[]
  waves?: { state: string; [more: string]: unknown }
  notServing?: { object: string; down: boolean; loadBalancers: string[]; reason: string; message: string }[]
  notServingHidden?: number
}

/** The fleet, by group. */
export interface Fleet {
  version: string
  revision: number
  groups: Group[]
  strangers?: { name: string; [more: string]: unknown }[]
}

/** What one glance at everything tells. */
export interface Overview {
  revision: number
  sites: Counts
  pools: Counts
  loadBalancers: Counts
  /** first is the one that ends or ended first of those that are soon or expired. */
  certificates: { soon: number; expired: number; first?: { name: string; notAfter: string } }
  attention: { object: string; state: State; why: string; since?: string; loadBalancers?: string[] }[]
  attentionLeftOut?: number
  changing: { revision: number; author: string; reason?: string; time: string; ready: number; of: number }[]
}

export type Counts = Partial<Record<State, number>>
