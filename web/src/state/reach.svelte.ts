import { get, lines, Refusal } from '../api/client'
import type { Fleet } from '../api/fleet'
import type { Progress } from '../text/progress'

/** Reach is how far the load balancers are with a revision, as they read it back. */
export class Reach {
  progress = $state.raw<Progress>()
  fleet = $state.raw<Fleet>()
  problem = $state.raw<unknown>()

  /** balancers are all there are, each with its group. */
  get balancers() {
    return (this.fleet?.groups ?? []).flatMap((g) => g.loadBalancers.map((lb) => ({ ...lb, group: g.name })))
  }

  /** follow goes on until all have the revision, or what it gives is called: $effect(() => reach.follow(revision)). */
  follow(revision: number): () => void {
    const control = new AbortController()
    this.progress = this.problem = undefined
    void this.#follow(revision, control.signal)
    return () => control.abort()
  }

  async #follow(revision: number, signal: AbortSignal) {
    for (let done = false; !signal.aborted; ) {
      try {
        this.fleet = await get<Fleet>('/api/v1/status', {}, signal)
        for await (const line of lines<{ type: string; progress?: Progress }>('/api/v1/status', { wait: revision }, signal)) {
          if (line.progress) this.progress = line.progress
          done = line.progress?.done ?? false
          this.problem = undefined
        }
        if (done) return // else the control plane went away
      } catch (e) {
        if (signal.aborted) return
        if (!(e instanceof Refusal)) throw e
        this.problem = e
      }
      await new Promise((again) => setTimeout(again, 3000))
    }
  }
}
