import { expect, test } from 'vitest'
import { covers, lacking, usable } from './certificate'

test('a wildcard stands for one label', () => {
  expect(covers(['*.example.com'], 'www.example.com')).toBe(true)
  expect(covers(['*.example.com'], 'a.b.example.com')).toBe(false)
  expect(covers(['*.example.com'], 'example.com')).toBe(false)
  expect(covers(['*.example.com'], '*.example.com')).toBe(true)
  expect(covers(['*.com'], '*.example.com')).toBe(false)
  expect(covers(['www.example.com'], 'WWW.example.com')).toBe(true)
  expect(lacking(['*.example.com'], ['www.example.com', 'example.org', ''])).toEqual(['example.org'])
})

test('a role may name its own, nobody’s and what is shared with it', () => {
  const of = (role?: string, shareWith?: string[]) => ({ kind: 'Certificate', metadata: { name: 'c', role, shareWith }, spec: {} })
  expect([of('web'), of(), of('media', ['web']), of('media')].map((o) => usable(o, 'web'))).toEqual([true, true, true, false])
})
