// What comes from outside is text, wherever it is shown: of objects, of requests, of servers, of people and of addresses.
import { connect, createServer, type AddressInfo } from 'node:net'
import { shown } from '../src/text/marks'
import { hostile, reason, type Obj } from './hostile'
import { expect, walk, type Visit } from './weir'

const evil = (n: number) => `<img src=x onerror=alert(${n})>"'><script>alert(${n})</script>{{${n}}}`

interface Kind { name: string; plural: string; readOnly?: boolean }

// All that a person can read on a page, in one line.
const flat = (text: string) => text.replace(/\s+/g, ' ')
const page = async (v: Visit) => flat(await v.page.evaluate(() => [document.body.innerText, ...[...document.querySelectorAll('input, textarea')].map((e) => (e as HTMLInputElement).value)].join('\n')))
const visible = (text: string) => flat(shown(text)).trim()

// The texts with markup that an object has: those that the API tells.
function marked(v: unknown): string[] {
  if (typeof v === 'string') return /alert\(\d+\)|\{\{\d+\}\}/.test(v) ? [v] : []
  return typeof v === 'object' && v !== null ? Object.entries(v).flatMap(([k, x]) => [...marked(k), ...marked(x)]) : []
}

const tabs: Record<string, string[]> = { Site: ['routes', 'traffic', 'log', 'rendered'], Pool: ['servers', 'rendered'], Server: ['health', 'rendered'], Certificate: ['rendered'], Logic: ['rendered'], Map: ['rendered'], RateLimit: ['rendered'], AccessList: ['rendered'], ErrorPage: ['rendered'] }

walk('markup in every text of every kind is text on every page', async (v) => {
  const h = await hostile(v.world)
  expect(h.untried, 'fields of which nothing is known: an object of hostile.yaml should have them').toEqual([])
  expect(h.taken).toBeGreaterThan(150)
  const made = await v.world.call<{ revision: number }>('POST', '/api/v1/apply?reason=' + encodeURIComponent(reason), h.objects)
  expect(made.status, JSON.stringify(made.value)).toBe(200)
  const { kinds } = (await v.world.call<{ kinds: Kind[] }>('GET', '/api/v1/kinds')).value
  await v.signIn('admin')
  const see = async (path: string, texts: string[]) => {
    await v.go(path)
    for (const text of texts) await expect.poll(() => page(v), { message: `${path} shows ${text}`, timeout: 5000 }).toContain(visible(text))
    await v.fitsPhone(path)
  }
  v.allow(400, /^\/api\/v1\/plan\?delete=/) // most are needed by others
  const seen = new Set<string>() // kinds
  for (const o of h.objects) {
    const kind = kinds.find((k) => k.name === o.kind)!
    const { metadata, spec } = (await v.world.call<Obj>('GET', `/api/v1/${kind.plural}/${o.metadata.name}`)).value
    const at = `/${kind.plural}/${o.metadata.name}`
    const texts = marked(spec)
    await see(at, [...texts, ...marked(metadata.labels)])
    if (!seen.has(o.kind)) await v.fits(at)
    // The server adds what only it writes, which has no field.
    const wished = marked(o.spec)
    await see(at + '/edit', texts.filter((t) => wished.includes(t)))
    if (seen.has(o.kind)) continue
    seen.add(o.kind)
    await see(at + '/history', [reason])
    // These are the same for all kinds.
    if (!tabs[o.kind]) continue
    for (const tab of ['yaml', 'used-by', ...tabs[o.kind]!]) await see(`${at}/${tab}`, [])
    await v.page.getByRole('button', { name: 'Delete', exact: true }).click()
    await v.page.getByRole('dialog').waitFor()
    await v.page.keyboard.press('Escape')
  }
  for (const kind of kinds) if (!kind.readOnly) await see(`/${kind.plural}`, [])
  for (const path of ['/', '/map', '/map?as=list', '/failover', '/fleet', '/tls', '/objects', '/me', '/servers?q=hostile']) await see(path, [])
  await see('/changes', [reason])
  await see(`/changes/${made.value.revision}`, [reason])
  await v.shot('hostile change')
  await v.page.keyboard.press('Control+k')
  await v.page.getByRole('dialog').getByRole('combobox').fill('hostile')
  await v.page.getByRole('dialog').getByRole('option').first().waitFor()
  await v.fits('search')
}, 240_000)

