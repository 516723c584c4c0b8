import { expect, test } from 'vitest'
import type { Obj } from '../api/types'
import { commandFor, effectOf, goes, levelsFor, levelWords, methodsFor, partnersFor, servicesFor, taken, whileWords, whyNot, type Call } from './egress'

const call = (partner: string, environment: string, service: string, sla: string, more: Partial<Call> = {}): Call => ({ path: '', partner, environment, service, sla, rule: 'r', ...more })
const named = (kind: string, name: string, spec: Record<string, unknown> = {}): Obj => ({ kind, metadata: { name }, spec })
const calls = [call('b', 'prod', 'www', 'high'), call('b', 'prod', 'www', 'low'), call('a', 'test', 'mail', 'high', { methods: ['GET', 'PURGE'] })]

test('what rules allow comes first, the rest says why not', () => {
  expect(partnersFor('me', calls, [named('Partner', 'b'), named('Partner', 'x')])).toEqual([
    { value: 'a', name: 'a', hint: '' }, { value: 'b', name: 'b', hint: '' }, { value: 'x', name: 'x', why: 'no EgressRule lets me call it' },
  ])
  const b = named('Partner', 'b', { endpoints: [{ environment: 'prod', service: 'www', host: 'www.b.example' }, { environment: 'prod', service: 'ftp', host: 'f.b.example' }] })
  expect(servicesFor('me', 'b', calls, b)).toEqual([
    { value: 'prod/www', name: 'prod/www', hint: 'www.b.example' }, { value: 'prod/ftp', name: 'prod/ftp', why: 'no EgressRule lets me call it' },
  ])
  expect(levelsFor('b', 'prod/www', calls, [named('SLA', 'low'), named('SLA', 'best')]).map((o) => o.why ?? o.hint)).toEqual([
    '', 'connects in 5s, waits 30s, nothing is tried again, any number at once', 'rules let it be called at high, low alone',
  ])
})

test('levels in words', () => {
  expect(levelWords({ connect: '1s', server: '2s', inFlight: 5, retries: { methods: 'idempotent' } })).toBe('connects in 1s, waits 2s, what is idempotent is tried again, 5 at once')
})

test('the only choice is taken, and an old one says why it is none', () => {
  const offers = [{ value: 'a', name: 'a' }, { value: 'b', name: 'b', why: 'no rule' }]
  expect(taken('', offers)).toBe('a')
  expect(taken('b', offers)).toBe('b')
  expect(taken('', [...offers, { value: 'c', name: 'c' }])).toBe('')
  expect([whyNot('b', offers, 'Partner'), whyNot('a', offers, 'Partner'), whyNot('z', offers, 'Partner'), whyNot('', offers, 'Partner')]).toEqual(['no rule', '', 'there is no Partner z that you may see', ''])
})

test('rules that go by time say when', () => {
  const now = new Date('2030-01-01T10:00:00Z')
  const during = (from?: string, until?: string) => whileWords(call('b', 'prod', 'www', 'high', { schedule: 's', from, until }), now)
  expect(whileWords(calls[0]!, now)).toBe('at any time')
  expect([during(), during('2030-01-01T10:00:01Z'), during('2030-01-01T10:00:00Z'), during(undefined, '2030-01-01T10:00:00Z')]).toEqual(
    ['while s holds', 'while s holds, from 2030-01-01T10:00:01Z', 'while s holds, as now', 'while s held, which is over'])
})

test('methods are those of rules', () => {
  expect(methodsFor([calls[2]!]).filter((o) => !o.why).map((o) => o.value)).toEqual(['GET', 'PURGE'])
  expect(methodsFor(calls).every((o) => !o.why)).toBe(true)
})

test('each object says what it does', () => {
  expect(effectOf(named('EgressRule', 'r', { clients: ['a', 'b'], partner: 'bank', slas: ['fast'], methods: ['GET'], paths: ['/v1'] }))).toBe(
    'Lets a, b call every service of bank in the environment of the client at fast, by GET, at /v1.')
  expect(effectOf(named('EgressRule', 'r', { clients: ['a'], partner: 'bank', slas: ['fast'], schedule: 'sunday' }))).toMatch(/at any path, while Schedule sunday holds\.$/)
  expect(effectOf(named('EgressClient', 'a', { application: 'app', environment: 'prod', sources: ['10.0.0.0/8'] }))).toBe(
    'Calls that begin with /app/prod/ are its own, if they come from 10.0.0.0/8. Whom it may call is what EgressRules say.')
  expect(effectOf(named('Partner', 'bank', { endpoints: [{ environment: 'prod', service: 'www' }], contact: 'desk' }))).toBe(
    'Applications reach its service prod/www through load balancers, where EgressRules let them. When it fails: desk.')
  expect(effectOf(named('SLA', 'fast', { connect: '1s', server: '2s' }))).toContain('connects in 1s, waits 2s')
  expect(effectOf(named('Site', 'www'))).toBe('')
})

test('the command gives the same', () => {
  expect(commandFor('me', 'b', 'prod/www', 'high', '/x?y=1')).toBe("weir egress url --client me --partner b --environment prod --service www --sla high --rest '/x?y=1'")
})

test('calls to a partner are only called answered where some were', () => {
  expect((['serving', 'unknown', 'unused', 'degraded', 'down'] as const).map(goes)).toEqual(['are answered', 'none lately', 'no rule lets anybody call it', '', ''])
})
