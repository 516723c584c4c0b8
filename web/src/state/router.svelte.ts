import { tick } from 'svelte'
import { address, type Query } from '../api/client'
import { harmless } from '../text/marks'

// pathHere has one slash at its front: two would be the name of another host in an address made of it.
function pathHere(): string {
  return location.pathname.replace(/^\/+/, '/')
}

/** Where the page is: everything that a view shows is in the address, so that every view has a link that lasts. */
class Router {
  path = $state(pathHere())
  query = $state.raw(new URLSearchParams(location.search))

  constructor() {
    addEventListener('popstate', () => this.#back())
    addEventListener('pagehide', () => this.#leave())
    history.scrollRestoration = 'manual'
    this.#scroll()
    document.addEventListener('click', (e) => this.#click(e))
  }

  #read() {
    this.path = pathHere()
    this.query = new URLSearchParams(location.search)
  }

  #back() {
    const before = this.path
    this.#read()
    if (this.path === before) return
    this.#enter()
    scrollTo(0, 0)
    this.#scroll()
  }

  // The page gets the focus once a dialog that led to it has given that back.
  #enter() {
    void tick().then(() => document.getElementById('main')?.focus({ preventScroll: true }))
  }

  #leave() {
    history.replaceState({ top: scrollY }, '')
  }

  // Where a page was scrolled to stands at its step of the history. What it shows comes later, and with it the height, so
  // that is awaited, until the person does something else.
  #scroll() {
    const top = Number((history.state as { top?: number } | null)?.top ?? 0)
    if (top === 0) return
    const left = new AbortController()
    for (const does of ['wheel', 'keydown', 'pointerdown', 'popstate']) addEventListener(does, () => left.abort(), { signal: left.signal })
    const until = performance.now() + 3000
    const path = this.path
    const scroll = () => {
      if (left.signal.aborted || this.path !== path) return
      scrollTo(0, top)
      if (Math.abs(scrollY - top) < 2 || performance.now() > until) left.abort()
      else requestAnimationFrame(scroll)
    }
    requestAnimationFrame(scroll)
  }

  // A click on a link of ours goes without loading the page again; with a modifier it does what browsers do.
  #click(e: MouseEvent) {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return
    const link = (e.target as Element | null)?.closest?.('a')
    if (!link || link.target || link.origin !== location.origin || link.hasAttribute('download') || /^\/(api\/|signin\/|openapi\.json)/.test(link.pathname)) return
    if (link.hash && link.pathname + link.search === location.pathname + location.search) return // a place on this page
    e.preventDefault()
    this.go(link.pathname + link.search)
  }

  go(to: string) {
    if (to === location.pathname + location.search) return
    this.#leave()
    history.pushState(null, '', to)
    this.#read()
    scrollTo(0, 0)
    this.#enter()
  }

  /** replace goes there without a step in the history. */
  replace(to: string) {
    history.replaceState(history.state, '', to)
    this.#read()
  }

  /** set changes parts of the query in place; undefined and '' take one out. */
  set(changes: Query) {
    this.replace(this.#with(changes))
  }

  /** turn changes parts of the query as a step in the history, as to another page of a table. */
  turn(changes: Query) {
    this.go(this.#with(changes))
  }

  #with(changes: Query): string {
    const all: Query = {}
    for (const [name, value] of this.query) all[name] = value
    return address(this.path, { ...all, ...changes })
  }

  get(name: string, fallback = ''): string {
    const text = this.query.get(name)
    return text === null ? fallback : harmless(text) // anybody can make an address
  }

  /** parts of the path, unescaped. */
  get parts(): string[] {
    return this.path.split('/').filter(Boolean).map((p) => {
      try {
        return harmless(decodeURIComponent(p))
      } catch {
        return p
      }
    })
  }
}

export const router = new Router()

/** to makes the address of an object's page. */
export function to(plural: string, name: string, tab = ''): string {
  return `/${plural}/${encodeURIComponent(name)}${tab ? '/' + tab : ''}`
}
