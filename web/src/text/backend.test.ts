import { expect, test } from 'vitest'
import { pathOf, setPath } from './backend'

test('the path of a backend is a route of its own', () => {
  const other = { match: { path: { prefix: '/x/' }, method: 'POST' }, backend: 'api' }
  const routes = setPath([other], 'api', '/api/')!
  expect(routes).toEqual([other, { match: { path: { prefix: '/api/' } }, backend: 'api' }])
  expect(pathOf(routes, 'api')).toBe('/api/')
  expect(setPath(routes, 'api', '/v2/')).toEqual([other, { match: { path: { prefix: '/v2/' } }, backend: 'api' }])
  expect(setPath(routes, 'api', '')).toEqual([other])
  expect(setPath([], 'api', '')).toBeUndefined()
  expect(pathOf([null, 'x', other], 'api')).toBe('')
})
