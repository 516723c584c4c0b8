// How people come in, and go.
import { expect, walk } from './weir'

walk('a person signs in with a token and out again', async (v) => {
  v.allow(401, /^\/api\/v1\/session$/)
  await v.open('/sites')
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
