/** A chart: some figures of one unit. */
export interface Chart {
  title: string
  lines: { figure: string; name: string; bad?: boolean }[]
  unit: 'rate' | 'bytes' | 'ms' | 'share' | 'count'
}

const requests: Chart = {
  title: 'Requests per second, by status',
  unit: 'rate',
  lines: [{ figure: 'requests.2xx', name: '2xx' }, { figure: 'requests.3xx', name: '3xx' }, { figure: 'requests.4xx', name: '4xx' }, { figure: 'requests.5xx', name: '5xx', bad: true }, { figure: 'requests.none', name: 'tcp' }],
}
const causes: Chart = {
  title: 'Errors per second, by who caused them',
  unit: 'rate',
  lines: [{ figure: 'errors.server', name: 'server', bad: true }, { figure: 'errors.weir', name: 'Weir' }, { figure: 'errors.client', name: 'client' }],
}
const total: Chart = { title: 'Time of the whole request', unit: 'ms', lines: [{ figure: 'p50', name: '50 %' }, { figure: 'p95', name: '95 %' }, { figure: 'p99', name: '99 %' }] }
const phases: Chart = { title: 'Where the time goes (95 %)', unit: 'ms', lines: [{ figure: 'response.p95', name: "server's answer" }, { figure: 'connect.p95', name: 'connect' }, { figure: 'queue.p95', name: 'queue' }] }
const bytes: Chart = { title: 'Bytes per second', unit: 'bytes', lines: [{ figure: 'bytes.out', name: 'to clients' }, { figure: 'bytes.in', name: 'from clients' }] }
const retries: Chart = { title: 'Attempts that were repeated, per second', unit: 'rate', lines: [{ figure: 'retries', name: 'retries' }, { figure: 'redispatches', name: 'on another server' }] }
const versions: Chart = { title: 'Requests per second, by TLS version', unit: 'rate', lines: [{ figure: 'tls.1.3', name: '1.3' }, { figure: 'tls.1.2', name: '1.2' }, { figure: 'tls.1.1', name: '1.1', bad: true }, { figure: 'tls.1.0', name: '1.0', bad: true }] }
const handshakes: Chart = { title: 'Time of a TLS handshake', unit: 'ms', lines: [{ figure: 'handshake.p50', name: '50 %' }, { figure: 'handshake.p95', name: '95 %' }, { figure: 'handshake.p99', name: '99 %' }] }
const resumed: Chart = { title: 'Share of handshakes that resume a session', unit: 'share', lines: [{ figure: 'tls.resumed', name: 'resumed' }] }
const open: Chart = { title: 'Sessions open, and requests that wait', unit: 'count', lines: [{ figure: 'connections.open', name: 'open' }, { figure: 'queue.length', name: 'waiting' }] }
const connections: Chart = { title: 'Sessions begun, and connections that failed, per second', unit: 'rate', lines: [{ figure: 'connections', name: 'begun' }, { figure: 'errors.connect', name: 'failed', bad: true }] }
const cpu: Chart = { title: 'Processors of the machine', unit: 'share', lines: [{ figure: 'cpu', name: 'used' }, { figure: 'cpu.user', name: 'programs' }, { figure: 'cpu.system', name: 'kernel' }, { figure: 'cpu.interrupt', name: 'interrupts' }] }
const idle: Chart = { title: 'HAProxy idle', unit: 'share', lines: [{ figure: 'haproxy.idle', name: 'idle' }] }
const memory: Chart = { title: 'Memory', unit: 'bytes', lines: [{ figure: 'memory.used', name: 'machine' }, { figure: 'haproxy.memory', name: 'HAProxy' }] }
const network: Chart = { title: 'Network, bytes per second', unit: 'bytes', lines: [{ figure: 'network.out', name: 'out' }, { figure: 'network.in', name: 'in' }] }

/** A sum over the whole range: of rates how many there were, of shares how much of what. */
export interface Sum {
  figure: string
  name: string
  unit: 'count' | 'bytes' | 'share'
  /** of is what a share is one of. */
  of?: string
  /** bad is said in the colour of what is down when it is not zero. */
  bad?: boolean
}

