import { get } from '../api/client'
import type { Session } from '../api/types'

const pause = 3000

/**
 * Loading brings the code of a page or of a part of one. While the control plane is away it tries again, and problem says
 * so; where it answers, and yet has no such code, the console is another by now and page fails.
 */
export class Loading<T> {
  problem = $state.raw<unknown>()
  readonly page: Promise<T>

  constructor(load: () => Promise<T>) {
    this.page = this.#bring(load)
  }

  async #bring(load: () => Promise<T>): Promise<T> {
    for (let last = false; ; ) {
      try {
        await restyled()
        return await load()
      } catch (e) {
        if (last) throw e
      }
      try {
        await get<Session>('/api/v1/session')
        last = true // it may have come back just now
      } catch (e) {
        this.problem = e
        await new Promise((again) => setTimeout(again, pause))
      }
    }
  }
}

// restyled asks again for styles that did not come: an import does so for its code, and takes styles that it has asked for
// once as being there.
async function restyled(): Promise<void> {
  if (typeof document === 'undefined') return
  const missing = [...document.querySelectorAll<HTMLLinkElement>('link[rel=stylesheet]')].filter((l) => !l.sheet)
  await Promise.all(
    missing.map((old) => {
      const link = document.createElement('link')
      link.rel = 'stylesheet'
      link.href = old.href
      old.replaceWith(link)
      return new Promise((there, no) => {
        link.addEventListener('load', there)
        link.addEventListener('error', no)
      })
    }),
  )
}
