import { expect, test } from 'vitest'
import { actionWords, conditionsOf, fieldOf, headerChanges, headersOf, kindOf, matchOf, matchWords, merged, routeOf, actionOf } from './route'

const full = {
  host: 'www.example.com', path: { prefix: '/api/' }, method: 'POST',
  headers: [{ name: 'x-a', exact: '1' }, { name: 'x-b', present: true }], query: [{ name: 'v', regex: '[0-9]+' }], cookies: [{ name: 'c', accessList: 'list' }],
  accessList: 'inside', schedule: 'night',
}

test('a match is the same after it was conditions', () => {
  expect(matchOf(conditionsOf(full))).toEqual(full)
  expect(matchOf(conditionsOf({ map: 'paths' }))).toEqual({ map: 'paths' })
  for (const how of ['exact', 'regex']) expect(matchOf(conditionsOf({ path: { [how]: '/x' } }))).toEqual({ path: { [how]: '/x' } })
  expect(conditionsOf('no object')).toEqual([])
})

test('conditions with a name stand where the API says its problems', () => {
  const list = conditionsOf({ headers: [{ name: 'X-B', exact: 'b' }, { name: 'x-a', exact: 'a' }] })
  expect(list.map((c) => fieldOf(list, c))).toEqual(['headers[1]', 'headers[0]'])
  expect(matchOf(list).headers).toEqual([{ name: 'x-a', exact: 'a' }, { name: 'X-B', exact: 'b' }])
  expect(fieldOf(conditionsOf({ accessList: 'x' }), conditionsOf({ accessList: 'x' })[0]!)).toBe('accessList')
})

test('a route is written the shortest way', () => {
  const path = conditionsOf({ path: { prefix: '/a' } })
  expect(routeOf(path, { backend: 'api' })).toEqual({ match: { path: { prefix: '/a' } }, backend: 'api' })
  expect(routeOf(path, { backend: 'api', rewrite: { prefix: '/' } })).toEqual({ match: { path: { prefix: '/a' } }, action: { backend: 'api', rewrite: { prefix: '/' } } })
  expect(routeOf(conditionsOf({ map: 'm' }), { backend: 'api' })).toEqual({ match: { map: 'm' } })
  expect(actionOf({ backend: 'api' })).toEqual({ backend: 'api' })
})

test('routes read as sentences', () => {
  expect(matchWords({ path: { prefix: '/api/' }, method: 'POST' })).toBe('path begins with /api/ and method is POST')
  expect(matchWords(full)).toContain('header x-b is there and parameter v matches [0-9]+ and cookie c is in list list and client is in list inside and while night holds')
  expect(actionWords({ backend: 'api' })).toBe('to backend api')
  expect(actionWords({ action: { backend: 'api', rewrite: { prefix: '/' }, requestHeaders: { remove: ['x'] } } })).toBe('to backend api, path becomes /…, headers changed')
  expect(actionWords({ action: { redirect: { scheme: 'https', code: 301 } } })).toBe('redirect 301 to https://…/…')
  expect(actionWords({ action: { redirect: { path: '/new' } } })).toBe('redirect 302 to /new')
  expect([{ deny: 403 }, { tarpit: true }, { page: { name: 'sorry' } }].map((action) => kindOf({ action }))).toEqual(['deny', 'tarpit', 'page'])
})

test('headers are the same after they were rows', () => {
  const changes = { remove: ['x-r'], set: { 'x-s': '1' }, add: { 'x-a': '2' } }
  expect(headerChanges(headersOf(changes))).toEqual(changes)
  expect(headerChanges([])).toBeUndefined()
})

test('routes of a site that changed elsewhere are kept, those that changed on both sides are not guessed', () => {
  const a = [{ backend: 'a' }], b = [{ backend: 'b' }], c = [{ backend: 'c' }]
  expect(merged(a, b, a)).toBe(b)
  expect(merged(a, a, c)).toBe(c)
  expect(merged(a, b, c)).toBeUndefined()
})
