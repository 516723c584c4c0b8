import type { Obj } from '../api/types'
import { harmless, texts } from './marks'

/** How long a draft in an address may be, in characters: beyond it the address would be cut off on its way. */
const longest = 2000

// Kinds and fields that hold secrets: a draft with one of them is never put into an address.
const secret = (o: Obj) => o.kind === 'Secret' || o.kind === 'Token' || 'key' in o.spec

/** packed writes objects so that they can stand in an address, '' when they are too long for it or hold a secret. */
export function packed(objects: Obj[]): string {
  if (objects.some(secret)) return ''
  const bytes = new TextEncoder().encode(JSON.stringify(objects))
  const text = btoa(String.fromCharCode(...bytes.subarray(0, longest))).replaceAll('+', '-').replaceAll('/', '_').replace(/=+$/, '')
  return bytes.length > longest || text.length > longest ? '' : text
}

/** unpacked reads what packed wrote, undefined for anything else: an address is nobody's word. */
export function unpacked(text: string): Obj[] | undefined {
  if (!text || text.length > longest) return undefined
  try {
    const raw = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
    const list: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(raw, (c) => c.charCodeAt(0))))
    const fine = (o: unknown): o is Obj => {
      const x = o as Obj | null
      return typeof x === 'object' && x !== null && typeof x.kind === 'string' && typeof x.metadata?.name === 'string' && typeof x.spec === 'object' && x.spec !== null && !secret(x)
    }
    return Array.isArray(list) && list.length > 0 && list.every(fine) ? texts(list, harmless) : undefined
  } catch {
    return undefined
  }
}
