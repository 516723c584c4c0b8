// Home: what goes wrong, and what is on its way, shows without loading the page again, and is gone afterwards.
import { expect, walk, type Visit } from './weir'

const attention = (v: Visit, object: string) => v.page.getByRole('listitem').filter({ has: v.page.getByRole('link', { name: object, exact: true }) })
const soon = { timeout: 25_000 }

walk('home tells what goes wrong and what is being changed, live', async (v) => {
  await v.signIn('owner', '/')
  await v.page.getByText('Nothing: what you may see serves').waitFor()
  await v.page.evaluate(() => ((window as unknown as { kept: boolean }).kept = true))
  await v.page.getByText('none ends soon').waitFor()

  // An agent is gone for long. Its group has nothing to do with a change by somebody else, which another one does not get yet.
  await v.world.agent('lb-internal', 'stop')
  await v.world.agent('lb-az2', 'stop')
  const override = { kind: 'Override', metadata: { name: 'az3-1', role: 'web' }, spec: { server: 'az3-1', weight: 50, reason: 'is slow', expiresAt: new Date(Date.now() + 3_600_000).toISOString() } }
  const made = await v.world.call<{ revision: number }>('PUT', '/api/v1/overrides/az3-1?reason=half+for+the+slow+one', override, 'operator')
  expect(made.status, JSON.stringify(made.value)).toBe(201)
  const change = v.page.getByRole('listitem').filter({ hasText: 'by olga: half for the slow one' })
  await change.getByText('2 of 3 load balancers have it').waitFor()
  expect(await change.getByRole('link').getAttribute('href')).toBe(`/changes/${made.value.revision}`)
  await v.shot('home, changing')
  await v.world.agent('lb-az2', 'start')
  await change.waitFor({ state: 'detached' })

  // Servers go down, one and then all of a zone, for which the others stand in.
  await v.world.origin('az1-0', 'stop')
  await attention(v, 'Pool web-az1').getByText('1 of 2 servers are not up everywhere: az1-0').waitFor()
  await v.world.origin('az1-1', 'stop')
  await attention(v, 'Pool web-az1').getByText('no server is up').waitFor()
  expect(await v.page.getByRole('region', { name: 'Pools' }).innerText()).toMatch(/2\s+down/) // of http and of tcp
  expect(await v.page.getByRole('region', { name: 'Sites' }).innerText()).toMatch(/5\s+serving/)
  expect((await v.world.send(40, { host: 'www.example.com' })).statuses).toEqual({ 200: 40 })
  await attention(v, 'LoadBalancer lb-internal').getByText(/silent for \d+/).waitFor(soon)
  await v.page.getByRole('link', { name: /^lb-internal does not answer: not heard for/ }).waitFor()
  await v.shot('home, trouble')
  await v.axe()
  await v.page.getByRole('link', { name: 'Pool web-az1', exact: true }).click()
  await v.page.getByText(/can't be connected to: Connection refused \(L4CON\)/).first().waitFor()
  await v.page.goBack()

  await v.world.agent('lb-internal', 'start')
  await v.world.origin('az1-0', 'start')
  await v.world.origin('az1-1', 'start')
  await v.page.getByText('Nothing: what you may see serves').waitFor(soon)
  await v.page.getByRole('link', { name: 'lb-internal has read it back' }).waitFor()
  expect(await v.page.evaluate(() => (window as unknown as { kept?: boolean }).kept), 'the page was not loaded again').toBe(true)
})

walk('home names the certificate that ends soon', async (v) => {
  await v.signIn('other', '/')
  const tally = v.page.getByRole('region', { name: 'Certificates' })
  await tally.getByText('1 ends soon').waitFor()
  expect(await tally.innerText()).toMatch(/shop in 23 h/)
  expect(await v.page.getByRole('row', { name: /^shop / }).innerText()).toContain('less than a day')
  await attention(v, 'Certificate shop').getByText(/^Certificate shop ends at \d{4}-/).waitFor()
  await v.shot('home, certificate')
  await v.axe()
  await tally.getByRole('link', { name: 'shop' }).click()
  await v.page.getByRole('heading', { name: 'shop' }).first().waitFor()
})
