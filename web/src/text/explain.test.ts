import { expect, test } from 'vitest'
import { answerWords, firstURL, winner, type Explanation } from './explain'

const site = { kind: 'Site', metadata: { name: 'www' }, spec: { hostnames: ['*.shop.example'], listeners: [{ port: 80, redirect: 'https' }, { port: 8443, tls: {} }] } }
const of = (...steps: Explanation['steps']): Explanation => ({ revision: 1, loadBalancer: 'lb', steps, answer: { outcome: 'served' } })

test('the route that took a request is found', () => {
  const site = { about: 'site', object: 'Site/www', field: 'hostnames', says: '' }
  expect(winner(of(site, { about: 'route', object: 'Site/www', field: 'routes[12]', says: '' }, { about: 'zone', object: 'Site/www', says: '' }), 'www')).toEqual({ object: 'Site/www', field: 'routes[12]', index: 12 })
  expect(winner(of(site, { about: 'route', object: 'Route/films', says: '' }), 'www')).toEqual({ object: 'Route/films', field: '', index: -1 })
  expect(winner(of(site, { about: 'route', object: 'Site/www', field: 'backends.default', says: '' }), 'www')?.field).toBe('backends.default')
  expect(winner(of(site), 'www')).toBeUndefined()
})

test('what becomes of a request is a sentence', () => {
  expect(answerWords({ outcome: 'served', backend: 'api', zones: [{ pool: 'api', zone: 'az1', percent: 100, servers: ['a', 'b'] }] })).toBe('It goes to backend api: pool api in az1, 2 servers.')
  expect(answerWords({ outcome: 'refused', status: 403 })).toBe('It is refused with 403.')
  expect(answerWords({ outcome: 'refused', status: 403, text: 'no EgressClient is called x' })).toBe('It is refused with 403: no EgressClient is called x.')
  const call = { client: 'c', service: 'bank/prod/rates', sla: 'fast', rule: 'r' }
  expect(answerWords({ outcome: 'served', call, target: '/v1' })).toBe('EgressRule r lets it pass: bank/prod/rates is asked for /v1 at level fast.')
  expect(answerWords({ outcome: 'served', call: { ...call, rule: undefined } })).toBe('It passes: bank/prod/rates is called at level fast.')
})

test('a site begins with a request that it takes', () => {
  expect(firstURL(site)).toBe('https://www.shop.example:8443/')
  expect(firstURL({ ...site, spec: {} })).toBe('http://www.example.com/')
})
