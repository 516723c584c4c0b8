import type { PlanImpact } from '../api/types'
import { rate } from './format'

/** asked says how much is asked of a site, as far as that is known. */
export function asked(i: PlanImpact): string {
  const now = i.requests === null ? '' : `${rate(i.requests)}/s now`
  const peak = i.peak === null ? '' : `peak ${rate(i.peak)}/s`
  return [now, peak].filter(Boolean).join(' · ')
}

/** bears says whether the site's zones could bear the loss of one after the change. */
export function bears(s: NonNullable<PlanImpact['spare']>): string {
  if (!s.zone) return `no other zone can take what ${s.without} serves`
  return s.holds ? `any one zone may go (without ${s.without}, ${s.zone} carries ${s.carries} %)` : `without ${s.without}, ${s.zone} would carry ${s.carries} % of what it can`
}
