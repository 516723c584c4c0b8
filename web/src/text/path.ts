// Parts of objects, by paths: as the API writes them, spec.members[2].port, or as the keys that lead there.

/** Path leads to a part of an object: keys of objects and maps, and numbers for items of lists. */
export type Path = (string | number)[]

export function keysOf(path: string): Path {
  return path.split(/[.[\]]+/).filter(Boolean).map((k) => (/^\d+$/.test(k) ? Number(k) : k))
}

/** pathOf writes a path as the API does. */
export function pathOf(keys: Path): string {
  return keys.map((k, i) => (typeof k === 'number' ? `[${k}]` : i ? '.' + k : k)).join('')
}

/** valueAt gives what stands at a path, undefined where nothing does. What all objects inherit stands nowhere. */
export function valueAt(of: unknown, path: string | Path): unknown {
  let v = of
  for (const key of typeof path === 'string' ? keysOf(path) : path) v = typeof v === 'object' && v !== null && Object.hasOwn(v, key) ? (v as Record<string | number, unknown>)[key] : undefined
  return v
}

/** put sets the value at a path and makes what is missing above it; nothing, '' and undefined, takes the field out. */
export function put(of: object, path: string, value: unknown): void {
  const keys = keysOf(path)
  const last = keys.pop()!
  let v = of as Record<string | number, unknown>
  for (const [i, key] of keys.entries()) {
    const below = v[key]
    if (typeof below !== 'object' || below === null) {
      if (value === undefined || value === '') return
      v[key] = typeof (keys[i + 1] ?? last) === 'number' ? [] : {}
    }
    v = v[key] as Record<string | number, unknown>
  }
  if (value === undefined || value === '') delete v[last]
  else v[last] = value
}

/** replaced gives a copy with something else at a path; undefined takes away what is there. Nothing else is copied. */
export function replaced<T>(value: T, [key, ...rest]: Path, what: unknown): T {
  if (key === undefined) return what as T
  if (typeof key === 'number' || Array.isArray(value)) {
    const list = Array.isArray(value) ? [...value] : []
    const i = Number(key)
    if (rest.length === 0 && what === undefined) list.splice(i, 1)
    else list[i] = replaced(list[i], rest, what)
    return list as T
  }
  const o: object = value !== null && typeof value === 'object' ? value : {}
  const next = replaced(valueAt(o, [key]), rest, what)
  const entries = Object.entries(o).map(([k, v]) => [k, k === key ? next : v] as const)
  if (!Object.hasOwn(o, key)) entries.push([key, next])
  return Object.fromEntries(entries.filter(([k, v]) => k !== key || v !== undefined)) as T
}

/** textOf shows a value in a field: what is no text or number shows as nothing. */
export function textOf(v: unknown): string {
  return typeof v === 'string' ? v : typeof v === 'number' || typeof v === 'boolean' ? String(v) : ''
}

/** numberOf reads a whole number; what is none stays as it was typed, and the API says so. */
export function numberOf(text: string): string | number {
  const t = text.trim()
  return /^\d{1,15}$/.test(t) ? Number(t) : t
}

/** listOf and recordOf read what may be anything, since it may come from YAML that somebody types. */
export function listOf(v: unknown): unknown[] {
  return Array.isArray(v) ? v : []
}
export function namesOf(v: unknown): string[] {
  return listOf(v).map(textOf)
}
export function recordOf(v: unknown): Record<string, unknown> {
  return typeof v === 'object' && v !== null && !Array.isArray(v) ? (v as Record<string, unknown>) : {}
}
