import type { State } from '../../api/types'

/** A ZoneShift in force; without a name it is one that the person may not see. */
export interface CellShift {
  name?: string
  role?: string
  reason?: string
  until?: string
  by?: string
}

/** What a zone does of a backend of a site. */
export interface Cell {
  zone: string
  pool: string
  /** share of its requests, 0 to 1. */
  share: number
  requests: number | null
  healthy: number
  total: number
  /** able is the part of the weight that may take traffic. */
  able: number
  shifted?: CellShift
}

/** How a backend of a site is divided in a group. */
export interface Part {
  group: string
  backend: string
  requests: number | null
  counted?: boolean
  cells: Cell[]
}

export interface MatrixRow {
  site: string
  role?: string
  state: State
  parts: Part[]
}

export interface ShiftInForce extends CellShift {
  zone: string
  sites?: string[]
  ofRole?: string
  all?: boolean
}

export interface Matrix {
  zones: { name: string; capacity?: number; carries?: number | null }[]
  total: number
  rows: MatrixRow[]
  shifts?: ShiftInForce[]
}

export interface SiteShift {
  site: string
  group: string
  backend: string
  before: Record<string, number>
  after: Record<string, number>
  stays?: boolean
}

/** What a shift would do: shares of each site, and what each zone would carry. */
export interface Preview {
  sites: SiteShift[]
  moves: number
  stay?: number
  leftOut?: number
  zones: { name: string; before: number | null; after: number | null; healthy: number; total: number; capacity?: number; holds: boolean; why?: string }[]
  warnings?: string[]
}

/** picture is what people decide by, without figures that are others each second. */
export function picture(p: Preview): string {
  const serves = (shares: Record<string, number>) => Object.keys(shares).filter((z) => shares[z]! > 0.005).sort()
  return JSON.stringify([p.zones.map((z) => [z.name, z.holds, z.healthy, z.total]), p.sites.map((s) => [s.site, s.group, s.backend, serves(s.before), serves(s.after)]), p.moves, p.stay ?? 0])
}

/** partName tells parts of a site apart: by the backend where it has several, by the group where it is in several. */
export function partName(part: { group: string; backend: string }, all: { group: string; backend: string }[]): string {
  const backend = new Set(all.map((p) => p.backend)).size > 1 ? part.backend : ''
  const group = new Set(all.map((p) => p.group)).size > 1 ? part.group : ''
  return backend && group ? `${backend} on ${group}` : backend || group
}

/** whoseOf says whose traffic a shift moves. */
export function whoseOf(s: ShiftInForce): string {
  if (s.all) return s.role ? `all sites of role ${s.role}` : 'all sites'
  if (s.ofRole) return `all sites of role ${s.ofRole}`
  const names = s.sites ?? []
  return names.length > 3 ? `${names.slice(0, 3).join(', ')} and ${names.length - 3} more` : names.join(', ')
}
