import { ask, at as addressOf, Refusal, unheard } from '../../api/client'
import type { Facts } from '../../api/schema'
import type { Applied, Kind, Obj } from '../../api/types'
import { Foretold } from '../../state/foretold.svelte'
import { whenOther, who } from '../../state/session.svelte'
import { pathOf, replaced, valueAt, type Path } from '../../text/path'
import { onto, same } from '../../text/value'
import { read, written } from '../../text/yaml'

// How long after the last key the plan is asked for, in milliseconds.
const pause = 350

/**
 * Draft is an object while somebody edits it, in the form or as YAML: both are this one. What was typed is kept
 * whatever the API says, and until it is saved or let go, wherever else the person looks in between.
 */
export class Draft extends Foretold {
  readonly kind: Kind
  /** base is what the draft began with, undefined for a new object. */
  base = $state.raw<Obj>()
  value = $state.raw<Obj>() as Obj
  text = $state('')
  /** unread says why the text is no object. */
  unread = $state('')
  reason = $state('')
  saving = $state(false)
  /** theirs is what somebody else wrote in the meantime. */
  theirs = $state.raw<Obj>()
  saved = $state.raw<{ revision: number; object: Obj }>()
  /** touched says that somebody has typed. */
  touched = $state(false)
  #timer = 0

  constructor(kind: Kind, base: Obj | undefined, value: Obj) {
    super()
    this.kind = kind
    this.base = base && bare(base)
    this.value = bare(value)
    this.text = written(this.value)
  }

  get dirty(): boolean {
    return this.unread !== '' || !this.base || !same(wish(this.value), wish(this.base))
  }

  /** set puts a value at a path, as the form does. */
  set(keys: Path, what: unknown) {
    this.value = replaced(this.value, keys, what)
    this.text = written(this.value)
    this.unread = ''
    this.#changed()
  }

  /** type takes YAML as it is typed. */
  type(text: string) {
    if (text === this.text) return
    this.text = text
    const { objects, problem } = read(text)
    const one = objects[0]
    if (problem) this.unread = problem
    else if (objects.length !== 1 || typeof one !== 'object') this.unread = 'one object is edited here, and this is none or several'
    else {
      this.unread = ''
      this.value = bare({ ...one, kind: one.kind ?? this.kind.name, metadata: one.metadata ?? { name: '' }, spec: one.spec ?? {} })
    }
    this.#changed()
  }

  /** problemAt is what the API has against the field at a path. */
  problemAt(keys: Path): string {
    return this.problems.filter((e) => e.path === pathOf(keys)).map((e) => e.message).join('; ')
  }

  /** problems are those with fields of this object. */
  get problems(): { path: string; message: string }[] {
    const ref = `${this.kind.name}/${this.value.metadata?.name ?? ''}`
    return (this.problem?.problem.errors ?? []).filter((e) => e.path && (!e.object || e.object === ref))
  }

  facts = $state.raw<Facts>({})
  /** effectAt is what changing a field takes, as far as that is known; what is inside a map goes by the map. */
  effectAt(keys: Path): string {
    if (keys[0] !== 'spec') return ''
    return this.facts[pathOf(keys.slice(1)).replace(/\[\d+\]/g, '[]')]?.changing ?? ''
  }

  at(keys: Path): unknown {
    return valueAt(this.value, keys)
  }

  /** forget goes back to what is there. */
  forget(now?: Obj) {
    if (now) this.base = bare(now)
    if (!this.base) return
    this.value = this.base
    this.text = written(this.value)
    this.unread = ''
    this.theirs = this.problem = this.answer = this.saved = undefined
    this.#rest()
  }

  /** merged is what was typed on top of what somebody else wrote; both are the paths that both changed. */
  get merged(): { value: Obj; both: string[] } {
    const { value, both } = onto(this.base && wish(this.base), wish(this.value), this.theirs && wish(this.theirs))
    return { value: value as Obj, both }
  }

  /** over goes on from what somebody else wrote, with what was typed on top. */
  over() {
    if (!this.theirs) return
    this.value = this.merged.value
    this.text = written(this.value)
    this.unread = ''
    this.base = bare(this.theirs)
    this.theirs = this.problem = undefined
    this.#changed()
  }

