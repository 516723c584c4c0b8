// Objects: looked at, edited in the form and as YAML, restored, refused and deleted.
import { expect, walk, type Visit } from './weir'

interface Pool { kind: string; metadata: { name: string; role?: string }; spec: Record<string, unknown> & { selector?: { zone?: string }; healthCheck?: Record<string, unknown> }; revision: number }

const pool = async (v: Visit, name: string) => (await v.world.call<Pool>('GET', `/api/v1/pools/${name}`)).value
const answeredBy = async (v: Visit) => Object.keys((await v.world.send(60, { host: 'www.example.com' })).origins).sort()
const field = (v: Visit, name: string) => v.page.getByRole('main').getByLabel(name, { exact: true })

walk('an owner edits a pool in the form, and traffic follows', async (v) => {
  await v.signIn('owner', '/pools/web-az1')
  await v.page.getByText('What is asked for').waitFor()
  await v.shot('pool overview')
  await v.axe()
  expect(await answeredBy(v)).toEqual(['az1-0', 'az1-1'])

  await v.page.getByRole('link', { name: 'Edit', exact: true }).click()
  await field(v, 'zone').fill('az2')
  // The plan stands there before anything is saved, and nothing has been.
  await v.page.getByRole('complementary', { name: 'What saving does' }).getByText('load balancers of edge').first().waitFor()
  expect((await pool(v, 'web-az1')).spec.selector?.zone).toBe('az1')
  await v.shot('pool edit')
  await v.axe()
  await field(v, 'Why').fill('the first zone moves out')
  await v.page.getByRole('button', { name: 'Save', exact: true }).click()
  await v.page.getByText(/Saved as revision/).waitFor()
  await v.world.converged()
  await expect.poll(() => answeredBy(v), { timeout: 15_000 }).toEqual(['az2-0', 'az2-1'])

  await v.page.getByRole('link', { name: 'History' }).click()
  await v.page.getByText('“the first zone moves out”').waitFor()
  await v.shot('pool history')
  await v.axe()
  // Back to the version before, which is a change like any other.
  await v.page.locator('.change').nth(1).locator('summary').click()
  await v.page.getByRole('button', { name: 'Restore this version' }).first().click()
  expect(await field(v, 'zone').inputValue()).toBe('az1')
  await v.page.getByRole('complementary').getByText('load balancers of edge').first().waitFor()
  await v.page.getByRole('button', { name: 'Save', exact: true }).click()
  await v.page.getByText(/Saved as revision/).waitFor()
  await v.world.converged()
  await expect.poll(() => answeredBy(v), { timeout: 15_000 }).toEqual(['az1-0', 'az1-1'])
})

walk('what was typed stays when somebody else was faster', async (v) => {
  v.allow(412, /^\/api\/v1\/pools\/web-az1/)
  const before = await v.world.call<Pool>('GET', '/api/v1/pools/web-az1')
  await v.signIn('owner', '/pools/web-az1/edit')
  // The page is kept from seeing the other change before it saves.
  let stale = true
  await v.page.route('**/api/v1/pools/web-az1', (r) => (stale && r.request().method() === 'GET' ? r.fulfill({ json: before.value, headers: { ETag: `"${before.value.revision}"` } }) : r.continue()))
  await field(v, 'balance').selectOption('leastconn')
  await v.page.getByRole('complementary').getByText('load balancers of edge').first().waitFor()
  const { kind, metadata, spec } = before.value
  await v.world.call('PUT', '/api/v1/pools/web-az1?reason=faster', { kind, metadata, spec: { ...spec, healthCheck: { ...spec.healthCheck, fall: 4 } } })
  await field(v, 'Why').fill('slower')
  stale = false
  await v.page.getByRole('button', { name: 'Save', exact: true }).click()
  await v.page.getByText(/Somebody wrote revision/).waitFor()
  expect(await field(v, 'balance').inputValue()).toBe('leastconn')
  expect(await field(v, 'Why').inputValue()).toBe('slower')
  await v.shot('pool conflict')
  await v.axe()
  await v.page.getByRole('button', { name: 'Put my changes on top of theirs' }).click()
  await v.page.getByRole('complementary').getByText('load balancers of edge').first().waitFor()
  await v.page.getByRole('button', { name: 'Save', exact: true }).click()
  await v.page.getByText(/Saved as revision/).waitFor()
  const after = await pool(v, 'web-az1')
  expect([after.spec.balance, after.spec.healthCheck?.fall]).toEqual(['leastconn', 4])
})

walk('the form and the YAML are one draft, and what is wrong stands at its field', async (v) => {
  v.allow(400, /^\/api\/v1\/plan/)
  await v.signIn('owner', '/pools/web-az1/edit')
  await field(v, 'interval').fill('often')
  await v.page.getByText('"often" is no duration').first().waitFor()
  expect(await field(v, 'interval').getAttribute('aria-invalid')).toBe('true')
  await v.shot('pool problem')
  await v.page.getByRole('link', { name: 'YAML' }).click()
  const yaml = v.page.getByRole('textbox', { name: /as YAML/ })
  await yaml.getByText('interval: often').waitFor()
  await v.shot('pool yaml')
  await v.axe()
  await yaml.getByText('interval: often').click()
  await v.page.keyboard.press('Home')
  await v.page.keyboard.press('Shift+End')
  // The object comes anew every few seconds, and the editor stays.
  for (let i = 0; i < 2; i++) await v.page.waitForResponse((r) => r.url().endsWith('/api/v1/pools/web-az1'))
  await v.settled()
  await v.page.keyboard.type('interval: 150ms')
  await v.page.getByRole('link', { name: /^Edit/ }).click()
  expect(await field(v, 'interval').inputValue()).toBe('150ms')
  // Looking elsewhere loses nothing.
  await v.page.getByRole('link', { name: 'Sites', exact: true }).click()
  await v.page.getByRole('heading', { name: 'Sites' }).waitFor()
  await v.page.goBack()
  expect(await field(v, 'interval').inputValue()).toBe('150ms')
  await v.page.getByRole('button', { name: 'Drop my changes' }).click()
  expect(await field(v, 'interval').inputValue()).toBe('100ms')
})

