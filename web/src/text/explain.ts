import type { Obj } from '../api/types'
import { many, some } from './format'
import { listOf, namesOf, recordOf, textOf } from './path'

/** What a load balancer does with a request, as the API explains it. */
export interface Explanation {
  revision: number
  loadBalancer: string
  assumed?: string[]
  steps: { about: string; object?: string; field?: string; says: string }[]
  answer: Verdict
  passed?: { object?: string; field?: string; match: string; why: string }[]
  unsure?: string[]
}

interface Verdict {
  outcome: string
  status?: number
  location?: string
  page?: string
  site?: string
  backend?: string
  target?: string
  text?: string
  call?: { client?: string; service?: string; sla?: string; rule?: string }
  zones?: { zone?: string; pool: string; percent: number; servers?: string[] }[]
}

/** winner tells which route took a request, undefined where none had to be looked for. */
export function winner(e: Explanation, site: string): { object: string; field: string; index: number } | undefined {
  const s = e.steps.findLast((s) => s.about === 'route' && (s.object === 'Site/' + site || s.object?.startsWith('Route/')))
  if (!s?.object) return undefined
  const field = s.field ?? ''
  return { object: s.object, field, index: Number(/^routes\[(\d+)\]/.exec(field)?.[1] ?? -1) }
}

/** answerWords says in a sentence what becomes of it. */
export function answerWords(a: Verdict): string {
  const pools = (a.zones ?? []).map((z) => `pool ${z.pool}${z.zone ? ` in ${z.zone}` : ''}${(a.zones ?? []).length > 1 ? ` (${Math.round(z.percent * 10) / 10} %)` : ''}`)
  const servers = (a.zones ?? []).reduce((n, z) => n + (z.servers?.length ?? 0), 0)
  switch (a.outcome) {
    case 'served':
      if (a.call) return `${a.call.rule ? `EgressRule ${a.call.rule} lets it pass` : 'It passes'}: ${a.call.service} is ${a.target ? `asked for ${a.target}` : 'called'} at level ${a.call.sla}.`
      return `It goes to backend ${a.backend}: ${some(pools, 4)}, ${many(servers, 'server')}.`
    case 'tried':
      return `It goes to backend ${a.backend}, where no server is up: ${some(pools, 4)} are tried all the same.`
    case 'redirected':
      return `The client is sent to ${a.location} (${a.status}).`
    case 'refused':
      if (a.text) return `It is refused with ${a.status}: ${a.text}.`
      return `It is refused with ${a.status}${a.page ? ` and page ${a.page}` : ''}.`
    case 'page':
      return `Page ${a.page} is the answer (${a.status}).`
    case 'maintenance':
      return a.call ? `It is refused with ${a.status}: ${a.text || `${a.call.service} is in maintenance, and page ${a.page} says so`}.` : 'The site is closed for maintenance.'
    case 'challenge':
      return 'It is an authority’s question for a certificate, which Weir answers.'
    case 'closed':
      return 'The connection is closed without an answer.'
    case 'unserved':
      return `It goes to backend ${a.backend}, and nobody is there to serve it.`
  }
  return a.outcome
}

/** firstURL is a request that a site takes, to begin with. */
export function firstURL(site: Obj): string {
  const host = (namesOf(site.spec.hostnames)[0] ?? 'www.example.com').replace(/^\*\./, 'www.').replace(/^\*$/, 'www.example.com')
  const listeners = listOf(site.spec.listeners).map(recordOf)
  const l = listeners.find((l) => l.tls !== undefined) ?? listeners.find((l) => !l.redirect) ?? {}
  const scheme = l.tls !== undefined ? 'https' : 'http'
  const port = textOf(l.port)
  return `${scheme}://${host}${port && port !== (scheme === 'https' ? '443' : '80') ? ':' + port : ''}/`
}