walk('what is refused is told in text', async (v) => {
  v.allow(400, /^\/api\/v1\/plan/)
  const h = await hostile(v.world)
  const { kinds } = (await v.world.call<{ kinds: Kind[] }>('GET', '/api/v1/kinds')).value
  await v.signIn('admin')
  for (const o of h.refused) {
    // Pools and Sites are made on pages of their own: there one that is there is edited.
    const name = { Pool: 'web-az1', Site: 'www' }[o.kind]
    if (name) o.metadata.name = name
    await v.go(`/${kinds.find((k) => k.name === o.kind)!.plural}/${name ? name + '/yaml' : 'new'}`)
    await v.page.getByRole('textbox', { name: /as YAML/ }).click()
    await v.page.keyboard.press('Control+a')
    const answer = v.page.waitForResponse((r) => r.url().endsWith('/api/v1/plan'))
    await v.page.keyboard.insertText(JSON.stringify(o))
    const { errors } = (await (await answer).json()) as { errors: { path: string; message: string }[] }
    const listed = v.page.getByRole('alert').getByRole('listitem')
    await expect.poll(() => listed.count(), { timeout: 5000 }).toBe(errors.length)
    const said = flat((await listed.allInnerTexts()).join('\n'))
    for (const e of errors) expect(said).toContain(visible(e.message))
    await v.fitsPhone(`${o.kind} refused`)
    await v.page.getByRole('link', { name: name ? /^Edit/ : 'Form' }).click()
    await v.settled()
    await v.fitsPhone(`form of a ${o.kind} refused`)
  }
  await v.shot('refused in the form')
}, 240_000)

walk('what clients and servers say is text', async (v) => {
  // A server answers with markup, which HAProxy's check of Redis tells as it is.
  const greets = createServer((c) => c.on('error', () => {}).once('data', () => c.end(`-ERR ${evil(1)}\r\n`)))
  await new Promise<void>((done) => greets.listen(0, '127.0.0.1', done))
  const { port } = greets.address() as AddressInfo
  const { kind, metadata, spec } = (await v.world.call<Obj & { spec: { backends: { default: object } } }>('GET', '/api/v1/sites/tcp')).value
  const www = (await v.world.call<Obj & { spec: object }>('GET', '/api/v1/sites/www')).value
  const made = await v.world.call<{ revision: number }>('POST', '/api/v1/apply', [
    { kind: 'Server', metadata: { name: 'greets', role: 'web' }, spec: { address: '127.0.0.1', zone: 'az3', clusters: ['greets'], ports: { redis: port } } },
    { kind: 'Pool', metadata: { name: 'greets', role: 'web' }, spec: { mode: 'tcp', selector: { role: 'web', clusters: ['greets'] }, port: 'redis', healthCheck: { type: 'redis', interval: '100ms', rise: 1, fall: 1 } } },
    { kind, metadata, spec: { ...spec, backends: { default: { ...spec.backends.default, az3: 'greets' } } } },
    { kind: www.kind, metadata: www.metadata, spec: { ...www.spec, log: { requestHeaders: { 'User-Agent': 200, Referer: 200 } } } },
  ])
  expect(made.status, JSON.stringify(made.value)).toBe(200)
  await v.world.converged()
  await v.signIn('owner', '/servers/greets/health')
  await v.page.getByText(evil(1)).first().waitFor()
  await v.shot('check that says markup')
  await v.go('/pools/greets/servers')
  await v.page.getByRole('button', { name: 'what load balancers see of greets' }).click()
  await v.page.getByText(evil(1)).first().waitFor()
  await v.fits('pool whose check says markup')
  for (const path of ['/servers?q=greets', '/', '/pools/greets', '/sites/tcp']) {
    await v.go(path)
    await v.fits(path)
  }

  await v.go('/sites/www/log')
  await v.page.getByText('Live.').waitFor()
  const path = `/<img/src=x/onerror=alert(2)>"'{{2}}javascript:alert(2)`
  const { hostname, port: at } = new URL('http://' + v.world.given.at.az1!.az1)
  const ask = () =>
    new Promise<string>((done, failed) => {
      let said = ''
      const c = connect(Number(at), hostname).on('error', failed).on('data', (d) => (said += d)).on('end', () => done(said))
      c.write(`GET ${path}?q=<script>alert(2)</script> HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: ${evil(3)}\r\nReferer: javascript:alert(3)//\xff\r\nConnection: close\r\n\r\n`, 'latin1')
    })
  await expect.poll(async () => {
    expect(await ask()).toMatch(/^HTTP\/1.1 200 /)
    return v.page.getByText(path.replace('"', '#22')).count() // as HAProxy writes it
  }, { timeout: 15_000, interval: 500 }).toBeGreaterThan(0)
  await v.shot('log of markup')
  greets.close()
})

