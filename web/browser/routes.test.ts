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
})
