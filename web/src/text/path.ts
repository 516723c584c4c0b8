// Values inside objects, by paths as the API writes them: spec.healthCheck.path, spec.members[2].port.

export function keysOf(path: string): (string | number)[] {
  return path.split(/[.[\]]+/).filter(Boolean).map((k) => (/^\d+$/.test(k) ? Number(k) : k))
}

/** valueAt gives what stands at a path, undefined where nothing does. */
export function valueAt(of: unknown, path: string): unknown {
  let v = of
  for (const key of keysOf(path)) v = typeof v === 'object' && v !== null ? (v as Record<string | number, unknown>)[key] : undefined
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
