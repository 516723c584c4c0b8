import type { State } from '../../api/types'

/** What a zone does of a site. */
export interface Cell {
  zone: string
  /** share of the site's requests, 0 to 1. */
  share?: number
  requests?: number
  healthy: number
  total: number
  capacity?: number
  shifted?: { name: string; reason: string; until?: string; schedule?: string; by?: string }
}

export interface MatrixRow {
  site: string
  role?: string
  state: State
  cells: Cell[]
}

export interface Matrix {
  zones: { name: string; capacity?: number; carries?: number }[]
  total: number
  rows: MatrixRow[]
}

/** What a shift would do: shares of each site, and what each zone would carry. */
export interface Preview {
  sites: { site: string; before: Record<string, number>; after: Record<string, number> }[]
  zones: { name: string; before?: number; after?: number; healthy?: number; capacity?: number; holds: boolean; why?: string }[]
  warnings?: string[]
}
