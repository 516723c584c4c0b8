import { expect, it } from 'vitest'
import { shape, type Shape } from '../../../api/schema'
import { effectWord, empty, formOf, oneOf, shown, variantName, variantOf } from './forms'

const of = (raw: object): Shape => shape(raw, {}, [])
const queue = of({ oneOf: [{ type: 'string', enum: ['none'] }, { type: 'object', properties: { timeout: { type: 'string' } } }] })
const pool = of({ type: 'object', required: ['name'], properties: { name: { type: 'string' }, info: { type: 'string', readOnly: true }, members: { type: ['array', 'null'], items: { type: 'string' } }, weight: { type: 'integer' } } })

it('chooses the form of a value by its shape', () => {
  expect([of({ type: 'string' }), of({ type: 'string', enum: ['a'] }), of({ type: 'string', 'x-refers': 'Pool' }), of({ type: 'integer' }), of({ type: 'boolean' }), queue, pool].map((s) => formOf(s))).toEqual(['text', 'choice', 'reference', 'number', 'switch', 'variants', 'fields'])
  expect(formOf(of({ type: 'object', additionalProperties: { type: 'string' } }))).toBe('pairs')
  expect(formOf(of({ type: 'string' }), 'description', 'a\nb')).toBe('lines')
  expect(formOf(of({ type: 'string' }), 'chain')).toBe('lines')
})

it('finds the form that a value has', () => {
  expect(variantOf(queue.oneOf!, 'none')).toBe(0)
  expect(variantOf(queue.oneOf!, { timeout: '5s' })).toBe(1)
  expect(variantOf(of({ oneOf: [{ type: 'integer' }, { type: 'string' }] }).oneOf!, 80)).toBe(0)
  expect(variantName(queue.oneOf![0]!)).toBe('none')
  expect(variantName(of({ type: 'string', description: 'One pool for all zones.' }))).toBe('one pool for all zones')
})

it('shows what is set and what is required, and offers the rest', () => {
  expect(shown(pool, { weight: 1, info: 'x' }, [])).toEqual({ here: ['name', 'weight'], more: ['members'] })
  expect(shown(pool, undefined, ['members'])).toEqual({ here: ['name', 'members'], more: ['weight'] })
  expect(empty(pool)).toEqual({ name: '' })
  expect(empty(queue)).toBe('none')
})

it('says in a word what changing takes', () => {
  expect(['run time', 'reload', 'HAProxy 3.4: run time; 3.2: reload', 'nothing', ''].map(effectWord)).toEqual(['run time', 'reload', 'run time or reload', '', ''])
})

it('names an item of a list', () => {
  const words = { addresses: 'address', entries: 'entry', cookies: 'cookie', listeners: 'listener', delegates: 'delegate', rateLimits: 'rateLimit', types: 'type', prefixes: 'prefix', matches: 'match', hostnames: 'hostname', logic: 'logic', contact: 'contact', strip: 'header' }
  for (const [list, one] of Object.entries(words)) expect(oneOf(list)).toBe(one)
})