  /** behind notes that somebody else wrote in the meantime. */
  behind(now: Obj) {
    if (!this.dirty || this.saving || (this.base?.revision ?? 0) >= (now.revision ?? 0)) return
    if (!this.unread && same(wish(this.value), wish(now))) {
      // What was typed is there by now: where the answer to a save was lost, it was that.
      const lost = this.problem?.silent
      this.forget(now)
      if (lost) {
        this.saved = { revision: now.revision ?? 0, object: now }
        this.reason = ''
      }
    } else if (!same(this.base && wish(this.base), wish(now))) this.theirs = now
  }

  /** gone notes that somebody deleted it in the meantime: what was typed would make it anew. */
  gone() {
    this.base = this.theirs = undefined
  }

  /** restore takes an earlier version as the draft. */
  restore(o: Obj, reason: string) {
    this.value = bare(o)
    this.text = written(this.value)
    this.unread = ''
    this.reason = reason
    this.#changed()
  }

  #rest() {
    clearTimeout(this.#timer)
    this.stop()
  }

  #changed() {
    this.touched = true
    this.#rest()
    this.saved = undefined
    if (!this.dirty || this.unread || !this.value.metadata?.name || who.refused(this.kind.name, this.value.metadata?.role)) {
      this.answer = this.problem = undefined
      return
    }
    this.asking = true
    this.#timer = window.setTimeout(() => void this.foretell(async (signal) => (await ask<Applied>('/api/v1/plan', { method: 'POST', asks: true, body: wish(this.value), signal })).value), pause)
  }

  /** save writes the draft if nobody has written in between, and says whether it did. */
  async save(): Promise<boolean> {
    if (this.saving) return false
    this.saving = true
    this.#rest()
    const where = addressOf(this.kind.plural, this.value.metadata.name)
    try {
      const condition = this.base?.revision ? { etag: `"${this.base.revision}"` } : { known: '*' }
      const answer = await ask<Obj>(where, { method: 'PUT', query: { reason: this.reason.trim() }, body: wish(this.value), ...condition })
      this.saved = { revision: answer.revision, object: answer.value }
      this.base = bare(answer.value)
      this.value = this.base
      this.text = written(this.value)
      this.answer = this.problem = this.theirs = undefined
      this.reason = ''
      return true
    } catch (e) {
      if (!(e instanceof Refusal)) throw e
      this.problem = e
      if (e.status === 412) await this.#look(where)
      return false
    } finally {
      this.saving = false
    }
  }

  // #look reads what is there now, to be shown beside what was typed.
  async #look(where: string) {
    try {
      const there = (await ask<Obj>(where)).value
      // What is older was written by nobody meanwhile: who answered has not heard of all yet.
      if ((there.revision ?? 0) > (this.base?.revision ?? 0)) this.theirs = there
      else this.problem = unheard()
    } catch (e) {
      // It is gone: then it is made anew when the person wants that.
      if (e instanceof Refusal && e.status === 404) this.base = undefined
    }
  }
}

// bare leaves out the status, which is not anybody's wish.
function bare(o: Obj): Obj {
  const { status: _, ...rest } = o
  return rest
}

// wish is what goes to the API: without what it only tells.
function wish(o: Obj) {
  const { kind, metadata, spec } = o
  return { kind, metadata, spec }
}

// Drafts that were begun and neither saved nor let go, by kind and name: looking elsewhere loses nothing.
const begun = new Map<string, Draft>()
whenOther(() => begun.clear())

/** draftOf gives the draft of an object: the one that was begun, brought up to date when nothing was typed. */
export function draftOf(kind: Kind, now: Obj): Draft {
  const key = `${kind.name}/${now.metadata.name}`
  let d = begun.get(key)
  if (!d) begun.set(key, (d = new Draft(kind, now, now)))
  else if (!d.dirty && !d.saving && (d.base?.revision ?? 0) < (now.revision ?? 0)) d.forget(now)
  else d.behind(now)
  return d
}

/** newDraftOf gives the draft of a new object of a kind: the one that was begun, or one that begins with what first gives. */
export function newDraftOf(kind: Kind, name: string, first: () => Obj): Draft {
  const key = kind.name + '/'
  const d = begun.get(key)
  if (d && d.touched && !d.base && (!name || d.value.metadata?.name === name)) return d
  const fresh = new Draft(kind, undefined, first())
  begun.set(key, fresh)
  return fresh
}

/** dropNew lets go of the draft of a new object. */
export function dropNew(kind: Kind): void {
  begun.delete(kind.name + '/')
}

/** unsaved says whether any draft would be lost with the page. */
export function unsaved(): boolean {
  return [...begun.values()].some((d) => d.dirty && d.touched)
}
addEventListener('beforeunload', (e) => unsaved() && e.preventDefault())
