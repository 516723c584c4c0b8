// Pages in small windows, as an enlarged page or a small screen has them: nothing is wider, and nothing that the
// keyboard comes to lies under something else.
import { look } from './look'
import { expect, walk, type Visit } from './weir'

const pages = ['', 'sites', 'pools', 'servers', 'failover', 'fleet', 'changes', 'changes/1', 'tls', 'objects', 'me', 'roles', 'pools/new', 'sites/new', 'errorpages/new?as=form', 'sites/www', 'sites/www/routes', 'sites/www/traffic', 'sites/www/edit', 'sites/www/history', 'sites/a-site-whose-name-is-as-long-as-any-name-may-be-and-then-some-x', 'pools/web-az1/servers', 'servers/az1-0/health', 'loadbalancers/lb-az1']

// 320 and 360 are phones, or 1280 at 400 %; 640 x 400 is that at 200 %; the last is a window that is wide and low.
const small = { width: 320, height: 256 }
const low = { width: 1280, height: 400 }
const windows = [{ width: 320, height: 640 }, { width: 360, height: 740 }, { width: 640, height: 400 }, low]

walk('pages fit in small windows', async (v) => {
  await v.signIn('admin')
  for (const page of pages) {
    await v.go('/' + page)
    for (const size of windows) {
      await v.page.setViewportSize(size)
      await v.settled()
      for (const flaw of await v.page.evaluate(look)) v.flaws.push(`/${page} in ${size.width} x ${size.height}: ${flaw}`)
    }
  }
  // What one sorts by at a desk one sorts by on a phone.
  await v.page.setViewportSize(windows[0]!)
  await v.open('/sites')
  await v.page.getByRole('button', { name: 'Name' }).click()
  await v.page.waitForURL(/sort=-name/)
  await v.picture('sites 320')
}, 240_000)

/** under says what of the element with the focus nobody can see, since something lies on it. */
function under(): string {
  const e = document.activeElement
  if (!e || e === document.body) return ''
  for (const r of e.getClientRects()) {
    for (const x of [0.1, 0.5, 0.9]) {
      for (const y of [0.1, 0.5, 0.9]) {
        const seen = document.elementFromPoint(r.left + r.width * x, r.top + r.height * y)
        if (seen && (e.contains(seen) || (seen.contains(e) && !seen.matches('html, body, main, dialog')))) return ''
      }
    }
  }
  return `the focus is under something: ${e.outerHTML.slice(0, 120)}`
}

async function tab(v: Visit, where: string, times: number) {
  for (let i = 0; i < times; i++) {
    await v.page.keyboard.press('Tab')
    const flaw = await v.page.evaluate(under)
    if (flaw) v.flaws.push(`${where}: ${flaw}`)
  }
}

walk('what has the focus is seen in small windows', async (v) => {
  await v.signIn('admin')
  for (const size of [small, low]) {
    await v.page.setViewportSize(size)
    for (const page of ['servers', 'pools/new', 'sites/www/edit', 'failover']) {
      await v.open('/' + page)
      await tab(v, `/${page} in ${size.width} x ${size.height}`, 50)
    }
  }
}, 120_000)

walk('dialogs can be used in small windows', async (v) => {
  await v.world.call('PUT', '/api/v1/roles/empty', { kind: 'Role', metadata: { name: 'empty' }, spec: { contact: 'somebody' } })
  const { revision } = (await v.world.call<{ revision: number }>('GET', '/api/v1/roles/empty')).value
  await v.signIn('admin')
  const open: [path: string, press: () => Promise<void>][] = [
    ['/sites/www', () => v.page.getByRole('button', { name: 'Delete', exact: true }).click()],
    ['/servers/az1-0/health', () => v.page.getByRole('button', { name: 'Drain' }).click()],
    ['/failover', () => v.page.getByRole('button', { name: /^All out/ }).first().click()],
    [`/changes/${revision}`, () => v.page.getByRole('button', { name: 'Undo…' }).click()],
  ]
  for (const [path, press] of open) {
    await v.page.setViewportSize(low)
    await v.open(path)
    await press()
    const dialog = v.page.getByRole('dialog')
    for (const size of [low, small]) {
      await v.page.setViewportSize(size)
      await v.settled()
      const where = `the dialog of ${path} in ${size.width} x ${size.height}`
      expect(await dialog.evaluate((d) => d.scrollWidth - d.clientWidth), where).toBe(0)
      await tab(v, where, 8)
      await v.picture(`dialog ${path} ${size.width}`)
    }
    await v.page.keyboard.press('Escape')
    await dialog.waitFor({ state: 'detached' })
  }
}, 120_000)

walk('text grows as somebody has chosen, and colours that are forced leave shapes', async (v) => {
  await v.signIn('admin', '/failover')
  const row = () => v.page.getByRole('button', { name: /^All out/ }).first().evaluate((e) => [parseFloat(getComputedStyle(e).fontSize), e.getBoundingClientRect().height])
  const [font, height] = await row()
  await v.page.evaluate(() => (document.documentElement.style.fontSize = '150%'))
  expect(await row()).toEqual([font! * 1.5, height! * 1.5])
  for (const flaw of await v.page.evaluate(look)) v.flaws.push(`with large text: ${flaw}`)
  await v.picture('failover large')

  await v.page.emulateMedia({ forcedColors: 'active' })
  await v.open('/failover')
  const colour = (at: string) => v.page.locator(at).first().evaluate((e) => getComputedStyle(e).backgroundColor)
  expect(await colour('.cell .fill')).not.toBe(await colour('.cell .bar'))
  expect(await v.page.locator('nav.rail [aria-current]').evaluate((e) => getComputedStyle(e).outlineStyle)).toBe('solid')
  await v.picture('failover forced')
  await v.open('/sites/www')
  expect(await v.page.locator('.square.done').first().evaluate((e) => getComputedStyle(e).backgroundColor)).not.toBe('rgb(255, 255, 255)')
})
