import type { Row } from '../../api/types'
import { many } from '../../text/format'

// Rows of the lists, as far as each shows them.

export interface SiteRow extends Row {
  hostnames?: string[]
  addresses?: { name: string; address?: string }[]
  ports?: number[]
  mode?: string
  zones?: string[]
  shifted?: string[]
  certificateDays?: number
  certificateSoon?: boolean
  /** egress are the environments whose applications call partners by it. */
  egress?: string[]
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
  certificateSoon?: boolean
  issuer?: string
  sites?: string[]
}

/** tops gives the largest values of a column's lines, so that all of them have one scale. */
export function tops(rows: Row[]): { requests: number; errors: number } {
  const most = (of: (r: Row) => (number | null)[] | undefined) => Math.max(0, ...rows.flatMap((r) => (of(r) ?? []).map((v) => v ?? 0)))
  return { requests: most((r) => r.traffic?.spark), errors: most((r) => r.traffic?.errorSpark) }
}

/**
 * left says how long a certificate lasts, and how much of a worry that is: by whole days, of which -1 is the day after it
 * ended, and by what the API says of it, as one that is renewed in time is no worry on its last day.
 */
export function left(days: number | undefined, soon = false): { text: string; worry: '' | 'degraded' | 'down' } {
  if (days === undefined) return { text: '–', worry: '' }
  if (days < 0) return { text: days === -1 ? 'has ended' : `ended ${many(-days - 1, 'day')} ago`, worry: 'down' }
  return { text: days === 0 ? 'less than a day' : many(days, 'day'), worry: soon ? 'degraded' : '' }
}
