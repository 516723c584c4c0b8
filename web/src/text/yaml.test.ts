import { expect, it } from 'vitest'
import { shape } from '../api/schema'
import { fieldsAt, read, written } from './yaml'

const all = {
  Pool: { type: 'object', properties: { kind: { type: 'string' }, metadata: { type: 'object', properties: { name: { type: 'string' } } }, spec: { $ref: '#/components/schemas/PoolSpec' }, status: { type: 'object', readOnly: true } } },
  PoolSpec: {
    type: 'object',
    properties: { balance: { type: 'string', enum: ['leastconn', 'roundrobin'] }, members: { type: ['array', 'null'], items: { $ref: '#/components/schemas/Member' } }, healthCheck: { type: 'object', properties: { type: { type: 'string' }, path: { type: 'string' } } } },
  },
  Member: { type: 'object', properties: { name: { type: 'string' }, address: { type: 'string' } } },
}
const shapeOf = async (kind: string) => (kind === 'Pool' ? shape(all.Pool, all, []) : undefined)
const at = async (text: string) => (await fieldsAt(text.replace('|', ''), text.indexOf('|'), '', shapeOf)).map((o) => o.label)

it('offers the fields of where one is', async () => {
  expect(await at('kind: Pool\n|')).toEqual(['kind', 'metadata', 'spec'])
  expect(await at('kind: Pool\nspec:\n  |')).toEqual(['balance', 'members', 'healthCheck'])
  expect(await at('kind: Pool\nspec:\n  balance: |')).toEqual(['leastconn', 'roundrobin'])
  expect(await at('kind: Pool\nspec:\n  healthCheck:\n    ty|')).toEqual(['type', 'path'])
  expect(await at('kind: Pool\nspec:\n  members:\n    - |')).toEqual(['name', 'address'])
  expect(await at('kind: Pool\nspec:\n  members:\n  - name: a\n    |')).toEqual(['name', 'address'])
  expect(await at('kind: Site\nspec:\n  |')).toEqual([])
  expect(await at('kind: Site\n---\nkind: Pool\nmetadata:\n  |')).toEqual(['name'])
})

it('reads objects, or says where it can not', () => {
  expect(read('kind: Pool\n---\nkind: Site\n').objects.map((o) => o.kind)).toEqual(['Pool', 'Site'])
  expect(read('kind: Pool\nspec: [\n').problem).toMatch(/^line \d: /)
})

it('writes objects without what the server adds', () => {
  const text = written({ kind: 'Pool', metadata: { name: 'web' }, spec: { members: [{ name: 'a' }] }, status: {}, revision: 7 })
  expect(text).toBe('kind: Pool\nmetadata:\n  name: web\nspec:\n  members:\n  - name: a\n')
})
