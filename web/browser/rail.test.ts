// Every page of the rail: pictures, rules of axe, nothing wrong.
import { expect, walk } from './weir'

const pages = ['', 'sites', 'pools', 'servers', 'failover', 'fleet', 'changes', 'tls', 'objects', 'me']

for (const page of pages) {
  walk(`the page /${page}`, async (v) => {
    await v.signIn('admin', '/' + page)
    expect(await v.page.getByText('Nothing is here').count()).toBe(0)
    await v.shot(page || 'home')
    await v.axe()
  })
}

walk('the rail leads to pages', async (v) => {
  await v.signIn('admin')
  for (const place of pages.filter((p) => p !== 'me').map((p) => '/' + p)) {
    await v.page.getByRole('navigation', { name: 'Main' }).locator(`a[href="${place}"]`).last().click()
    await v.settled()
    expect(new URL(v.page.url()).pathname).toBe(place)
    expect(await v.page.locator('main h1').first().innerText(), `the page at ${place}`).not.toContain('Nothing is here')
  }
})

walk('the map stays as it is when it is asked for again', async (v) => {
  await v.signIn('admin', '/map')
  await v.page.locator('main svg text').first().waitFor()
  await v.page.waitForResponse(/\/api\/v1\/graph/)
  await v.settled()
  await v.shot('map')
  expect(await v.page.locator('main svg text').count()).toBeGreaterThan(20)
})
