// How people come in, and go.
import { expect, walk } from './weir'

walk('a person signs in with a token and out again', async (v) => {
  v.allow(401, /^\/api\/v1\/session$/)
  await v.open('/sites')
  expect(await v.page.evaluate(() => document.activeElement?.id)).toBe('token') // who pastes need not click
  await v.shot('sign in')
  await v.axe()
  await v.page.getByLabel('Token').fill('weir_wrong')
  await v.page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await v.page.getByText('You were not let in').waitFor()
  await v.page.getByLabel('Token').fill(v.world.given.tokens.owner)
  await v.page.getByRole('button', { name: 'Sign in', exact: true }).click()
  await v.page.getByRole('navigation', { name: 'Main' }).waitFor()
  await v.settled()
  expect(new URL(v.page.url()).pathname).toBe('/sites') // where they wanted to go
  const cookies = await v.page.context().cookies()
  expect(cookies.map((c) => [c.name, c.httpOnly, c.secure, c.sameSite])).toEqual([['__Host-weir', true, true, 'Strict']])
  // The token itself is nowhere in the browser.
  const kept = await v.page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie, document.documentElement.outerHTML]))
  expect(kept).not.toContain(v.world.given.tokens.owner)

  await v.page.locator('summary', { hasText: 'wanda' }).click()
  await v.page.getByRole('button', { name: 'Sign out' }).click()
  await v.page.getByLabel('Token').waitFor()
  expect(await v.page.context().cookies()).toEqual([])
})

walk('a session that ends takes nothing with it that was typed, and shows it to nobody else', async (v) => {
  v.allow(401, /^\/api\/v1\//)
  const again = v.page.getByRole('dialog', { name: 'Sign in again' })
  const back = async (who: 'owner' | 'viewer') => {
    await again.getByLabel('Token').fill(v.world.given.tokens[who])
    await again.getByRole('button', { name: 'Sign in', exact: true }).click()
    await again.waitFor({ state: 'detached' })
    await v.settled()
  }
  await v.signIn('owner', '/servers')
  await v.page.getByRole('checkbox', { name: 'choose az1-0' }).check()
  await v.page.getByRole('button', { name: 'Drain', exact: true }).click()
  const why = v.page.getByRole('dialog').getByLabel('Why')
  await why.fill('a disk is exchanged')
  await v.page.context().clearCookies()
  await again.waitFor()
  expect(await v.page.evaluate(() => document.activeElement?.id)).toBe('token')
  await v.page.keyboard.press('Escape')
  await v.page.keyboard.press('Escape')
  await again.getByText('Your session has ended').waitFor()
  await v.shot('session ended')
  await v.axe()
  await again.getByLabel('Token').fill('weir_wrong')
  await again.getByRole('button', { name: 'Sign in', exact: true }).click()
  await again.getByText('You were not let in').waitFor()
  await back('owner')
  expect(await why.inputValue()).toBe('a disk is exchanged')

  // Somebody who signs in elsewhere in the same browser is signed in here.
  await v.page.context().clearCookies()
  await again.waitFor()
  await v.signIn('owner', null)
  await again.waitFor({ state: 'detached' })
  expect(await why.inputValue()).toBe('a disk is exchanged')

  await v.page.context().clearCookies()
  await again.waitFor()
  await back('viewer')
  await v.page.locator('summary', { hasText: 'vera' }).waitFor()
  expect(await v.page.getByRole('dialog').count()).toBe(0)
})

walk('a provider takes a person back to the page that they left', async (v) => {
  v.allow(401, /^\/api\/v1\//)
  const given = await v.world.provider({ sub: 'petra' })
  v.leadsTo(given.issuer)
  const made = await v.world.call('POST', '/api/v1/apply?reason=people', [
    { kind: 'Certificate', metadata: { name: 'people' }, spec: { chain: given.authority } },
    { kind: 'Secret', metadata: { name: 'people' }, spec: { data: given.secret } },
    { kind: 'IdentityProvider', metadata: { name: 'people' }, spec: { title: 'the house', issuer: given.issuer, clientID: given.clientID, secret: 'people', authority: 'people' } },
    { kind: 'Grant', metadata: { name: 'person' }, spec: { subject: 'people/petra', role: 'web', right: 'owner' } },
  ])
  expect(made.status, JSON.stringify(made.value)).toBe(200)
  await v.open('/pools/web-az1/edit')
  await v.page.getByRole('link', { name: 'Sign in with the house' }).click()
  const interval = v.page.getByRole('main').getByLabel('interval', { exact: true })
  await interval.fill('7s')
  await v.page.context().clearCookies()
  const again = v.page.getByRole('dialog', { name: 'Sign in again' })
  await again.waitFor()
  await v.shot('session ended with a provider')
  const beside = v.page.context().waitForEvent('page')
  await again.getByRole('link', { name: 'Sign in with the house' }).click()
  await (await beside).getByRole('navigation', { name: 'Main' }).waitFor()
  await again.waitFor({ state: 'detached' })
  expect(await interval.inputValue()).toBe('7s')
})

walk('no page elsewhere frames it, or writes with its cookie', async (v) => {
  await v.signIn('owner', '/sites')
  // A page of another origin in the same browser, where somebody is signed in.
  const elsewhere = await v.page.context().newPage()
  await elsewhere.goto(v.world.given.control + '/nothing')
  const places = ['/', '/sites/www', '/signin', '/api/v1/session', '/api/v1/sites', '/openapi.json', '/favicon.svg', '/healthz']
  await elsewhere.setContent(places.map((p) => `<iframe src="${v.url}${p}"></iframe>`).join(''))
  await expect.poll(() => elsewhere.frames().slice(1).map((f) => f.url())).toEqual(places.map(() => 'chrome-error://chromewebdata/'))

  const body = JSON.stringify({ kind: 'AccessList', metadata: { name: 'forged', role: 'web' }, spec: { networks: ['192.0.2.0/24'] } })
  const popup = v.page.context().waitForEvent('page')
  await elsewhere.evaluate(
    async ({ url, body }) => {
      for (const mode of ['no-cors', 'cors'] as const) for (const type of ['text/plain', 'application/json']) await fetch(url + '/api/v1/apply', { method: 'POST', mode, credentials: 'include', headers: { 'Content-Type': type }, body }).catch(() => {})
      const form = document.createElement('form')
      Object.assign(form, { method: 'post', action: url + '/api/v1/apply', enctype: 'text/plain', target: '_blank' })
      const field = document.createElement('input')
      field.name = body
      form.append(field)
      document.body.append(form)
      form.submit()
    },
    { url: v.url, body },
  )
  const opened = await popup
  await opened.waitForLoadState()
  expect(await opened.evaluate(() => document.body.innerText)).toMatch(/"status":\s?40[13]/)
  expect((await v.world.call('GET', '/api/v1/accesslists/forged')).status).toBe(404)
  // The same with a token is taken, so it was the origin that was refused.
  expect((await v.world.call('POST', '/api/v1/apply', JSON.parse(body))).status).toBe(200)
})
