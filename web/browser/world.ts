import { request, type APIRequestContext } from 'playwright-core'

/** The people that the world has tokens of. */
export type Person = 'admin' | 'owner' | 'operator' | 'viewer' | 'other' | 'nobody'

/** Addresses of what e2e/console_test.go has started. */
interface Given {
  url: string
  control: string
  results: string
  chromium: string
  tokens: Record<Person, string>
  /** at is where a load balancer answers: of its zone, at the address that is at home in another. */
  at: Record<string, Record<string, string>>
  /** passed is where a server listens, at port 9443, that ends TLS itself for passed.example.com. */
  passed: string
}

/** What came of many requests: how many were answered by each origin, and with each status. */
export interface Sent {
  total: number
  origins: Record<string, number>
  statuses: Record<string, number>
  failed: string[]
  /** from is the client's address, where one was asked for. */
  from: string
}

/**
 * What is to be sent: to which load balancer (az1 to az3, internal), at the address of www that is at home where ("tls" is
 * the one of shop). With tls, a version as 1.3, each request has a connection of its own, and resume lets those of a
 * client resume the one before. from is the host number of the client's address. Paths go as they are.
 */
interface Sending {
  host: string
  balancer?: string
  home?: string
  path?: string
  method?: string
  headers?: Record<string, string>
  tls?: '1.2' | '1.3'
  resume?: boolean
  from?: number
}

/** Who answered over one connection, and the certificate that was shown, nothing of plain tcp. */
export interface Met {
  origin: string
  status: number
  names: string[]
  issuer: string
  failed?: string
}

/** A control plane with real load balancers, servers and traffic; README.md tells what is in it. */
export class World {
  readonly given: Given
  #api?: APIRequestContext

  constructor() {
    const text = process.env.WEIR_WORLD
    if (!text) throw new Error('there is no world: run these scripts by go test ./e2e -run TestConsole')
    this.given = JSON.parse(text) as Given
  }

  /** send asks a load balancer, as clients do, n times, and counts who answered. */
  send(n: number, to: Sending): Promise<Sent> {
    return this.#control('send', { requests: n, path: '/', balancer: 'az1', home: 'az1', ...to })
  }

  /** connect asks over one connection to any port, inside TLS when a name is given. */
  connect(to: { port: number; name?: string; balancer?: string; home?: string }): Promise<Met> {
    return this.#control('connect', { balancer: 'az1', home: 'az1', name: '', ...to })
  }

  /** certificate gives a manifest of a new one for a host name, of the world's own authority ("console"). */
  async certificate(name: string, role: string, host: string): Promise<string> {
    return (await this.#control<{ manifest: string }>('certificate', { name, role, host })).manifest
  }

  /** origin stops a server, starts it again, or lets its checks fail or pass ("az1-0"). */
  async origin(name: string, what: 'stop' | 'start' | 'sick' | 'well'): Promise<void> {
    await this.#control('origin', { name, what })
  }

  /** answer makes a server answer a path with a status. */
  async answer(name: string, path: string, status: number): Promise<void> {
    await this.#control('answer', { name, path, status })
  }

  /** agent stops or starts the agent of a load balancer, or kills its HAProxy ("lb-az1"). */
  async agent(name: string, what: 'stop' | 'start' | 'kill'): Promise<void> {
    await this.#control('agent', { name, what })
  }

  /** converged waits until every load balancer has what is wanted. */
  async converged(): Promise<void> {
    await this.#control('converged', {})
  }

  /** provider is an identity provider, at which somebody of these claims sits. */
  provider(claims: object): Promise<{ issuer: string; authority: string; clientID: string; secret: string }> {
    return this.#control('provider', claims)
  }

  /** restore makes the world what it was at the beginning; each script ends with it. */
  async restore(): Promise<void> {
    await this.#control('restore', {})
  }

  /** call asks the API past the page, in the name of an admin unless told otherwise. */
  async call<T = unknown>(method: string, path: string, body?: unknown, who: Person = 'admin'): Promise<{ status: number; value: T }> {
    this.#api ??= await request.newContext({ ignoreHTTPSErrors: true })
    const answer = await this.#api.fetch(this.given.url + path, {
      method,
      headers: { Authorization: `Bearer ${this.given.tokens[who]}`, ...(body === undefined ? {} : { 'Content-Type': typeof body === 'string' ? 'application/yaml' : 'application/json' }) },
      data: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    })
    const text = await answer.text()
    return { status: answer.status(), value: (text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text) as T }
  }

  async #control<T>(what: string, body: unknown): Promise<T> {
    const answer = await fetch(`${this.given.control}/${what}`, { method: 'POST', body: JSON.stringify(body) })
    const text = await answer.text()
    if (!answer.ok) throw new Error(`${what} ${JSON.stringify(body)}: ${text}`)
    return (text ? JSON.parse(text) : undefined) as T
  }
}
