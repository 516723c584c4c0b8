// Failover: what the page says of the other zones beforehand is what clients see afterwards, and the way back.
import { expect, walk, type Visit } from './weir'

const zones = ['az1', 'az2', 'az3']
interface Site { kind: string; metadata: object; spec: Record<string, unknown> & { addresses: string[] } }

/** shares asks at the address of each zone alike, and gives what part of all each zone answered, in per cent. */
async function shares(v: Visit, host: string, each = 100): Promise<Record<string, number>> {
  const all = await Promise.all(zones.map((home) => v.world.send(each, { host, balancer: home, home })))
  for (const got of all) expect([got.failed, got.statuses]).toEqual([[], { 200: each }])
  return Object.fromEntries(zones.map((zone) => [zone, (100 / (3 * each)) * all.reduce((n, got) => n + Object.entries(got.origins).reduce((m, [o, k]) => m + (o.startsWith(zone) ? k : 0), 0), 0)]))
}

/** previewed reads the shares that the dialog says: "az1 33 % → 0 %". */
const previewed = (text: string) => Object.fromEntries([...text.matchAll(/(az\d) [\d.<]+ % → ([\d.]+) %/g)].map((m) => [m[1]!, Number(m[2])]))

const cell = (v: Visit, what: string, zone: string) => v.page.getByRole('button', { name: new RegExp(`^${what} in ${zone}:`) })

/** tabTo goes on by Tab until something of a name has the focus. */
async function tabTo(v: Visit, name: string) {
  for (let n = 0; n < 80; n++) {
    await v.page.keyboard.press('Tab')
    if (await v.page.evaluate((name) => [document.activeElement?.getAttribute('aria-label'), document.activeElement?.textContent, (document.activeElement as HTMLInputElement | null)?.labels?.[0]?.textContent].some((t) => t?.trim() === name), name)) return
  }
  throw new Error(`Tab does not come to ${name}`)
}

walk('a site leaves a zone as the page said, and comes back by one click', async (v) => {
  await v.signIn('operator', '/failover')
  await expect.poll(() => cell(v, 'www', 'az1').innerText()).toMatch(/33 %[^]*2\/2 up/)
  await cell(v, 'www', 'az1').click()
  const dialog = v.page.getByRole('dialog')
  const said = await dialog.getByText(/^Shares of www: /).innerText()
  const then = previewed(said)
  expect([Object.keys(then), then.az1]).toEqual([zones, 0])
  await expect.poll(() => dialog.getByRole('row', { name: /^az2 / }).innerText()).toContain('it holds')
  await dialog.getByRole('button', { name: 'Take it out of az1' }).click()
  await dialog.getByText('Say why: the next person wants to know.').waitFor()
  await v.shot('failover, preview')
  await v.axe()
  expect((await shares(v, 'www.example.com', 30)).az1).toBeCloseTo(100 / 3) // so far it only said what would be

  await dialog.getByLabel('Why').fill('disks of az1 are replaced')
  await dialog.getByLabel('For how long').selectOption('30 minutes')
  await dialog.getByRole('button', { name: 'Take it out of az1' }).click()
  await v.page.getByText('www: out of az1, by change').waitFor()
  await v.page.getByText('written, and read back from HAProxy, on').waitFor()
  await v.page.getByText(/^(\d+)\/\1$/).first().waitFor()
  // Each of az1's clients goes to one of two zones by chance: 300 tell what part of all that is within 4 %.
  const now = await shares(v, 'www.example.com', 300)
  expect(now.az1).toBe(0)
  for (const zone of zones) expect(Math.abs(now[zone]! - then[zone]!), `${zone} answers ${now[zone]} %; said was: ${said}`).toBeLessThan(4)
  await expect.poll(() => cell(v, 'www', 'az1').innerText()).toMatch(/shifted[^]*ends in (29|30) min[^]*disks of az1/)
  await expect.poll(() => cell(v, 'www', 'az2').innerText()).toContain(`${then.az2} %`)
  await v.shot('failover, shifted')
  await v.axe()

  await v.page.getByRole('button', { name: 'Bring back www into az1' }).click()
  await v.page.getByText('www: back into az1, by change').waitFor()
  await cell(v, 'www', 'az1').getByText('33 %').waitFor()
  expect(await v.page.getByText('Out of their zones').count()).toBe(0)
  await expect.poll(() => shares(v, 'www.example.com', 40).then((s) => zones.map((z) => Math.round(s[z]!))), { timeout: 15_000 }).toEqual([33, 33, 33])
})

