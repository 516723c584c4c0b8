import { ask, cutOff, Refusal, silence, type Query } from './client'
import { now } from './clock'

/** latest gives the newest value of a Live that another one takes the place of when somebody filters: nothing vanishes. */
export function latest<T>(live: () => Live<T>): { readonly value: T | undefined } {
  let last = $state.raw<T>()
  $effect(() => {
    if (live().value !== undefined) last = live().value
  })
  return {
    get value() {
      return live().value ?? last
    },
  }
}

/** How long an answer may take until the page says that it is old, and how soon is asked again after none came, in ms. */
const late = 5000
const soon = 3000

/**
 * Live keeps a value of the API fresh while a page shows it: asked for again every few seconds, never while the tab is
 * hidden, never twice at a time. The old value stays while a new one is awaited or can't be had; problem says why, and
 * since when, also while an answer is only late.
 */
export class Live<T> {
  value = $state.raw<T>()
  problem = $state.raw<Refusal>()
  /** at is when the value was last known to be true, in milliseconds. */
  at = $state(0)
  #etag = ''
  #path: string
  #query: Query
  #every: number
  #tagged: boolean
  #timer = 0
  #asking?: AbortController

  /** Without tagged the answer is always sent in full: the ETag of an object says nothing of its status. */
  constructor(path: string, query: Query = {}, every = 5000, tagged = true) {
    this.#path = path
    this.#query = query
    this.#every = every
    this.#tagged = tagged
  }

  /** start asks until the function that it gives is called: $effect(() => live.start()). */
  start(): () => void {
    const wake = () => document.visibilityState === 'visible' && this.refresh()
    document.addEventListener('visibilitychange', wake)
    void this.refresh()
    return () => {
      document.removeEventListener('visibilitychange', wake)
      clearTimeout(this.#timer)
      this.#asking?.abort()
      this.#asking = undefined
    }
  }

  /** refresh asks now. */
  async refresh(): Promise<void> {
    if (this.#asking) return
    clearTimeout(this.#timer)
    const control = new AbortController()
    this.#asking = control
    const since = () => (this.value === undefined ? 0 : this.at)
    const slow = setTimeout(() => (this.problem ??= silence(true, since())), late)
    let again = this.#every
    try {
      const answer = await ask<T>(this.#path, { query: this.#query, known: this.#tagged ? this.#etag : '', signal: control.signal })
      if (control.signal.aborted) return
      if (answer.value !== undefined) {
        this.value = answer.value
        this.#etag = answer.etag
      }
      this.at = now()
      this.problem = answer.cutOffSince > 0 ? cutOff(answer.cutOffSince) : undefined
    } catch (e) {
      if (control.signal.aborted) return
      if (!(e instanceof Refusal)) throw e
      this.problem = new Refusal(e.problem, since())
      if (e.silent) again = Math.min(again || soon, soon)
    } finally {
      clearTimeout(slow)
      if (this.#asking === control) this.#asking = undefined
    }
    if (again > 0 && document.visibilityState === 'visible') this.#timer = window.setTimeout(() => void this.refresh(), again)
  }
}
