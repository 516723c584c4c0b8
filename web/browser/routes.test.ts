// The editor of a site's routes, beside what becomes of a request.
import { expect, walk, type Visit } from './weir'

interface Site {
  kind: string
  metadata: { name: string; role: string }
  spec: { backends: Record<string, unknown>; routes?: unknown[]; delegates?: unknown[]; routing?: Record<string, unknown> }
  revision: number
}

// withBackend gives www a second backend, whose pool is that of az3.
async function withBackend(v: Visit) {
  const site = (await v.world.call<Site>('GET', '/api/v1/sites/www')).value
  const spec = { ...site.spec, backends: { ...site.spec.backends, api: 'web-az3' }, delegates: [{ role: 'shop', path: '/shop/' }] }
  expect((await v.world.call('PUT', '/api/v1/sites/www', { kind: 'Site', metadata: site.metadata, spec })).status).toBe(200)
  await v.world.call('PUT', '/api/v1/routes/films', 'kind: Route\nmetadata: {name: films, role: shop}\nspec: {site: www, match: {path: {exact: /shop/closed}}, action: {deny: 410}}')
  await v.world.converged()
}

walk('a route that was made in the page sends requests to the other pool', async (v) => {
  v.allow(400, /^\/api\/v1\/(plan|sites\/preview|explain)/)
  await withBackend(v)
  await v.signIn('admin', '/sites/www/routes?url=http%3A%2F%2Fwww.example.com%3A8080%2Fapi%2Fx')
  await v.page.getByText('It goes to backend default').waitFor()
  await v.page.getByText('from Route/films of role shop').waitFor()
  await v.page.getByRole('button', { name: 'Add a route' }).click()
  await v.page.getByLabel('Value').fill('api')
  await expect.poll(() => v.page.getByLabel('Value').getAttribute('aria-invalid')).toBe('true')
  await v.page.getByLabel('Value').fill('/api/')
  await v.page.getByLabel('Backend', { exact: true }).selectOption('api')
  await v.page.getByText(/load balancers of edge: at run time/).waitFor()
  await v.settled()
  await v.shot('routes, editing')
  await v.axe()
  await v.page.getByRole('button', { name: 'Done' }).click()
  // The exact path of the other role comes first, and the page says why.
  const rows = v.page.getByRole('list', { name: 'Routes in the order in which they are looked at' }).getByRole('listitem')
  await expect.poll(() => rows.allInnerTexts().then((all) => all.join(' | ').replace(/\s+/g, ' '))).toMatch(
    /^1 path is \/shop\/closed → refuse with 410 from Route\/films of role shop; before the next by its exact path \| 2 path begins with \/api\/ → to backend api the last of these; not saved yet .*everything else/,
  )
  await v.page.getByRole('button', { name: 'Save routes' }).click()
  await v.page.getByText('Saved as change').waitFor()
  await v.page.getByText(/^(\d+)\/\1$/).last().waitFor()
  await v.world.converged()
  expect((await v.world.call<Site>('GET', '/api/v1/sites/www')).value.spec.routes).toEqual([{ match: { path: { prefix: '/api/' } }, backend: 'api' }])
  const api = await v.world.send(60, { host: 'www.example.com', path: '/api/x' })
  expect([api.statuses, Object.keys(api.origins).sort()]).toEqual([{ 200: 60 }, ['az3-0', 'az3-1']])
  const rest = await v.world.send(60, { host: 'www.example.com', path: '/apis' })
  expect([rest.statuses, Object.keys(rest.origins).sort()]).toEqual([{ 200: 60 }, ['az1-0', 'az1-1']])
  expect((await v.world.send(5, { host: 'www.example.com', path: '/shop/closed' })).statuses).toEqual({ 410: 5 })
  // What was tried is told anew, and the row that takes it is marked.
  await v.page.getByText('It goes to backend api').waitFor()
  await expect.poll(() => rows.nth(1).innerText()).toContain('takes it')
  await v.page.getByLabel('URL').fill('http://www.example.com:8080/shop/closed')
  await v.page.getByText('It is refused with 410').waitFor()
  await expect.poll(() => rows.nth(0).innerText()).toContain('takes it')
  await v.settled()
  await v.shot('routes')
  await v.axe()
})

walk('routes that are saved while somebody else saved keep what was typed', async (v) => {
  v.allow(400, /^\/api\/v1\/(plan|sites\/preview)/)
  v.allow(412, /^\/api\/v1\/sites\/www/)
  await withBackend(v)
  await v.signIn('owner', '/sites/www/routes')
  await v.page.getByRole('button', { name: 'Add a route' }).click()
  await v.page.getByLabel('Value').fill('/mine/')
  await v.settled()
  const site = (await v.world.call<Site>('GET', '/api/v1/sites/www')).value
  await v.world.call('PUT', '/api/v1/sites/www', { kind: 'Site', metadata: site.metadata, spec: { ...site.spec, routing: { minHealthy: 2 } } })
  await v.page.getByRole('button', { name: 'Save routes' }).click()
  await v.page.getByText('Somebody saved the site meanwhile').waitFor()
  await v.page.getByText('minHealthy: 2').waitFor()
  expect(await v.page.getByLabel('Value').inputValue()).toBe('/mine/')
  await v.shot('routes, changed meanwhile')
  await v.axe()
  await v.page.getByRole('button', { name: 'Save mine on top of it' }).click()
  await v.page.getByText('Saved as change').waitFor()
  const spec = (await v.world.call<Site>('GET', '/api/v1/sites/www')).value.spec
  expect(spec.routing).toMatchObject({ minHealthy: 2 })
  expect(JSON.stringify(spec.routes)).toContain('/mine/')

  // When the routes changed on both sides nothing is guessed: both are shown, and the person chooses.
  await v.page.getByRole('button', { name: 'Add a route' }).click()
  await v.page.getByLabel('Value').fill('/again/')
  await v.settled()
  const theirs = (await v.world.call<Site>('GET', '/api/v1/sites/www')).value
  await v.world.call('PUT', '/api/v1/sites/www', { kind: 'Site', metadata: theirs.metadata, spec: { ...theirs.spec, routes: [{ match: { path: { prefix: '/theirs/' } }, backend: 'api' }] } })
  await v.page.getByRole('button', { name: 'Save routes' }).click()
  await v.page.getByText('Its routes changed too').waitFor()
  await v.page.getByText('prefix: /theirs/').waitFor()
  await v.page.getByText('prefix: /again/').waitFor()
  await v.page.getByRole('button', { name: 'Take theirs, drop mine' }).click()
  await v.page.getByText('path begins with /theirs/').waitFor()
  expect(await v.page.getByRole('button', { name: 'Save routes' }).count()).toBe(0)
})

