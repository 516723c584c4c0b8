// The rules of axe-core on every page of pages/index.ts and every tab of an object, at both widths, and with what opens open.
import { walk, type Visit } from './weir'

const tabs = {
  'sites/www': ['', 'routes', 'traffic', 'log', 'edit', 'yaml', 'used-by', 'history', 'rendered'],
  'pools/web-az1': ['', 'servers', 'edit', 'used-by'],
  'servers/az1-0': ['', 'health', 'edit'],
  'loadbalancers/lb-az1': ['', 'traffic', 'edit', 'rendered'],
  'certificates/shop': ['', 'edit'],
  'roles/shop': ['', 'edit'],
}

walk('pages and tabs are for everybody', async (v) => {
  await v.signIn('admin')
  const pages = ['', 'sites', 'pools', 'servers', 'failover', 'fleet', 'map?as=list', 'changes', 'changes/1', 'tls', 'egress', 'objects', 'me', 'roles', 'splits', 'nowhere', 'pools/new', 'sites/new', 'errorpages/new', 'errorpages/new?as=form']
  for (const page of [...pages, ...Object.entries(tabs).flatMap(([at, list]) => list.map((tab) => (tab ? `${at}/${tab}` : at)))]) {
    await v.go('/' + page)
    await v.axeBoth()
  }
}, 240_000)

walk('menus and dialogs are for everybody', async (v) => {
  await v.signIn('admin', '/sites/www')
  const open: [path: string, press: (v: Visit) => Promise<void>][] = [
    ['/sites/www', (v) => v.page.locator('summary', { hasText: 'admin' }).click()],
    ['/sites/www', (v) => v.page.getByRole('button', { name: 'Delete', exact: true }).click()],
    ['/sites/www', async (v) => {
      await v.page.keyboard.press('Control+k')
      await v.page.getByRole('combobox').fill('web')
      await v.page.getByRole('option').first().waitFor()
    }],
    ['/servers/az1-0/health', (v) => v.page.getByRole('button', { name: 'Drain' }).click()],
    ['/failover', (v) => v.page.getByRole('button', { name: /^All out/ }).first().click()],
    ['/pools/web-az1/servers', (v) => v.page.getByRole('button', { name: /what load balancers see/ }).first().click()],
  ]
  for (const [path, press] of open) {
    await v.go('/me')
    await v.go(path)
    await press(v)
    await v.axeBoth()
    await v.page.keyboard.press('Escape')
  }
  // At phone width the rest of the rail is behind a button.
  await v.go('/me')
  await v.fitsPhone('me')
  await v.page.getByRole('button', { name: 'More' }).click()
  await v.axe()
}, 120_000)
