import { pathOf, type Path } from './path'

/** same says whether two values are the same all the way down; the order of keys does not count. */
export function same(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object' || Array.isArray(a) !== Array.isArray(b)) return false
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>]
  const keys = Object.keys(x)
  return keys.length === Object.keys(y).length && keys.every((k) => k in y && same(x[k], y[k]))
}

/**
 * onto brings what mine changed of base onto theirs. Where both changed the same, mine stays, and its path is in both.
 * Lists count as one value.
 */
export function onto(base: unknown, mine: unknown, theirs: unknown, keys: Path = [], both: string[] = []): { value: unknown; both: string[] } {
  if (same(mine, base)) return { value: theirs, both }
  if (same(theirs, base) || same(mine, theirs)) return { value: mine, both }
  const maps = [base, mine, theirs].map((v) => (v !== null && typeof v === 'object' && !Array.isArray(v) ? (v as Record<string, unknown>) : undefined))
  const [b, m, t] = maps
  if (!m || !t) return { value: mine, both: [...both, pathOf(keys)] }
  const merged: Record<string, unknown> = {}
  for (const k of new Set([...Object.keys(t), ...Object.keys(m)])) {
    const one = onto(b?.[k], m[k], t[k], [...keys, k], both)
    both = one.both
    if (one.value !== undefined) merged[k] = one.value
  }
  return { value: merged, both }
}
