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
const handshakes: Chart = { title: 'TLS handshake (95 %)', unit: 'ms', lines: [{ figure: 'handshake.p95', name: 'handshake' }] }
const resumed: Chart = { title: 'TLS sessions resumed', unit: 'share', lines: [{ figure: 'tls.resumed', name: 'resumed' }] }
const open: Chart = { title: 'Sessions open, and requests that wait', unit: 'count', lines: [{ figure: 'connections.open', name: 'open' }, { figure: 'queue.length', name: 'waiting' }] }
const connections: Chart = { title: 'Sessions begun, and connections that failed, per second', unit: 'rate', lines: [{ figure: 'connections', name: 'begun' }, { figure: 'errors.connect', name: 'failed', bad: true }] }
const cpu: Chart = { title: 'Processors of the machine', unit: 'share', lines: [{ figure: 'cpu', name: 'used' }, { figure: 'cpu.user', name: 'programs' }, { figure: 'cpu.system', name: 'kernel' }, { figure: 'cpu.interrupt', name: 'interrupts' }] }
const idle: Chart = { title: 'HAProxy idle', unit: 'share', lines: [{ figure: 'haproxy.idle', name: 'idle' }] }
const memory: Chart = { title: 'Memory', unit: 'bytes', lines: [{ figure: 'memory.used', name: 'machine' }, { figure: 'haproxy.memory', name: 'HAProxy' }] }
const network: Chart = { title: 'Network, bytes per second', unit: 'bytes', lines: [{ figure: 'network.out', name: 'out' }, { figure: 'network.in', name: 'in' }] }

/** The charts of a kind, in the order in which people look. */
export const charts: Record<string, Chart[]> = {
  Site: [requests, causes, total, phases, bytes, retries, versions, handshakes, resumed],
  Pool: [requests, causes, total, phases, open, connections, bytes, retries],
  Server: [requests, open, connections, bytes, retries],
  LoadBalancer: [requests, causes, total, cpu, idle, memory, network, open, connections, versions, handshakes, resumed, bytes],
}

/** known leaves out the lines, and the charts without lines, of figures that the control plane does not keep. */
export function known(list: Chart[], figures: string[]): Chart[] {
  return list.map((c) => ({ ...c, lines: c.lines.filter((l) => figures.includes(l.figure)) })).filter((c) => c.lines.length > 0)
}
