import { expect, it } from 'vitest'
import { shape, type Shape } from '../../../api/schema'
import { effectWord, empty, formOf, moved, numberTyped, oneOf, renamed, shown, variantName, variantOf } from './forms'

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

it('begins what is added with nothing that counts as a value', () => {
  const all = of({ type: 'object', required: ['name', 'check'], properties: { name: { type: 'string' }, check: { type: 'object', required: ['port'], properties: { port: { type: 'integer' }, path: { type: 'string' } } }, on: { type: 'boolean' } } })
  expect(empty(all)).toEqual({ name: '', check: { port: undefined } })
  expect(empty(of({ type: 'integer' }))).toBeUndefined()
  expect(empty(of({ type: ['array', 'null'], items: { type: 'string' } }))).toEqual([])
  expect(empty(of({ type: 'object', additionalProperties: { type: 'integer' } }))).toEqual({})
  expect(empty(of({ type: 'boolean' }))).toBe(true)
  expect(empty(of({ type: 'string', enum: ['x', 'y'] }))).toBe('x')
})

it('takes numbers as they are typed', () => {
  // Every step of typing 1.5, -3 and 8080 shows what was typed.
  for (const steps of [['1', '1.', '1.5'], ['-', '-3'], ['8', '80', '808', '8080'], ['0', '0.', '0.0', '0.05']]) for (const t of steps) expect(String(numberTyped(t))).toBe(t)
  expect([' 8080 ', '1.5', '-3', '0'].map(numberTyped)).toEqual([8080, 1.5, -3, 0])
  expect(['80a', '08', '1e3', '0x10', 'Infinity', 'NaN', '9'.repeat(40)].map(numberTyped)).toEqual(['80a', '08', '1e3', '0x10', 'Infinity', 'NaN', '9'.repeat(40)])
  expect([numberTyped(''), numberTyped('  ')]).toEqual([undefined, undefined])
})

it('moves items, and no further than the list goes', () => {
  expect(moved(['a', 'b', 'c'], 0, 1)).toEqual(['b', 'a', 'c'])
  expect(moved(['a', 'b', 'c'], 2, -2)).toEqual(['c', 'a', 'b'])
  for (const [from, by] of [[0, -1], [2, 1], [3, -1]] as const) expect(moved(['a', 'b', 'c'], from, by)).toEqual(['a', 'b', 'c'])
})

it('renames keys in their place', () => {
  const map = { a: 1, b: 2, c: 3 }
  expect(JSON.stringify(renamed(map, 'b', ' x '))).toBe('{"a":1,"x":2,"c":3}')
  for (const taken of ['', '  ', 'a', 'b']) expect(renamed(map, 'b', taken)).toBe(map)
  expect(JSON.stringify(renamed(map, 'b', 'constructor'))).toBe('{"a":1,"constructor":2,"c":3}')
})
