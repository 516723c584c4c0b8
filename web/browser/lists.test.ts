// Lists: what they show, how they are filtered, and that the filter is in the address.
import { expect, walk } from './weir'

walk('sites, pools and certificates are listed and filtered', async (v) => {
  await v.signIn('admin', '/sites')
  await v.page.getByRole('link', { name: 'www', exact: true }).waitFor()
  await v.shot('sites')
  await v.axe()
  await v.page.getByLabel('State').selectOption('down')
  await v.page.getByRole('link', { name: 'www', exact: true }).waitFor({ state: 'detached' })
  await v.page.getByRole('link', { name: 'down', exact: true }).waitFor()
  const url = new URL(v.page.url())
  expect(url.searchParams.get('state')).toBe('down')
  // The address alone shows the same.
  await v.open(url.pathname + url.search)
  await v.page.getByRole('link', { name: 'down', exact: true }).waitFor()
  await v.page.getByRole('button', { name: 'All', exact: true }).click()
  await v.page.getByLabel('Filter Sites').fill('weighted.example')
  await v.page.getByRole('link', { name: 'weighted', exact: true }).waitFor()
  await v.page.getByRole('link', { name: 'www', exact: true }).waitFor({ state: 'detached' })

  await v.open('/pools')
  await v.page.getByRole('link', { name: 'web-az1', exact: true }).waitFor()
  await v.shot('pools')
  await v.axe()
  await v.open('/tls')
  await v.page.getByRole('link', { name: 'shop', exact: true }).first().waitFor()
  await v.shot('certificates')
  await v.axe()
})

walk('lists of nothing teach, and other kinds have lists too', async (v) => {
  await v.signIn('owner', '/splits')
  await v.page.getByText('There is no Split yet.').waitFor()
  await v.shot('empty list')
  await v.axe()
  await v.open('/roles')
  await v.page.getByRole('link', { name: 'web', exact: true }).waitFor()
  expect(await v.page.getByRole('button', { name: 'New Role' }).getAttribute('title')).toContain('admin')
  await v.shot('list')
})
