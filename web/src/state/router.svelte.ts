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
    addEventListener('popstate', () => this.#read())
    document.addEventListener('click', (e) => this.#click(e))
  }

  #read() {
    this.path = pathHere()
    this.query = new URLSearchParams(location.search)
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
    history.pushState(null, '', to)
    this.#read()
    scrollTo(0, 0)
    document.getElementById('main')?.focus({ preventScroll: true })
  }

  /** replace goes there without a step in the history. */
  replace(to: string) {
    history.replaceState(null, '', to)
    this.#read()
  }

  /** set changes parts of the query in place; undefined and '' take one out. */
  set(changes: Query) {
    const all: Query = {}
    for (const [name, value] of this.query) all[name] = value
    this.replace(address(this.path, { ...all, ...changes }))
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
