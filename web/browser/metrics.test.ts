// Figures: what clients counted is what the pages say, of a site, its pool, its server and its load balancer.
import { expect, walk, type Visit } from './weir'

// measured is a site of which nobody else asks, at the load balancer that no other script sends to.
const objects = (address: string) => `
kind: Server
metadata: {name: measured-0, role: shop}
spec: {address: ${address}, zone: az1, clusters: [measured], ports: {http: 9000}}
---
kind: Pool
metadata: {name: measured, role: shop}
spec: {selector: {role: shop, clusters: [measured]}, port: http, healthCheck: {path: /ping, interval: 100ms, rise: 1, fall: 1}}
---
kind: Site
metadata: {name: measured, role: shop}
spec:
  hostnames: [shop.example.com]
  addresses: [internal]
  listeners: [{port: 8080}, {port: 8443, tls: {certificates: [shop]}}]
  backends: {default: measured, gone: shop-gone}
  routes: [{match: {path: {prefix: /gone/}}, backend: gone}, {match: {path: {prefix: /denied/}}, action: {deny: 403}}]
`

const shown = (v: Visit) => v.page.locator('dd[data-figure]').evaluateAll((all) => Object.fromEntries(all.map((d) => [d.getAttribute('data-figure')!, d.textContent!])))
const number = (text = '') => Number(text.replaceAll(',', '').replace(' %', ''))

// How often everything was sent: where the script is tried again, figures go on from those of the first time.
let rounds = 0

/** said waits until the page says these figures of each round, within a hundredth, and own more that nobody sent. */
async function said(v: Visit, each: Record<string, number>, own = 0) {
  const want = Object.fromEntries(Object.entries(each).map(([figure, n]) => [figure, figure === 'tls.resumed' ? n : n * rounds]))
  await expect.poll(async () => {
    const now = await shown(v)
    return Object.entries(want).filter(([figure, n]) => !(number(now[figure]) >= n - n / 100 && number(now[figure]) <= n + n / 100 + own)).map(([figure, n]) => `${figure} is ${now[figure]}, want ${n}`).join()
  }, { timeout: 40_000, interval: 200 }).toBe('')
}

walk('figures are what clients counted', async (v) => {
  const address = (await v.world.call<{ spec: { address: string } }>('GET', '/api/v1/servers/az3-1')).value.spec.address
  expect((await v.world.call('POST', '/api/v1/apply', objects(address))).status).toBe(200)
  await v.world.converged()
  await v.world.answer('az3-1', '/missing', 404)
  await v.world.answer('az3-1', '/broken', 500)
  const send = (n: number, path: string, more = {}) => v.world.send(n, { host: 'shop.example.com', balancer: 'internal', home: 'internal', path, ...more })
  await expect.poll(() => v.world.call<{ status: unknown }>('GET', '/api/v1/pools/measured').then((p) => JSON.stringify(p.value.status))).toMatch(/"Serving","status":"True"/)
  rounds++
  const sent = [
    await send(400, '/'),
    await send(60, '/missing'),
    await send(40, '/broken'),
    await send(20, '/denied/x'),
    await send(30, '/gone/x'),
    await send(100, '/', { home: 'tls', tls: '1.3', resume: true }),
    await send(50, '/', { home: 'tls', tls: '1.2' }),
  ]
  expect(sent.map((s) => [s.statuses, s.failed])).toEqual([[{ 200: 400 }, []], [{ 404: 60 }, []], [{ 500: 40 }, []], [{ 403: 20 }, []], [{ 503: 30 }, []], [{ 200: 100 }, []], [{ 200: 50 }, []]])

  // Steps are ten seconds wide, and known ten seconds after their end.
  const kept = async () => {
    const { of, step } = (await v.world.call<{ step: number; of: { figures: { requests: (number | null)[] } }[] }>('GET', '/api/v1/series?of=Site/measured&of=LoadBalancer/lb-internal&figures=requests&from=-10m')).value
    return of.map((o) => o.figures.requests.reduce<number>((sum, n) => sum + (n ?? 0) * step, 0) > 700 * rounds - 1)
  }
  await expect.poll(kept, { timeout: 60_000, interval: 200 }).toEqual([true, true])
  await v.signIn('other', '/sites/measured/traffic')
  const all = { requests: 700, 'requests.2xx': 550, 'requests.4xx': 80, 'requests.5xx': 70 }
  const caused = { 'errors.server': 30, 'errors.client': 20, 'errors.weir': 0 }
  const tls = { 'tls.1.3': 100, 'tls.1.2': 50, 'tls.1.1': 0, 'tls.handshakes': 150, 'tls.resumed': 64 }
  await said(v, { ...all, ...caused, ...tls })
  // What is drawn last is what the API says of it.
  const lines = await v.page.getByRole('figure').evaluateAll((list) => list.map((f) => f.getAttribute('aria-label')!))
  for (const line of [/^Requests per second, by status: 2xx \S+/, /^Errors per second, by who caused them: server .*Weir .*client /, /^Time of the whole request: 50 % (<1|\d+) ms, 95 % (<1|\d+) ms, 99 % /, /^Time of a TLS handshake: 50 % \d+ ms/, /^Share of handshakes that resume a session: resumed \d+ %/]) {
    expect(lines.filter((l) => line.test(l)), `${line} of ${lines.join(' | ')}`).toHaveLength(1)
  }
  // What the pointer shows is had by keyboard too.
  const times = v.page.getByRole('slider', { name: 'Requests per second, by status at' })
  await times.focus()
  await v.page.keyboard.press('Home')
  await expect.poll(() => times.getAttribute('aria-valuenow')).toBe('0')
  await v.page.keyboard.press('Escape')
  await expect.poll(() => times.getAttribute('aria-valuetext')).toMatch(/^\d\d:\d\d:\d\d, 2xx /)
  await v.shot('traffic of a site')
  await v.axe()
  await v.page.getByRole('button', { name: '10 minutes' }).click()
  expect(new URL(v.page.url()).searchParams.get('range')).toBe('10m')
  await said(v, { ...all, ...caused, ...tls })
  expect(await v.page.getByRole('group', { name: 'Sums of 10 minutes' }).count()).toBe(1)

  const reached = { requests: 650, 'requests.2xx': 550, 'requests.4xx': 60, 'requests.5xx': 40 }
  await v.open('/pools/measured/traffic?range=10m')
  await said(v, { ...reached, 'errors.server': 0, 'errors.weir': 0 })
  await v.shot('traffic of a pool')
  await v.open('/servers/measured-0/traffic')
  await said(v, reached)
  await v.page.getByText('is counted for each site and pool').waitFor()
  await v.shot('traffic of a server')
  await v.axe()
  await v.open('/loadbalancers/lb-internal/traffic')
  // Its agent looks by handshakes of its own whether HAProxy has a new certificate.
  await said(v, { ...all, ...caused, ...tls }, 4)
  await v.shot('traffic of a load balancer')
  await v.axe()

  // All load balancers together have what others sent, too.
  await v.open('/tls')
  await expect.poll(() => shown(v).then((s) => [number(s['tls.1.3']) >= 99, number(s['tls.1.2']) >= 49, number(s['tls.handshakes']) >= 148, number(s['tls.resumed']) > 0]), { timeout: 30_000 }).toEqual([true, true, true, true])
  await v.shot('tls')
  await v.axe()
})
