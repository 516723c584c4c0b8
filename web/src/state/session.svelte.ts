import { ask, get, whenSignedOut } from '../api/client'
import type { Kind, Right, Session } from '../api/types'

const order: Right[] = ['viewer', 'operator', 'owner', 'admin']

/** Who looks at the page, what they may do, and the kinds that there are. */
class Who {
  session = $state.raw<Session>()
  kinds = $state.raw<Kind[]>([])

  get me() {
    return this.session?.me
  }

  async load() {
    const session = await get<Session>('/api/v1/session')
    if (session.signedIn && this.kinds.length === 0) this.kinds = (await get<{ kinds: Kind[] }>('/api/v1/kinds')).kinds
    this.session = session // at last: pages know what there is by the kinds
  }

  async signIn(token: string) {
    await ask('/api/v1/session', { method: 'POST', body: { token } })
    await this.load()
  }

  async signOut() {
    await ask('/api/v1/session', { method: 'DELETE' })
    await this.load()
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
whenSignedOut(() => {
  if (who.session?.signedIn) who.session = { ...who.session, signedIn: false, me: undefined }
})
