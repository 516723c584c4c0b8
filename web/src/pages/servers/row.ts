import type { Row } from '../../api/types'

/** A server as its list shows it. */
export interface ServerRow extends Row {
  address?: string
  zone?: string
  weight?: number
  pools?: string[]
  check?: string
  since?: string
  override?: { action: string; until?: string; reason?: string; name?: string }
}
