/** Path leads to a part of an object: keys of objects and maps, and numbers for items of lists. */
export type Path = (string | number)[]

/** path writes a path as the API does: spec.members[0].address. */
export function path(keys: Path): string {
  return keys.map((k, i) => (typeof k === 'number' ? `[${k}]` : i ? '.' + k : k)).join('')
}

/** at gives what is at a path, undefined when nothing is. */
export function at(value: unknown, keys: Path): unknown {
  for (const k of keys) value = value === null || typeof value !== 'object' ? undefined : (value as Record<string | number, unknown>)[k]
  return value
}

/** put gives a copy with something else at a path; undefined takes away what is there. Nothing else is copied. */
export function put<T>(value: T, keys: Path, what: unknown): T {
  const [key, ...rest] = keys
  if (key === undefined) return what as T
  if (typeof key === 'number' || Array.isArray(value)) {
    const list = Array.isArray(value) ? [...value] : []
    const i = Number(key)
    if (rest.length === 0 && what === undefined) list.splice(i, 1)
    else list[i] = put(list[i], rest, what)
    return list as T
  }
  const o: Record<string, unknown> = value !== null && typeof value === 'object' ? { ...value } : {}
  const next = put(o[key], rest, what)
  if (next === undefined) delete o[key]
  else o[key] = next
  return o as T
}

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
  if (!m || !t) return { value: mine, both: [...both, path(keys)] }
  const merged: Record<string, unknown> = {}
  for (const k of new Set([...Object.keys(t), ...Object.keys(m)])) {
    const one = onto(b?.[k], m[k], t[k], [...keys, k], both)
    both = one.both
    if (one.value !== undefined) merged[k] = one.value
  }
  return { value: merged, both }
}
