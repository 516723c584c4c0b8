// Calls to partners: what is composed in the page is what load balancers let through.
import { expect, walk, type Visit } from './weir'

// partners makes a way out at www-az1 whose partner is the server az1-0, which reports may call at two levels and only read.
async function partners(v: Visit): Promise<void> {
  const { value } = await v.world.call<{ spec: { address: string } }>('GET', '/api/v1/servers/az1-0')
  const at = `addresses: [${value.spec.address}], port: 9000, plain: true`
  const done = await v.world.call('POST', '/api/v1/apply', `
kind: Site
metadata: {name: out, role: web}
spec: {hostnames: [egress.example.com], addresses: [www-az1], listeners: [{port: 8080}], egress: {environments: [prod]}}
---
kind: EgressClient
metadata: {name: reports, role: web}
spec: {environment: prod, sources: [127.0.0.0/8]}
---
kind: EgressClient
metadata: {name: idle, role: web}
spec: {environment: prod, sources: [127.0.0.0/8]}
---
kind: Partner
metadata: {name: bank, role: web}
spec: {contact: "+31 20 555 0100, desk@bank.example", endpoints: [{environment: prod, service: rates, host: rates.bank.example, ${at}}, {environment: prod, service: payments, host: pay.bank.example, ${at}}]}
---
kind: Partner
metadata: {name: post, role: web}
spec: {endpoints: [{environment: prod, service: labels, host: labels.post.example, ${at}}]}
---
kind: SLA
metadata: {name: fast, role: web}
spec: {connect: 1s, server: 2s, inFlight: 50}
---
kind: SLA
metadata: {name: patient, role: web}
spec: {server: 2m, retries: {methods: idempotent}}
---
kind: SLA
metadata: {name: unused, role: web}
---
kind: EgressRule
metadata: {name: reports-rates, role: web}
spec: {clients: [reports], partner: bank, services: [rates], slas: [fast, patient], methods: [GET], paths: [/v1]}
`)
  expect(done.status).toBe(200)
  await v.world.converged()
}

walk('a call that is composed in the page passes a load balancer', async (v) => {
  await partners(v)
  await v.signIn('owner', '/egress')
  await v.shot('partners, no application chosen')
  await v.page.getByLabel('Application').selectOption('reports')
  await v.settled()
  // bank is the only one that may be called, and is taken; the other says why not.
  expect(await v.page.getByLabel('Partner', { exact: true }).inputValue()).toBe('bank')
  expect(await v.page.getByRole('option', { name: 'post (no EgressRule lets reports call it)' }).isDisabled()).toBe(true)
  expect(await v.page.getByRole('radio', { name: /^prod\/payments/ }).isDisabled()).toBe(true)
  await v.page.getByText('no EgressRule lets reports call it').last().waitFor()
  await v.shot('partners, choose the level')
  // The level is chosen by keyboard.
  await v.page.getByRole('radio', { name: /^fast/ }).focus()
  await v.page.keyboard.press('Space')
  const result = v.page.getByRole('region', { name: 'The call' })
  await result.getByText('http://egress.example.com:8080/reports/prod/bank/prod/rates/fast/v1', { exact: true }).waitFor()
  await v.page.getByLabel('What the partner sees').fill('/v1/eur?at=2026%2F11')
  const url = 'http://egress.example.com:8080/reports/prod/bank/prod/rates/fast/v1/eur?at=2026%2F11'
  await result.getByText(url, { exact: true }).waitFor()
  await result.getByText(`curl --fail-with-body '${url}'`).waitFor()
  await v.settled()
  for (const [language, line] of [['Java', `URI.create("${url}")`], ['Go', `http.NewRequest("GET", "${url}", nil)`], ['Python', 'timeout=4']] as const) {
    await result.getByRole('link', { name: language, exact: true }).click()
    await result.getByText(line).waitFor()
  }
  await v.settled()
  await v.shot('partners, composed')
  await v.axeBoth()
  // The address alone shows the same.
  const here = new URL(v.page.url())
  await v.open(here.pathname + here.search)
  await result.getByText('urllib.request.urlopen').waitFor()
  await result.getByText(url, { exact: true }).first().waitFor()
  const path = new URL(url).pathname + new URL(url).search
  expect(await v.world.send(8, { host: 'egress.example.com', path })).toMatchObject({ statuses: { 200: 8 }, origins: { 'az1-0': 8 } })

  // What a load balancer does with it is told, from an address of the application's.
  await result.getByRole('link', { name: 'What a load balancer does with it' }).click()
  await v.page.getByText('EgressRule reports-rates lets it pass: bank/prod/rates is asked for /v1/eur?at=2026%2F11 at level fast.').waitFor()
  await v.settled()
  await v.shot('partners, explained')
  await v.axe()
  await v.page.goBack()
  await v.settled()

  // What will be refused is said before it is sent, and is refused.
  await v.page.getByLabel('What the partner sees').fill('/v2/eur')
  await result.getByText('EgressRule/reports-rates lets nothing through at this path').waitFor()
  await v.settled()
  await v.shot('partners, refused')
  await v.axe()
  expect((await v.world.send(2, { host: 'egress.example.com', path: '/reports/prod/bank/prod/rates/fast/v2/eur' })).statuses).toEqual({ 403: 2 })
  v.allow(400, /^\/api\/v1\/egressclients\/reports\/url/)
  await v.page.getByLabel('What the partner sees').fill('/a b')
  await expect.poll(() => v.page.getByLabel('What the partner sees').getAttribute('aria-invalid')).toBe('true')
})

