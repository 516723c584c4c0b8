import { Refusal } from '../api/client'
import type { Applied } from '../api/types'

/** How soon is asked again when nobody answered, in milliseconds. */
const pause = 3000

/**
 * Foretold is what the API says of something before it is written: the plan, or what is wrong with it. Of several
 * questions the newest counts, whichever is answered last; one that nobody could answer, or that came when
 * nobody was signed in, is asked again.
 */
export class Foretold {
  /** answer is the last plan, problem why there is none of what stands there now. */
  answer = $state.raw<Applied>()
  problem = $state.raw<Refusal>()
  /** asking says that neither is yet of what stands there now. */
  asking = $state(false)
  #now?: AbortController
  #again?: ReturnType<typeof setTimeout>

  /** foretell asks; a question that gives nothing leaves no plan. */
  protected async foretell(question: (signal: AbortSignal) => Promise<Applied | undefined>): Promise<void> {
    this.stop()
    const control = (this.#now = new AbortController())
    this.asking = true
    try {
      const answer = await question(control.signal)
      if (control.signal.aborted) return
      this.answer = answer
      this.problem = undefined
    } catch (e) {
      if (control.signal.aborted) return
      if (!(e instanceof Refusal)) throw e
      this.answer = undefined
      this.problem = e
      if (e.silent || e.status === 401) this.#again = setTimeout(() => void this.foretell(question), pause)
    } finally {
      if (this.#now === control) this.asking = false
    }
  }

  /** stop lets go of what is being asked; what is known stays. */
  protected stop(): void {
    clearTimeout(this.#again)
    this.#now?.abort()
    this.#now = undefined
    this.asking = false
  }
}
