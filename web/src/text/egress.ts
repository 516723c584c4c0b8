import type { Obj, State } from '../api/types'
import { some } from './format'
import { listOf, namesOf, recordOf, textOf } from './path'

// What an application may call of partners, as its page offers it.

/** Call is one service of a partner at one level, by one rule. */
export interface Call {
  path: string
  partner: string
  environment: string
  service: string
  sla: string
  rule: string
  methods?: string[]
  paths?: string[]
  /** schedule names the Schedule outside of which the rule lets nothing through; from and until are its ends. */
  schedule?: string
  from?: string
  until?: string
}

/** Calls is all that an application may call, and by which ways out. */
export interface Calls {
  ways: { site: string; url: string }[]
  calls: Call[]
  more?: number
}

/** Composed is one call as programs make it. */
export interface Composed {
  path: string
  method: string
  refused?: string
  schedules?: string[]
  /** certificate is the subject of the one that calls must show. */
  certificate?: string
  urls: { site: string; url: string; snippets: { language: string; text: string }[] }[]
}

/** Offer is something to choose; why says that it can't be chosen. */
export interface Offer {
  value: string
  name: string
  hint?: string
  why?: string
}

const unique = (list: string[]) => [...new Set(list)].sort()

// offered puts what may be chosen before what may not.
function offered(may: string[], all: string[], why: (value: string) => string, hint: (value: string) => string = () => ''): Offer[] {
  const can = unique(may)
  const cannot = unique(all).filter((v) => !can.includes(v))
  return [...can.map((value) => ({ value, name: value, hint: hint(value) })), ...cannot.map((value) => ({ value, name: value, why: why(value) }))]
}

/** goes says in words how calls to a partner go, '' where something is wrong that the API tells the reason of. */
export function goes(state: State): string {
  const words: Partial<Record<State, string>> = { serving: 'are answered', unknown: 'none lately', unused: 'no rule lets anybody call it' }
  return words[state] ?? ''
}

/** partnersFor offers partners to a client. */
export function partnersFor(client: string, calls: Call[], partners: Obj[]): Offer[] {
  return offered(calls.map((c) => c.partner), partners.map((p) => p.metadata.name), () => `no EgressRule lets ${client} call it`)
}

/** servicesFor offers a partner's services, each as "environment/service". */
export function servicesFor(client: string, partner: string, calls: Call[], spec: Obj | undefined): Offer[] {
  const endpoints = listOf(spec?.spec.endpoints).map(recordOf)
  const name = (e: Record<string, unknown>) => `${textOf(e.environment)}/${textOf(e.service)}`
  const host = (value: string) => textOf(endpoints.find((e) => name(e) === value)?.host)
  return offered(calls.filter((c) => c.partner === partner).map((c) => `${c.environment}/${c.service}`), endpoints.map(name), () => `no EgressRule lets ${client} call it`, host)
}

/** levelsFor offers the levels at which a service may be called. */
export function levelsFor(partner: string, service: string, calls: Call[], slas: Obj[]): Offer[] {
  const may = calls.filter((c) => c.partner === partner && `${c.environment}/${c.service}` === service).map((c) => c.sla)
  const at = unique(may).join(', ')
  const says = (value: string) => {
    const level = slas.find((s) => s.metadata.name === value)
    return level ? levelWords(level.spec) : ''
  }
  return offered(may, slas.map((s) => s.metadata.name), () => (at ? `rules let it be called at ${at} alone` : 'choose the service first'), says)
}

/** levelWords says what a level promises, as far as it is of use before a call. */
export function levelWords(spec: Record<string, unknown>): string {
  const again = textOf(recordOf(spec.retries).methods)
  const room = textOf(spec.inFlight)
  return [
    `connects in ${textOf(spec.connect) || '5s'}`,
    `waits ${textOf(spec.server) || '30s'}`,
    again === 'all' ? 'all is tried again' : again ? 'what is idempotent is tried again' : 'nothing is tried again',
    ...(textOf(spec.connections) === 'own' ? ['each call has a connection of its own'] : []),
    room && room !== '0' ? `${room} at once` : 'any number at once',
  ].join(', ')
}

/** taken is what was chosen, or the only thing that there is to choose. */
export function taken(chosen: string, offers: Offer[]): string {
  if (chosen) return chosen
  const may = offers.filter((o) => !o.why)
  return may.length === 1 ? may[0]!.value : ''
}

/** whyNot says why a choice, as an old address has it, can't be made; '' when it can. */
export function whyNot(chosen: string, offers: Offer[], what: string): string {
  if (!chosen) return ''
  const o = offers.find((o) => o.value === chosen)
  return o ? (o.why ?? '') : `there is no ${what} ${chosen} that you may see`
}

/** methodsFor offers the common methods, with those that rules name. */
export function methodsFor(calls: Call[]): Offer[] {
  const common = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']
  const named = calls.flatMap((c) => c.methods ?? [])
  const any = calls.some((c) => !c.methods?.length)
  return [...new Set([...common, ...named])].map((value) => ({ value, name: value, why: any || named.includes(value) ? '' : `no rule lets it through` }))
}

/** effectOf says in a sentence what an object of calls to partners does, '' for other kinds. */
export function effectOf(o: Obj): string {
  const list = (v: unknown, none: string) => namesOf(v).join(', ') || none
  const s = o.spec
  switch (o.kind) {
    case 'EgressClient':
      return `Calls that begin with /${textOf(s.application) || o.metadata.name}/${textOf(s.environment)}/ are its own, if they come from ${list(s.sources, 'nowhere')}${s.subject ? ` with the certificate of ${textOf(s.subject)}` : ''}. Whom it may call is what EgressRules say.`
    case 'Partner': {
      const services = listOf(s.endpoints).map(recordOf).map((e) => `${textOf(e.environment)}/${textOf(e.service)}`)
      return `Applications reach ${services.length === 1 ? 'its service' : 'its services'} ${some(services, 8)} through load balancers, where EgressRules let them.${s.contact ? ` When it fails: ${textOf(s.contact)}.` : ''}`
    }
    case 'SLA':
      return `A call at this level ${levelWords(s)}. EgressRules say who may ask for it.`
    case 'EgressRule':
      return `Lets ${list(s.clients, 'nobody')} call ${list(s.services, 'every service')} of ${textOf(s.partner)} in ${s.environment ? 'its environment ' + textOf(s.environment) : 'the environment of the client'} at ${list(s.slas, 'no level')}, by ${list(s.methods, 'any method')}, at ${list(s.paths, 'any path')}${s.schedule ? `, while Schedule ${textOf(s.schedule)} holds` : ''}.`
  }
  return ''
}

/** whileWords says when a rule lets its calls through. */
export function whileWords(c: Call, now: Date): string {
  if (!c.schedule) return 'at any time'
  if (!c.from && !c.until) return `while ${c.schedule} holds`
  if (c.from && now < new Date(c.from)) return `while ${c.schedule} holds, from ${c.from}`
  return c.until && now >= new Date(c.until) ? `while ${c.schedule} held, which is over` : `while ${c.schedule} holds, as now`
}

/** commandFor is the command that gives the same. */
export function commandFor(client: string, partner: string, service: string, sla: string, rest: string): string {
  const [environment = '', name = ''] = service.split('/')
  return `weir egress url --client ${client} --partner ${partner} --environment ${environment} --service ${name} --sla ${sla}` + (rest ? ` --rest '${rest}'` : '')
}
