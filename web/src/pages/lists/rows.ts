import type { Row } from '../../api/types'

// Rows of the lists, as far as each shows them.

export interface SiteRow extends Row {
  hostnames?: string[]
  addresses?: { name: string; address?: string }[]
  ports?: number[]
  mode?: string
  zones?: string[]
  shifted?: string[]
  certificateDays?: number
}

export interface PoolRow extends Row {
  zone?: string
  mode?: string
  balance?: string
  servers?: { up: number; of: number }
  sites?: string[]
}

export interface CertificateRow extends Row {
  names?: string[]
  notAfter?: string
  days?: number
  issuer?: string
  sites?: string[]
}

/** tops gives the largest values of a column's lines, so that all of them have one scale. */
export function tops(rows: Row[]): { requests: number; errors: number } {
  const most = (of: (r: Row) => (number | null)[] | undefined) => Math.max(0, ...rows.flatMap((r) => (of(r) ?? []).map((v) => v ?? 0)))
  return { requests: most((r) => r.traffic?.spark), errors: most((r) => r.traffic?.errorSpark) }
}

/** left says how long a certificate lasts, and how much of a worry that is. */
export function left(days: number | undefined): { text: string; worry: '' | 'degraded' | 'down' } {
  if (days === undefined) return { text: '–', worry: '' }
  if (days < 0) return { text: `ended ${-days === 1 ? 'yesterday' : `${-days} days ago`}`, worry: 'down' }
  if (days === 0) return { text: 'ends today', worry: 'down' }
  return { text: days === 1 ? '1 day' : `${days.toLocaleString('en')} days`, worry: days < 7 ? 'down' : days < 21 ? 'degraded' : '' }
}