walk('every condition and action of a route can be chosen', async (v) => {
  v.allow(400, /^\/api\/v1\/(plan|sites\/preview|explain)/)
  await withBackend(v)
  await v.world.call('PUT', '/api/v1/accesslists/office', 'kind: AccessList\nmetadata: {name: office, role: web}\nspec: {networks: [192.0.2.0/24]}')
  await v.signIn('owner', '/sites/www/routes?url=http%3A%2F%2Fwww.example.com%3A8080%2Fold%2Fx')
  const page = v.page
  const add = async (...more: string[]) => {
    await page.getByRole('button', { name: 'Add a route' }).click()
    for (const is of more) await page.getByLabel('Add a condition').selectOption(is)
  }
  const done = () => page.getByRole('button', { name: 'Done' }).click()
  await add('header', 'cookie', 'query', 'method', 'source')
  await page.getByLabel('Value').first().fill('/old/')
  const named = (what: string) => page.getByRole('group', { name: new RegExp(`Condition \\d: ${what}$`) })
  await named('Header').getByLabel('Name').fill('X-Block')
  await named('Header').getByLabel('Value').fill('yes')
  await named('Cookie').getByLabel('Name').fill('seen')
  await named('Cookie').getByLabel('How').selectOption('present')
  await named('Parameter').getByLabel('Name').fill('v')
  await named('Parameter').getByLabel('How').selectOption('regex')
  await named('Parameter').getByLabel('Value').fill('[0-9]+')
  await named('Method').getByLabel('Value').fill('post')
  await named('Client').getByLabel('Value').fill('office')
  await page.getByRole('radio', { name: /^Refuse it/ }).check()
  await page.getByLabel('Status').selectOption('429')
  await v.settled()
  await v.shot('routes, many conditions')
  await done()
  await add()
  await page.getByLabel('Value').fill('/old/')
  await page.getByRole('radio', { name: /^Send the client elsewhere/ }).check()
  await page.getByLabel('Status').selectOption('301')
  await page.getByLabel('Scheme').selectOption('https')
  await page.getByLabel('Path', { exact: true }).selectOption('prefix')
  await page.getByLabel('In place of the beginning').fill('/new/')
  await done()
  await add()
  await page.getByLabel('Value').fill('/v1/')
  await page.getByLabel('Backend', { exact: true }).selectOption('api')
  await page.getByLabel('The path the servers see').selectOption('prefix')
  await page.getByRole('button', { name: 'Headers of the request: change one' }).click()
  await page.getByLabel('Header 1', { exact: true }).fill('X-Weir')
  await page.getByLabel('Value of header 1').fill('1')
  await done()
  await page.getByRole('button', { name: 'Save routes' }).click()
  await page.getByText('Saved as change').waitFor()
  expect((await v.world.call<Site>('GET', '/api/v1/sites/www')).value.spec.routes).toEqual([
    { match: { path: { prefix: '/old/' }, method: 'POST', headers: [{ name: 'x-block', exact: 'yes' }], query: [{ name: 'v', regex: '[0-9]+' }], cookies: [{ name: 'seen', present: true }], accessList: 'office' }, action: { deny: 429 } },
    { match: { path: { prefix: '/old/' } }, action: { redirect: { code: 301, scheme: 'https', prefix: '/new/' } } },
    { match: { path: { prefix: '/v1/' } }, action: { backend: 'api', rewrite: { prefix: '/' }, requestHeaders: { set: { 'x-weir': '1' } } } },
  ])
  await page.getByText('The client is sent to https://www.example.com').waitFor()
  await page.getByLabel('URL').fill('http://www.example.com:8080/old/x?v=12')
  await page.getByLabel('Method', { exact: true }).selectOption('POST')
  await page.getByLabel('Client’s address').fill('192.0.2.9')
  // What is opened stays so, also when the answer comes and when nothing is left in it.
  const asked = page.waitForResponse(/\/explain\?.*method=POST.*from=192/)
  await page.getByText('Headers and cookies').click()
  await asked
  await page.getByLabel('One a line').fill('X-Block: yes')
  await page.getByLabel('One a line').fill('')
  await page.getByLabel('One a line').fill('X-Block: yes\nCookie: seen=1')
  await page.getByText('It is refused with 429').waitFor()
  await page.getByLabel('Client’s address').fill('198.51.100.1')
  await page.getByText('The client is sent to https://www.example.com').waitFor()
  await page.getByLabel('Client’s address').fill('nowhere')
  await expect.poll(() => page.getByLabel('Client’s address').getAttribute('aria-invalid')).toBe('true')
})
