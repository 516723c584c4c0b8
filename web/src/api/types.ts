// What the API answers, as far as the console looks at it. /openapi.json has everything.

import type { Work } from '../text/work'

export type State = 'serving' | 'degraded' | 'down' | 'unknown' | 'unused'
export type Right = 'viewer' | 'operator' | 'owner' | 'admin'

export interface Grant {
  subject: string
  role: string
  right: Right
}

export interface WhoAmI {
  subject: string
  grants: Grant[]
  groups?: string[]
  token?: string
  expiresAt?: string
  version: string
  revision: number
}

export interface Session {
  signedIn: boolean
  me?: WhoAmI
  providers: { name: string; title: string; url: string }[]
  expiresAt?: string
}

export interface Kind {
  name: string
  plural: string
  area: string
  platform: boolean
  readOnly: boolean
  write: Right
  doc: string
}

export interface Metadata {
  name: string
  role?: string
  labels?: Record<string, string>
  managedBy?: string
  shareWith?: string[]
}

export interface Condition {
  type: string
  status: 'True' | 'False' | 'Unknown'
  reason?: string
  message?: string
  since?: string
  /** ready of of load balancers, or servers. */
  ready?: number
  of?: number
  /** groups are those whose load balancers of counts. */
  groups?: string[]
}

export interface Obj<S = Record<string, unknown>> {
  kind: string
  metadata: Metadata
  spec: S
  status?: { conditions?: Condition[] } & Record<string, unknown>
  revision?: number
}

export interface Traffic {
  requests: number
  errorRatio: number
  p95Ms?: number
  spark?: (number | null)[]
  errorSpark?: (number | null)[]
}

export interface Row {
  name: string
  role?: string
  labels?: Record<string, string>
  managedBy?: string
  /** state is absent of kinds that no load balancer is told of. */
  state: State
  why?: string
  revision?: number
  changed?: { at: string; by: string }
  loadBalancers?: { ready: number; of: number }
  traffic?: Traffic
  [more: string]: unknown
}

export interface Rows<R = Row> {
  revision: number
  total: number
  states: Partial<Record<State, number>>
  rows: R[]
}

/** What is wrong with an object, or part of one. */
export interface ObjectProblem {
  object?: string
  path?: string
  message: string
}

export interface ObjectChange {
  kind: string
  name: string
  before?: Obj
  after?: Obj
}

export interface Change {
  author: string
  /** credential says what the author was known by: "token ci", "session by corp". */
  credential?: string
  reason?: string
  at: string
  undoes?: number
  objects: ObjectChange[]
}

/** A change that was made; omitted counts its objects that the person may not see. */
export interface ChangeRecord extends Change {
  revision: number
  omitted?: number
  waves?: { group: string; state: string; message?: string }[]
  work?: { loadBalancers: Work[] }
}

/** What a write did, or would do. */
export interface Applied {
  revision: number
  dryRun?: boolean
  change: Change
  objects?: Obj[]
  warnings?: ObjectProblem[]
  plan?: PlanAnswer
  planError?: string
}

/** What every load balancer would do. */
export interface PlanAnswer {
  loadBalancers: LoadBalancerPlan[] | null
  problems?: ObjectProblem[]
  certificates?: { object?: string; text: string }[]
  waves?: string[]
  impact?: PlanImpact[]
  impactLeftOut?: number
}

/** Whose traffic a change has to do with, how much is asked of it, and what its zones could bear afterwards. */
export interface PlanImpact {
  site: string
  role?: string
  touches: string
  requests: number | null
  peak: number | null
  spare?: { holds: boolean; without: string; zone?: string; carries?: number }
}

export interface LoadBalancerPlan {
  name: string
  group: string
  zone: string
  version?: string
  commands?: string[]
  reload?: { object?: string; text: string }[]
  sentences?: string[]
}