walk('names of people and groups, and reasons of refusals, are text', async (v) => {
  const sub = evil(1), group = evil(2)
  const given = await v.world.provider({ sub, groups: [group], name: evil(3), preferred_username: evil(3), email: evil(3) })
  const made = await v.world.call('POST', '/api/v1/apply?reason=people', [
    { kind: 'Certificate', metadata: { name: 'people' }, spec: { chain: given.authority } },
    { kind: 'Secret', metadata: { name: 'people' }, spec: { data: given.secret } },
    { kind: 'IdentityProvider', metadata: { name: 'people' }, spec: { title: evil(4), issuer: given.issuer, clientID: given.clientID, secret: 'people', authority: 'people', groupsClaim: 'groups' } },
    { kind: 'Grant', metadata: { name: 'person' }, spec: { subject: `people/${sub}`, role: 'shop', right: 'viewer' } },
    { kind: 'Grant', metadata: { name: 'group' }, spec: { subject: `group:people/${group}`, role: 'web', right: 'owner' } },
  ])
  expect(made.status, JSON.stringify(made.value)).toBe(200)
  const problem = `${evil(5)} \u202eleft ${'long'.repeat(60)}`
  await v.open('/signin?problem=' + encodeURIComponent(problem))
  await v.page.getByText(shown(problem)).waitFor()
  await v.page.getByRole('link', { name: evil(4) }).waitFor()
  await v.shot('sign in with markup')
  await v.axe()
  // The way to the provider and back, past the page.
  const back = await v.page.context().request.get(`${v.url}/signin/people?to=/me`)
  expect(back.url()).toBe(v.url + '/me')
  await v.open('/me')
  await v.page.getByText(`people/${sub}`).first().waitFor()
  await v.page.getByText(`group:people/${group}`).first().waitFor()
  await v.shot('rights of markup')
  await v.axe()
  const change = await v.page.context().request.put(`${v.url}/api/v1/errorpages/theirs`, { data: { kind: 'ErrorPage', metadata: { name: 'theirs', role: 'web' }, spec: { body: 'x' } }, headers: { Origin: v.url } })
  expect(change.status(), await change.text()).toBe(201)
  const { revision } = (await change.json()) as { revision: number }
  for (const path of ['/changes', `/changes/${revision}`, '/errorpages/theirs/history', '/errorpages', '/sites/shop/edit']) {
    await v.go(path)
    await expect.poll(() => page(v)).toContain(visible(`people/${sub}`))
    await v.fits(path)
  }
})
