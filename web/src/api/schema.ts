import { get } from './client'

// The shape of objects, from the API's own description: what completion and forms go by.

/** A value's shape; of what OpenAPI has only what Weir's kinds use. */
export interface Shape {
  type: string
  description: string
  enum?: string[]
  readOnly: boolean
  required: string[]
  properties?: Record<string, Shape>
  /** items of a list, values of a map. */
  items?: Shape
  values?: Shape
  /** oneOf are the forms that a value may have, where it may have several. */
  oneOf?: Shape[]
  /** format and pattern of a string. */
  format?: string
  pattern?: string
  /** refers is the kind of the objects that a string names, writeOnly what is never shown again. */
  refers?: string
  writeOnly?: boolean
  /** facts of a kind's fields. */
  facts?: Facts
}

/** Facts are what is known of fields beyond their shape, by path within the spec: what they are when left out, and what changing them takes on load balancers. */
export type Facts = Record<string, { default?: string; changing?: string }>

interface Raw {
  $ref?: string
  type?: string | string[]
  description?: string
  enum?: unknown[]
  readOnly?: boolean
  writeOnly?: boolean
  required?: string[]
  properties?: Record<string, Raw>
  items?: Raw
  oneOf?: Raw[]
  format?: string
  pattern?: string
  'x-refers'?: string
  'x-fields'?: Facts
  additionalProperties?: Raw | boolean
}

let schemas: Promise<Record<string, Raw>> | undefined

/** shapeOf gives the shape of a kind's objects; it is asked for once. */
export async function shapeOf(kind: string): Promise<Shape | undefined> {
  schemas ??= get<{ components: { schemas: Record<string, Raw> } }>('/openapi.json').then(
    (d) => d.components.schemas,
    (e) => {
      schemas = undefined
      throw e
    },
  )
  const all = await schemas
  return all[kind] && shape(all[kind], all, [])
}

/** shape follows references; a reference into itself ends in a shape without properties. */
export function shape(raw: Raw, all: Record<string, Raw>, inside: string[]): Shape {
  const name = raw.$ref?.replace('#/components/schemas/', '')
  if (name !== undefined) {
    const target = all[name]
    if (!target || inside.includes(name)) return { type: 'object', description: raw.description ?? '', readOnly: !!raw.readOnly, required: [] }
    const s = shape(target, all, [...inside, name])
    return { ...s, description: raw.description || s.description, readOnly: !!raw.readOnly || s.readOnly }
  }
  const more = raw.additionalProperties
  return {
    type: (Array.isArray(raw.type) ? raw.type.find((t) => t !== 'null') : raw.type) ?? '',
    description: raw.description ?? '',
    enum: raw.enum?.map(String),
    readOnly: !!raw.readOnly,
    required: raw.required ?? [],
    properties: raw.properties && Object.fromEntries(Object.entries(raw.properties).map(([k, v]) => [k, shape(v, all, inside)])),
    items: raw.items && shape(raw.items, all, inside),
    values: more && typeof more === 'object' ? shape(more, all, inside) : undefined,
    oneOf: raw.oneOf?.map((v) => shape(v, all, inside)),
    format: raw.format,
    pattern: raw.pattern,
    refers: raw['x-refers'],
    facts: raw['x-fields'],
    writeOnly: raw.writeOnly,
  }
}

/** within follows a path of keys, of which numbers stand for items of lists. */
export function within(s: Shape | undefined, path: (string | number)[]): Shape | undefined {
  for (const key of path) s = below(s, key) ?? s?.oneOf?.map((v) => below(v, key)).find((v) => v !== undefined)
  return s
}

function below(s: Shape | undefined, key: string | number): Shape | undefined {
  return typeof key === 'number' ? s?.items : (s?.properties?.[key] ?? s?.values)
}