walk('who may not write is told why', async (v) => {
  await v.signIn('viewer', '/pools/web-az1/edit')
  const save = v.page.getByRole('button', { name: 'Save', exact: true })
  await save.waitFor()
  expect(await save.getAttribute('title')).toContain('owner on role web')
  expect(await v.page.getByRole('button', { name: 'Delete' }).getAttribute('title')).toContain('owner on role web')
  await v.page.getByRole('link', { name: 'Used by' }).click()
  await v.page.getByRole('link', { name: 'www', exact: true }).waitFor()
  await v.shot('pool used by')
  await v.axe()
})

walk('who would break something is told whom', async (v) => {
  v.allow(400, /^\/api\/v1\/plan/)
  v.allow(409, /^\/api\/v1\/plan/)
  await v.signIn('owner', '/pools/web-az1')
  await v.page.getByRole('button', { name: 'Delete', exact: true }).click()
  await v.page.getByText(/refer to it/).waitFor()
  await v.shot('pool delete refused')
  expect(await v.page.getByRole('button', { name: 'Delete Pool' }).getAttribute('aria-disabled')).toBe('true')
})

walk('an object is made in a form, and deleted after the question what that does', async (v) => {
  v.allow(400, /^\/api\/v1\/plan/) // while it is typed
  await v.signIn('owner', '/errorpages/new')
  await v.page.getByRole('link', { name: 'Form' }).click()
  await field(v, 'name').fill('sorry')
  await field(v, 'body').fill('<h1>We are sorry</h1>')
  await v.page.getByText('+ ErrorPage sorry').waitFor()
  await v.shot('new object')
  await v.axe()
  await v.page.getByRole('button', { name: 'Create' }).click()
  await v.page.getByRole('heading', { name: 'sorry' }).waitFor()
  expect((await v.world.call<{ metadata: { role: string } }>('GET', '/api/v1/errorpages/sorry')).value.metadata.role).toBe('web')
  await v.page.getByRole('button', { name: 'Delete', exact: true }).click()
  await v.page.getByText('− ErrorPage sorry').waitFor()
  await v.shot('delete')
  await v.axe()
  await v.page.getByRole('dialog').getByLabel('Why').fill('not sorry any more')
  await v.page.getByRole('button', { name: 'Delete ErrorPage' }).click()
  await v.page.getByRole('heading', { name: 'not sorry any more' }).waitFor()
  expect((await v.world.call('GET', '/api/v1/errorpages/sorry')).status).toBe(404)
  v.allow(404, /errorpages/)
  await v.open('/errorpages/sorry')
  await v.page.getByText('There is no ErrorPage sorry.').waitFor()
})

walk('markup in objects is text everywhere', async (v) => {
  const evil = `<img src=x onerror=alert(1)><script>alert(2)</script>"'>`
  const made = await v.world.call('POST', '/api/v1/apply?reason=' + encodeURIComponent(evil), [
    { kind: 'AccessList', metadata: { name: 'evil', role: 'web' }, spec: { strings: { match: 'exact', entries: [evil] } } },
    { kind: 'Map', metadata: { name: 'evil', role: 'web' }, spec: { match: 'exact', entries: [{ key: '/evil', value: evil }] } },
    { kind: 'Role', metadata: { name: 'evil' }, spec: { contact: evil } },
    { kind: 'Logic', metadata: { name: 'evil', role: 'web' }, spec: { description: evil, text: 'http-response set-header x-evil %[str(a)] # ' + evil } },
  ])
  expect(made.status, JSON.stringify(made.value)).toBe(200)
  const { revision } = made.value as { revision: number }
  await v.signIn('admin')
  for (const page of ['/accesslists/evil', '/maps/evil', '/maps/evil/edit', '/maps/evil/yaml', '/maps/evil/history', '/maps/evil/rendered', '/roles/evil', '/roles/evil/edit', '/logics/evil', '/logics/evil/edit', '/accesslists', `/changes/${revision}`, '/changes']) {
    await v.open(page)
    await v.page.getByRole('heading', { level: 1 }).waitFor()
  }
  await v.page.getByText(evil).first().waitFor()
})

walk('YAML is typed over', async (v) => {
  v.allow(400, /^\/api\/v1\/plan/) // while it is typed
  await v.signIn('owner', '/errorpages/new')
  await v.page.getByRole('textbox', { name: /as YAML/ }).click()
  await v.page.keyboard.press('Control+a')
  await v.page.keyboard.type('kind: ErrorPage\nmetadata: {}')
  await v.page.keyboard.press('Control+a')
  await v.page.keyboard.insertText('{kind: ErrorPage, metadata: {name: over, role: web}, spec: {body: Over}}')
  await v.page.getByText('+ ErrorPage over').waitFor()
})

walk('an object of two groups is shown in each', async (v) => {
  await v.signIn('other', '/sites/down')
  const facts = v.page.locator('main dl.facts')
  for (const [group, name] of [['edge', 'lb-az3'], ['internal', 'lb-internal']] as const) await facts.locator('div', { hasText: group }).getByRole('link', { name: new RegExp(`^${name} `) }).waitFor()
  expect(await facts.locator('div', { hasText: 'internal' }).getByRole('link', { name: /^lb-/ }).count()).toBe(1)
  await v.shot('site of two groups')
})
