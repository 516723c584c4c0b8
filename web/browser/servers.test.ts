// Servers: what people do to them by hand, what traffic makes of it, and what their checks say.
import { expect, walk, type Visit } from './weir'

interface Pool { kind: string; metadata: object; spec: Record<string, unknown> }
const www = { host: 'www.example.com', balancer: 'az1', home: 'az1' }
const answeredBy = async (v: Visit, n = 40) => {
  const got = await v.world.send(n, www)
  expect([got.failed, got.statuses]).toEqual([[], { 200: n }])
  return got.origins
}
const row = (v: Visit, server: string) => v.page.getByRole('row').filter({ has: v.page.getByRole('link', { name: server, exact: true }) })

/** move does something to servers in the list, with a reason and for a time, and waits until the load balancers have it. */
async function move(v: Visit, what: 'Drain' | 'Weight' | 'Maintenance' | 'Enable', servers: string[], fill: (dialog: ReturnType<Visit['page']['getByRole']>) => Promise<void> = async () => {}) {
  for (const s of servers) await v.page.getByRole('checkbox', { name: `choose ${s}` }).check()
  await v.page.getByRole('button', { name: what, exact: true }).first().click()
  const dialog = v.page.getByRole('dialog')
  await fill(dialog)
  await dialog.locator('.main').click()
  await dialog.waitFor({ state: 'hidden' })
  await v.world.converged()
}

walk('servers are drained, weighed, taken out and enabled, and traffic follows', async (v) => {
  await v.signIn('operator', '/servers')
  await row(v, 'az1-0').getByText('serving').waitFor()
  expect(await v.page.getByRole('button', { name: 'Drain' }).getAttribute('title')).toBe('Choose servers first.')

  // The page of one leads to where that is done.
  await v.open('/servers/az1-0')
  await v.page.getByRole('link', { name: 'Drain, weight…' }).click()
  await v.page.getByRole('button', { name: 'Drain', exact: true }).waitFor()
  await v.open('/servers')

  // One is drained: with the plan first, and never without a reason.
  await move(v, 'Drain', ['az1-0'], async (dialog) => {
    await dialog.getByRole('button', { name: 'Show the plan' }).click()
    await dialog.getByText('Say why: the next person wants to know.').waitFor()
    await dialog.getByLabel('Why').fill('a new kernel')
    await dialog.getByLabel('For how long').selectOption('30 minutes')
    await dialog.getByRole('button', { name: 'Show the plan' }).click()
    await dialog.getByText(/load balancers of edge: at run time/).waitFor()
    await v.settled()
    await v.shot('servers, drain')
    await v.axe()
  })
  await v.page.getByText('az1-0: drained, by change').waitFor()
  await v.page.getByText('written, and read back from HAProxy, on').waitFor()
  await row(v, 'az1-0').getByText(/^drain, ends in (29|30) min: a new kernel$/).waitFor()
  await expect.poll(() => answeredBy(v)).toEqual({ 'az1-1': 40 })

  // The other gets a weight, the drained one is enabled: they share by weight.
  await move(v, 'Weight', ['az1-1'], async (dialog) => {
    await dialog.getByLabel('Weight').fill('25')
    await dialog.getByLabel('Why').fill('is slow')
  })
  await move(v, 'Enable', ['az1-0'])
  await row(v, 'az1-0').getByText('drain, ends').waitFor({ state: 'detached' })
  await row(v, 'az1-1').getByText('weight 25, ends in 59 min: is slow').waitFor()
  // On a busy machine a check may come late, and take a server out for a moment.
  await expect.poll(async () => Math.abs(((await answeredBy(v, 500))['az1-1'] ?? 0) - 100), { message: 'of 500 requests by weights 100 and 25, how many more or less than 100 the second got' }).toBeLessThan(15)

  // Several at once: the whole zone is left, and comes back.
  await move(v, 'Maintenance', ['az1-0', 'az1-1'], async (dialog) => {
    await dialog.getByRole('heading', { name: 'Take into maintenance 2 servers' }).waitFor()
    await dialog.getByLabel('Why').fill('power of az1')
  })
  await row(v, 'az1-1').getByText(/^maintenance, ends in/).waitFor()
  await expect.poll(async () => Object.keys(await answeredBy(v)).filter((o) => o.startsWith('az1'))).toEqual([])
  await v.shot('servers, maintenance')
  await v.axe()
  await move(v, 'Enable', ['az1-0', 'az1-1'])
  await row(v, 'az1-1').getByText('serving').waitFor()
  expect(((await v.world.call<{ items: unknown[] }>('GET', '/api/v1/overrides')).value.items ?? []).length).toBe(0)
  await expect.poll(() => answeredBy(v), { timeout: 15_000 }).toEqual({ 'az1-0': 20, 'az1-1': 20 })
})

walk('a server that fails and returns is seen: its checks, and how it starts slowly', async (v) => {
  const pool = (await v.world.call<Pool>('GET', '/api/v1/pools/web-az1')).value
  const slow = { kind: pool.kind, metadata: pool.metadata, spec: { ...pool.spec, slowStart: '20s' } }
  expect((await v.world.call('PUT', '/api/v1/pools/web-az1', slow)).status).toBe(200)
  await v.world.converged()
  await v.signIn('viewer', '/servers/az1-0/health')
  expect(await v.page.getByRole('button', { name: 'Drain' }).getAttribute('title')).toContain('the right operator on role web')
  const log = v.page.getByRole('table')
  // Scripts before this one may have left events of their own; the newest comes first.
  const newest = async () => (await log.getByRole('row').allInnerTexts()).find((t) => t.includes('lb-az1') && t.includes('web-az1'))
  await v.world.origin('az1-0', 'stop')
  await expect.poll(newest, { timeout: 15_000 }).toMatch(/down\s+from[^]*(L4CON|L7|refused)/i)
  await v.page.getByText(/^down for/).first().waitFor()
  // What HAProxy says around an error, in whichever check, is nobody's to read.
  expect(await v.page.locator('main').innerText()).not.toMatch(/returned by OS|tcp-check/)
  await v.page.getByText(/^down: can't be connected to/).waitFor() // what its page says above all tabs
  expect(await answeredBy(v)).toEqual({ 'az1-1': 40 })
  await v.shot('server, down')
  await v.axe()

  await v.world.origin('az1-0', 'start')
  await v.page.getByText(/slow start: \d+(\.\d)? % of its share/).first().waitFor()
  const got = await answeredBy(v, 200)
  expect(got['az1-0'] ?? 0, `of 200 requests in a slow start: ${JSON.stringify(got)}`).toBeLessThan(90)
  await expect.poll(newest, { timeout: 15_000 }).toMatch(/up\s+from/)
  await v.shot('server, slow start')
  await v.axe()
  await v.open('/pools/web-az1/servers')
  await v.page.getByText('2 servers of 2 would get traffic.').waitFor()
  await v.page.getByLabel('Filter by name').fill('az1-1')
  expect(await v.page.getByRole('checkbox').count()).toBe(1)
  await v.page.getByLabel('Filter by name').fill('')
  await v.page.getByRole('button', { name: 'Choose all 2' }).click()
  await v.page.getByText('2 servers chosen').waitFor()
  await v.page.getByRole('button', { name: 'what load balancers see of az1-0' }).click()
  await v.page.getByText(/slow start: \d+(\.\d)? % of its share/).first().waitFor()
  await v.shot('pool, servers')
  await v.axe()
})