walk('an application has a list of what it may call, and one that may call nobody is told how', async (v) => {
  await partners(v)
  await v.signIn('viewer', '/')
  await expect.poll(() => v.page.getByRole('row', { name: /^out / }).innerText()).toContain('way out for prod')
  await v.open('/sites?q=out')
  await v.page.getByText('way out for prod').waitFor()
  await v.shot('sites, a way out')
  // A partner whose name nobody knows is for somebody to look at.
  expect((await v.world.call('PUT', '/api/v1/partners/lost', { kind: 'Partner', metadata: { name: 'lost', role: 'web' }, spec: { endpoints: [{ environment: 'prod', service: 'www', host: 'lost.invalid' }] } })).status).toBe(201)
  expect((await v.world.call('PUT', '/api/v1/egressrules/lost', { kind: 'EgressRule', metadata: { name: 'lost', role: 'web' }, spec: { clients: ['reports'], partner: 'lost', slas: ['fast'] } })).status).toBe(201)
  await v.open('/')
  await v.page.getByRole('listitem').filter({ has: v.page.getByRole('link', { name: 'Partner lost', exact: true }) }).getByText('lost.invalid').waitFor()
  await v.shot('home, a partner is lost')
  await v.open('/egressclients/reports/calls')
  const list = v.page.getByRole('table', { name: 'Everything that reports may call' })
  await expect.poll(() => list.innerText()).toMatch(/rates\/fast\/[\s\S]*GET[\s\S]*\/v1[\s\S]*connects in 1s, waits 2s, nothing is tried again, 50 at once[\s\S]*desk@bank\.example[\s\S]*reports-rates/)
  await v.shot('application, calls')
  await v.axe()
  await list.getByRole('link', { name: '/reports/prod/bank/prod/rates/patient/' }).click()
  await v.page.getByText('http://egress.example.com:8080/reports/prod/bank/prod/rates/patient/v1', { exact: true }).waitFor()
  expect(new URL(v.page.url()).pathname).toBe('/egressclients/reports/calls')
  // An address of a call that is not allowed any more says so.
  await v.open('/egress?client=reports&partner=bank&service=prod%2Fpayments')
  await v.page.getByText('no EgressRule lets reports call it').last().waitFor()
  await v.page.getByText('It can’t be called like this.').waitFor()
  await v.open('/egress?client=idle')
  await v.page.getByText('No EgressRule that you may see lets idle call anybody').waitFor()
  await v.shot('partners, no rule')
  await v.axeBoth()
})

walk('partners that fail are named, and those that nobody calls are not called well', async (v) => {
  await partners(v)
  // One that no other script has called within the minute.
  const { value } = await v.world.call<{ spec: { address: string } }>('GET', '/api/v1/servers/az1-0')
  const made = await v.world.call('POST', '/api/v1/apply', `
kind: Partner
metadata: {name: quay, role: web}
spec: {contact: "quay desk, +31 20 555 0101", endpoints: [{environment: prod, service: berths, host: berths.quay.example, addresses: [${value.spec.address}], port: 9000, plain: true}]}
---
kind: EgressRule
metadata: {name: reports-berths, role: web}
spec: {clients: [reports], partner: quay, slas: [fast]}
`)
  expect(made.status).toBe(200)
  await v.world.converged()
  await v.world.answer('az1-0', '/broken', 503)
  await v.signIn('viewer', '/egress')
  const row = (name: string) => v.page.getByRole('table', { name: 'How calls to partners go now' }).getByRole('row', { name: new RegExp(`^${name} `) })
  const soon = { timeout: 40_000 } // load balancers tell, and the server looks, every ten seconds
  await row('post').getByText('no rule lets anybody call it').waitFor()
  await row('quay').getByText('none lately').waitFor()
  await row('quay').getByText('quay desk, +31 20 555 0101').waitFor()
  const call = (n: number, path: string) => v.world.send(n, { host: 'egress.example.com', path: '/reports/prod/quay/prod/berths/fast' + path })
  expect((await call(8, '/eur')).statuses).toEqual({ 200: 8 })
  await row('quay').getByText('are answered').waitFor(soon)
  expect((await call(6, '/broken')).statuses).toEqual({ 503: 6 })
  await row('quay').getByText(/prod\/berths: of \d+ calls of the last minute 6 failed there/).waitFor(soon)
  await v.page.getByLabel('Application').selectOption('reports')
  await v.page.getByLabel('Partner', { exact: true }).selectOption('quay')
  await v.page.getByText('Calls to quay fail now.').waitFor()
  await v.settled()
  await v.shot('partners, one fails')
  await v.axeBoth()
}, 150_000)