const asked: Sum[] = [
  { figure: 'requests', name: 'requests', unit: 'count' },
  { figure: 'requests.2xx', name: '2xx', unit: 'count' },
  { figure: 'requests.3xx', name: '3xx', unit: 'count' },
  { figure: 'requests.4xx', name: '4xx', unit: 'count' },
  { figure: 'requests.5xx', name: '5xx', unit: 'count', bad: true },
]
const caused: Sum[] = [
  { figure: 'errors.server', name: 'caused by servers', unit: 'count', bad: true },
  { figure: 'errors.weir', name: 'caused by Weir', unit: 'count', bad: true },
  { figure: 'errors.client', name: 'caused by clients', unit: 'count' },
]
const moved: Sum[] = [
  { figure: 'retries', name: 'retries', unit: 'count' },
  { figure: 'bytes.in', name: 'from clients', unit: 'bytes' },
  { figure: 'bytes.out', name: 'to clients', unit: 'bytes' },
]
const secured: Sum[] = [
  { figure: 'tls.1.3', name: 'over TLS 1.3', unit: 'count' },
  { figure: 'tls.1.2', name: 'over TLS 1.2', unit: 'count' },
  { figure: 'tls.1.1', name: 'over TLS 1.1', unit: 'count' },
  { figure: 'tls.1.0', name: 'over TLS 1.0', unit: 'count' },
  { figure: 'tls.handshakes', name: 'handshakes', unit: 'count' },
  { figure: 'tls.resumed', name: 'of them resumed', unit: 'share', of: 'tls.handshakes' },
  { figure: 'tls.failures', name: 'handshakes failed', unit: 'count', bad: true },
]

/** The sums of a kind, in groups. TLS is of the whole fleet. */
export const sums: Record<string, { title: string; list: Sum[] }[]> = {
  Site: [{ title: 'Requests', list: asked }, { title: 'Errors', list: caused }, { title: 'Traffic', list: moved }, { title: 'TLS', list: secured }],
  Pool: [{ title: 'Requests', list: asked }, { title: 'Errors', list: caused }, { title: 'Traffic', list: moved }],
  Server: [{ title: 'Requests', list: asked }, { title: 'Traffic', list: moved }],
  LoadBalancer: [{ title: 'Requests', list: asked }, { title: 'Errors', list: caused }, { title: 'Traffic', list: moved }, { title: 'TLS', list: secured }],
  TLS: [{ title: 'Requests and handshakes of all load balancers', list: secured }],
}

/**
 * summed adds a figure up over points that are step seconds wide: rates to how many there were; a share is weighed by the
 * figure that it is of. It is null where nothing is known.
 */
export function summed(s: Sum, figures: Record<string, (number | null)[]>, step: number): number | null {
  const values = figures[s.figure] ?? []
  const weights = s.of ? figures[s.of] : undefined
  let sum = 0
  let weight = 0
  let known = false
  for (const [i, v] of values.entries()) {
    if (v === null) continue
    known = true
    sum += v * (weights ? (weights[i] ?? 0) : step)
    weight += weights?.[i] ?? 0
  }
  if (!known) return null
  return s.of ? (weight > 0 ? sum / weight : null) : sum
}

/** The charts of a kind, in the order in which people look. */
export const charts: Record<string, Chart[]> = {
  Site: [requests, causes, total, phases, bytes, retries, versions, handshakes, resumed],
  Pool: [requests, causes, total, phases, open, connections, bytes, retries],
  Server: [requests, open, connections, bytes, retries],
  TLS: [versions, handshakes, resumed],
  LoadBalancer: [requests, causes, total, cpu, idle, memory, network, open, connections, versions, handshakes, resumed, bytes],
}

/** known leaves out the lines, and the charts without lines, of figures that the control plane does not keep. */
export function known(list: Chart[], figures: string[]): Chart[] {
  return list.map((c) => ({ ...c, lines: c.lines.filter((l) => figures.includes(l.figure)) })).filter((c) => c.lines.length > 0)
}
