import { ask, forgetRevisions, get, whenForbidden, whenSignedOut } from '../api/client'
import type { Kind, Right, Session } from '../api/types'

const order: Right[] = ['viewer', 'operator', 'owner', 'admin']

const others: (() => void)[] = []

/** whenOther is called when somebody else has signed in on the same page: what was typed is not theirs to see. */
export function whenOther(forget: () => void) {
  others.push(forget)
}

/** Who looks at the page, what they may do, and the kinds that there are. */
class Who {
  session = $state.raw<Session>()
  kinds = $state.raw<Kind[]>([])
  /** expired says that the session ended by itself: the page stays as it is until the same person is back. */
  expired = $state(false)
  /** persons is how many have signed in one after the other on this page, each with pages of their own. */
  persons = $state(0)
  #last?: string
  #renewing = false
  #back?: Promise<void>
  #cameBack = () => {}

  get me() {
    return this.session?.me
  }

  async load() {
    const session = await get<Session>('/api/v1/session')
    // Without the kinds there is no page for any of them, so they are there first.
    if (session.signedIn && this.kinds.length === 0) this.kinds = (await get<{ kinds: Kind[] }>('/api/v1/kinds')).kinds
    this.#take(session)
  }

  #take(session: Session) {
    this.session = this.expired && !session.me ? { ...session, me: this.me } : session // the page behind is still theirs
    if (!session.me) return
    if (this.#last !== session.me.subject) {
      this.#last = session.me.subject
      this.persons++
      for (const forget of others) forget()
    }
    this.expired = false
    this.#back = undefined
    this.#cameBack()
  }

  /** renew looks again who this is and what they may do: rights are given and taken while pages are open. */
  async renew() {
    const known = this.session
    if (!known?.signedIn || this.#renewing) return
    this.#renewing = true
    try {
      const session = await get<Session>('/api/v1/session')
      if (this.session !== known) return // the person came or went meanwhile
      if (!session.signedIn) {
        void this.ended()
        this.#take(session)
      } else if (JSON.stringify(session) !== JSON.stringify(known)) this.#take(session)
    } catch {
      // Nobody answers, so nothing is known that is newer.
    } finally {
      this.#renewing = false
    }
  }

  async signIn(token: string) {
    await ask('/api/v1/session', { method: 'POST', body: { token } })
    await this.load()
  }

  async signOut() {
    await ask('/api/v1/session', { method: 'DELETE' })
    if (this.session) this.session = { ...this.session, signedIn: false, me: undefined }
    this.expired = false
  }

  /** ended notes that the API no longer knows who asks; what it gives is kept when somebody is signed in again. */
  ended(): Promise<void> | undefined {
    forgetRevisions()
    if (this.session?.signedIn) {
      this.session = { ...this.session, signedIn: false }
      this.expired = true
      this.#back = new Promise((kept) => (this.#cameBack = kept))
    }
    return this.#back
  }

  kind(nameOrPlural: string): Kind | undefined {
    return this.kinds.find((k) => k.name === nameOrPlural || k.plural === nameOrPlural)
  }

  /** roles are those that the person has at least a right on; "*" stands for all. */
  roles(need: Right = 'viewer'): string[] {
    return [...new Set((this.me?.grants ?? []).filter((g) => order.indexOf(g.right) >= order.indexOf(need)).map((g) => g.role))]
  }

  holds(need: Right, role = ''): boolean {
    return this.roles(need).some((r) => r === '*' || (role !== '' && r === role))
  }

  /** refused says why the person may not write an object, or nothing when they may: the words stand at the button. */
  refused(kindName: string, role?: string): string {
    const kind = this.kind(kindName)
    if (!kind || !this.me) return ''
    if (kind.readOnly) return `A ${kind.name} is made by Weir itself.`
    const need: Right = kind.platform || !role ? 'admin' : kind.write
    if (this.holds(need, need === 'admin' ? '' : role)) return ''
    const whose = need === 'admin' ? 'all roles' : `role ${role}`
    return `This takes the right ${need} on ${whose}, which ${this.me.subject} does not have. An admin gives it with a Grant.`
  }
}

export const who = new Who()
whenSignedOut(() => who.ended())
whenForbidden(() => void who.renew())
