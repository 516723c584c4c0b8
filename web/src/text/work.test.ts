import { expect, it } from 'vitest'
import { deeds, did, took, type Work } from './work'

const at = (name: string, more: Partial<Work> = {}): Work => ({ name, group: 'edge', zone: 'az1', done: true, afterMs: 80, commands: 3, ...more })

it('gathers load balancers that did the same, whenever that was', () => {
  const list = deeds([at('a'), at('b', { afterMs: 1300 }), at('c', { reloaded: true, commands: 0, reload: [{ text: 'a port' }] }), at('d', { done: false, afterMs: undefined })])
  expect(list.map((d) => d.all.map((w) => w.name))).toEqual([['a', 'b'], ['c'], ['d']])
  expect(list.map(took)).toEqual(['80 ms to 1.3 s', '80 ms', ''])
  expect(list.map((d) => did(d.first))).toEqual(['at run time, 3 commands, no reload', 'one reload, hitless', 'not read back yet'])
})

it('says when there was nothing to do, and what is left to do', () => {
  expect(did(at('a', { commands: 0 }))).toBe('nothing was to be done')
  expect(did(at('a', { commands: 1, waiting: 1 }))).toBe('at run time, 1 command, no reload; 1 waiting for connections to end')
  expect(did(at('a', { started: true }))).toBe('HAProxy was started with it')
})
