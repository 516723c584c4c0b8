import { SvelteSet } from 'svelte/reactivity'
import { ask, Refusal } from '../api/client'
import type { Applied, Obj, ObjectProblem } from '../api/types'
import { packed, unpacked } from '../text/pack'
import { put } from '../text/path'
import { read, written } from '../text/yaml'
import { Foretold } from './foretold.svelte'
import { router } from './router.svelte'

/** How long somebody must pause in typing until the API is asked, in milliseconds. */
const pause = 300

/**
 * Draft is objects that are being made, in a form or as YAML, which are two views of the same; and what the API says of
 * them as they are: the plan, or what is wrong with which field. Its first object is what the page is about.
 */
export class Draft extends Foretold {
  objects = $state<Obj[]>([])
  /** typed is YAML as somebody types it, undefined while the form has the word; mistake says why it can't be read. */
  typed = $state<string>()
  mistake = $state('')
  busy = $state(false)
  /** tried says that somebody wanted to save it: from then on all that is missing is told at its field. */
  tried = $state(false)
  #touched = new SvelteSet<string>()

  constructor(first: Obj) {
    super()
    const kept = unpacked(router.get('draft'))
    this.objects = kept && kept[0]?.kind === first.kind ? kept : [first]
    if (kept) this.tried = false
  }

  get main(): Obj {
    return this.objects[0]!
  }

  /** text is what weir apply would be given. */
  get text(): string {
    return this.typed ?? textOf($state.snapshot(this.objects) as Obj[])
  }

  /** write takes over YAML as it is typed; what can't be read stays as text alone. */
  write(text: string) {
    this.typed = text
    const found = read(text)
    const kind = this.main.kind
    const all = found.objects.map(whole)
    const at = all.findIndex((o) => o.kind === kind)
    this.mistake = found.problem || (at < 0 ? `there is no object of kind ${kind}` : '')
    if (!this.mistake) this.objects = [all[at]!, ...all.filter((_, i) => i !== at)]
  }

  /** set writes a field of an object from the form. */
  set(of: Obj, path: string, value: unknown) {
    put(of, path, value)
    this.changed(of, path)
  }

  /** changed says that the form has written. */
  changed(of?: Obj, path = '') {
    this.typed = undefined
    this.mistake = ''
    if (of) this.touch(of, path)
  }

  touch(of: Obj, path: string) {
    this.#touched.add(of.kind + ' ' + path)
  }

  /** taken is the object whose name is taken already, '' when none is. */
  get taken(): string {
    return this.problem?.status === 412 ? (/^(\w+\/\S+) exists already/.exec(this.problem.problem.detail)?.[1] ?? '') : ''
  }

  /** at tells what is wrong with a field, below it too when asked; of fields that nobody has come to yet only once it was tried. */
  at(of: Obj, path: string, below = false): string {
    const same = this.objects.filter((o) => o.kind === of.kind).length === 1
    const here = (this.problem?.problem.errors ?? []).filter(
      (e) => (e.object === `${of.kind}/${of.metadata.name}` || (same && e.object?.startsWith(of.kind + '/'))) && (e.path === path || (below && /^[.[]/.test(e.path.slice(path.length)) && e.path.startsWith(path))),
    )
    if (path === 'metadata.name' && this.taken === `${of.kind}/${of.metadata.name}`) return `there is a ${of.kind} of this name already`
    if (here.length === 0) return ''
    const known = this.tried || [...this.#touched].some((t) => t === of.kind + ' ' + path || (below && t.startsWith(of.kind + ' ' + path)))
    return known ? here.map((e) => (below && e.path !== path ? e.path.slice(path.length).replace(/^\./, '') + ' ' : '') + e.message).join('; ') : ''
  }

  /** problems are all that the API found, for the list beside the form. */
  get problems(): ObjectProblem[] {
    return this.problem?.problem.errors ?? []
  }

  /** follow asks for the plan whenever the objects have changed, and keeps the draft in the address: $effect(() => draft.follow()). */
  follow(): (() => void) | undefined {
    const text = this.text
    const objects = $state.snapshot(this.objects) as Obj[]
    if (this.busy) return
    this.asking = true
    const timer = setTimeout(() => {
      if (!this.mistake) router.set({ draft: packed(objects) })
      void this.#ask(text, objects[0]?.metadata.name ?? '', newOf(objects))
    }, pause)
    return () => clearTimeout(timer)
  }

  async #ask(text: string, name: string, fresh: string[]) {
    if (!name || this.mistake) {
      this.stop()
      this.answer = this.problem = undefined
      return
    }
    await this.foretell(async (signal) => (await ask<Applied>('/api/v1/plan', { method: 'POST', asks: true, yaml: text, query: { new: fresh }, signal })).value)
  }

  /** save writes it, as weir apply would, and gives the revision; 0 when it was refused. */
  async save(reason: string): Promise<number> {
    this.tried = true
    if (this.mistake || this.busy) return 0
    this.stop()
    this.busy = true
    try {
      const a = await ask<Applied>('/api/v1/apply', { method: 'POST', yaml: this.text, query: { reason, brief: true, new: newOf(this.objects) } })
      return a.value.revision
    } catch (e) {
      if (!(e instanceof Refusal)) throw e
      this.problem = e
      return 0
    } finally {
      this.busy = false
    }
  }
}

// All that a draft holds is new: nothing that is there is to be replaced by something of the same name.
function newOf(objects: Obj[]): string[] {
  return objects.filter((o) => o.metadata.name).map((o) => `${o.kind}/${o.metadata.name}`)
}

export function textOf(objects: Obj[]): string {
  return objects.map(written).join('---\n')
}

// whole gives an object the parts that forms look into, whatever was typed.
function whole(o: Obj): Obj {
  const part = (v: unknown) => (typeof v === 'object' && v !== null && !Array.isArray(v) ? v : {})
  return { ...o, kind: String(o.kind ?? ''), metadata: { name: '', ...part(o.metadata) }, spec: { ...part(o.spec) } }
}