walk('all sites of a role leave a zone and come back, by keyboard alone', async (v) => {
  await v.signIn('owner', '/failover')
  const dialog = v.page.getByRole('dialog')
  await tabTo(v, 'All out of az2')
  await v.page.keyboard.press('Enter')
  await dialog.getByText('5 sites move.').waitFor()
  await v.page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
  await expect.poll(() => v.page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim())).toBe('All out of az2') // where it was
  await v.page.keyboard.press('Enter')
  await dialog.getByText('5 sites move.').waitFor()
  expect(await dialog.getByLabel('Whose traffic').innerText()).toBe('all sites of role web')
  await tabTo(v, 'Why')
  await v.page.keyboard.type('network of az2')
  await v.settled()
  await v.shot('failover, all sites')
  await v.page.keyboard.press('Enter')
  await v.page.getByText('all sites of role web: out of az2, by change').waitFor()
  await v.page.getByText(/^(\d+)\/\1$/).first().waitFor()
  expect((await shares(v, 'www.example.com')).az2).toBe(0)
  const weighted = await shares(v, 'weighted.example.com', 300)
  expect(weighted.az2).toBe(0)
  expect(Math.abs(weighted.az1! - 87.5), JSON.stringify(weighted)).toBeLessThan(5) // 70 and 10 are left of its shares
  await expect.poll(() => cell(v, 'weighted', 'az1').innerText()).toMatch(/8[78] %/)
  await expect.poll(() => cell(v, 'kept', 'az2').innerText()).toContain('shifted')

  // A cell ends it too, for all that it moves, after saying so.
  await tabTo(v, 'two in az2: ' + (await cell(v, 'two', 'az2').textContent())!.trim().slice('two in az2: '.length)).catch(() => cell(v, 'two', 'az2').focus())
  await v.page.keyboard.press('Enter')
  await dialog.getByText('for every site that it moves').waitFor()
  await v.settled()
  await v.shot('failover, end')
  await v.page.keyboard.press('Escape')
  await v.page.getByRole('button', { name: 'Bring back all sites of role web into az2' }).focus()
  await v.page.keyboard.press('Enter')
  await v.page.getByText('all sites of role web: back into az2, by change').waitFor()
  await expect.poll(() => shares(v, 'weighted.example.com', 40).then((s) => s.az2), { timeout: 15_000 }).toBeGreaterThan(10)
})

walk('who may only look is told why, and what others shifted', async (v) => {
  const shift = { kind: 'ZoneShift', metadata: { name: 'night', role: 'web' }, spec: { sites: ['two'], zone: 'az3', reason: 'work at night', expiresAt: new Date(Date.now() + 3_600_000).toISOString() } }
  expect((await v.world.call('PUT', '/api/v1/zoneshifts/night', shift, 'operator')).status).toBe(201)
  await v.signIn('viewer', '/failover')
  await v.page.getByText('two out of az3: work at night').waitFor()
  for (const button of [cell(v, 'www', 'az1'), cell(v, 'two', 'az3'), v.page.getByRole('button', { name: 'All out of az1' }), v.page.getByRole('button', { name: 'Bring back two into az3' })]) {
    expect([await button.getAttribute('aria-disabled'), await button.getAttribute('title')]).toEqual(['true', expect.stringContaining('the right operator')])
    await button.click({ force: true })
  }
  expect(await v.page.getByRole('dialog').count()).toBe(0)
  expect((await v.world.call('GET', '/api/v1/zoneshifts/night')).status).toBe(200)
  await v.shot('failover, viewer')
  await v.axe()
})

walk('a site is shown by its backends and groups', async (v) => {
  const { kind, metadata, spec } = (await v.world.call<Site>('GET', '/api/v1/sites/www')).value
  const wide = { ...spec, addresses: [...spec.addresses, 'inner'], backends: { default: { az1: 'web-az1', az2: 'web-az2', az3: 'web-az3' }, api: { az1: 'web-az1', az3: 'web-az3' } }, routes: [{ match: { path: { prefix: '/api/' } }, backend: 'api' }] }
  const made = await v.world.call('POST', '/api/v1/apply', [{ kind: 'IPAddress', metadata: { name: 'inner', role: 'web' }, spec: { address: '203.0.113.18', homeZone: 'az1', groups: ['internal'] } }, { kind, metadata, spec: wide }])
  expect(made.status, JSON.stringify(made.value)).toBe(200)
  await v.world.converged()
  await v.signIn('owner', '/failover?q=www')
  await expect.poll(() => cell(v, 'www, default on edge', 'az2').innerText()).toMatch(/33 %[^]*2\/2 up/)
  await expect.poll(() => cell(v, 'www, api on edge', 'az1').innerText()).toMatch(/50 %[^]*2\/2 up/)
  expect(await cell(v, 'www, api on edge', 'az2').count()).toBe(0)
  await v.page.getByRole('button', { name: '1 more of www' }).click()
  await cell(v, 'www, api on internal', 'az1').waitFor()
  expect(new URL(v.page.url()).searchParams.get('open')).toBe('www')
  await cell(v, 'www, api on edge', 'az1').click()
  const dialog = v.page.getByRole('dialog')
  await dialog.getByText('Shares of www, api on edge: az1').waitFor()
  await dialog.getByText('Shares of www, default on internal: az1').waitFor()
  await v.shot('failover, parts, preview')
  await dialog.getByRole('button', { name: 'Close' }).click()
  await v.shot('failover, parts')
  await v.axe()
})
