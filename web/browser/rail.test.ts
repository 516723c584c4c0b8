// Every page of the rail: pictures, nothing wrong. The rules of axe are axe.test.ts's.
import { expect, walk } from './weir'

const pages = ['', 'sites', 'pools', 'servers', 'failover', 'fleet', 'map', 'changes', 'tls', 'egress', 'objects', 'me']

for (const page of pages) {
  walk(`the page /${page}`, async (v) => {
    await v.signIn('admin', '/' + page)
    expect(await v.page.getByText('Nothing is here').count()).toBe(0)
    await v.shot(page || 'home')
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
