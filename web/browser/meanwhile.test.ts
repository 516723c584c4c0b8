// What others do while somebody has a page open, and what the page makes of it.
import { expect, walk, type Visit } from './weir'

const grant = (right: string) => ({ kind: 'Grant', metadata: { name: 'vera-web' }, spec: { subject: 'vera', role: 'web', right } })
const comesBack = (v: Visit) => v.page.evaluate(() => document.dispatchEvent(new Event('visibilitychange')))

walk('rights that are given and taken while a page is open are those of the page', async (v) => {
  await v.signIn('viewer', '/servers')
  await v.page.getByRole('checkbox', { name: 'choose az1-0' }).check()
  const drain = v.page.getByRole('button', { name: 'Drain', exact: true }).first()
  expect(await drain.getAttribute('title')).toContain('the right operator on role web')
  expect((await v.world.call('PUT', '/api/v1/grants/vera-web', grant('operator'))).status).toBe(200)
  await comesBack(v)
  await expect.poll(() => drain.getAttribute('title')).toBe(null)
  await v.settled()

  // Taken again before it is used: the API says so, and from then on the button.
  expect((await v.world.call('PUT', '/api/v1/grants/vera-web', grant('viewer'))).status).toBe(200)
  v.allow(403, /^\/api\/v1\/apply/)
  await drain.click()
  const dialog = v.page.getByRole('dialog')
  await dialog.getByLabel('Why').fill('a new kernel')
  await dialog.locator('.main').click()
  await dialog.getByRole('alert').waitFor()
  expect(await dialog.getByLabel('Why').inputValue()).toBe('a new kernel')
  await dialog.getByRole('button', { name: 'Close' }).click()
  await expect.poll(() => drain.getAttribute('title')).toContain('the right operator on role web')

  // Without any the session ends.
  v.allow(401, /^\/api\/v1\//)
  expect((await v.world.call('DELETE', '/api/v1/grants/vera-web')).status).toBe(200)
  await v.page.getByRole('dialog', { name: 'Sign in again' }).getByText('Your session has ended').waitFor()
  await v.page.keyboard.press('Control+k') // shows nothing of the page behind
  expect(await v.page.getByRole('dialog').count()).toBe(1)
})

walk('what is to be deleted is asked anew when somebody changes it meanwhile', async (v) => {
  await v.signIn('admin', '/roles/empty')
  await v.page.getByRole('button', { name: 'Delete', exact: true }).click()
  const dialog = v.page.getByRole('dialog')
  const sure = dialog.getByRole('button', { name: 'Delete Role' })
  await dialog.getByText('No load balancer has anything to do for it.').waitFor()
  const { status } = await v.world.call('PUT', '/api/v1/roles/empty', { kind: 'Role', metadata: { name: 'empty' }, spec: { contact: 'somebody' } })
  expect(status).toBe(200)
  await dialog.getByText('Somebody changed it while this was open').waitFor()
  await sure.click()
  await v.page.waitForURL(/\/changes\/\d+$/)
  await expect.poll(() => v.page.evaluate(() => document.activeElement?.getAttribute('aria-label'))).toMatch(/^Change \d+$/)
  expect((await v.world.call('GET', '/api/v1/roles/empty')).status).toBe(404)
})

walk('a text that is marked beyond the edge of a dialog leaves it open', async (v) => {
  await v.signIn('operator', '/servers/az1-0/health')
  await v.page.getByRole('button', { name: 'Weight' }).click()
  const dialog = v.page.getByRole('dialog')
  const why = dialog.getByLabel('Why')
  await why.fill('is slow')
  const box = (await why.boundingBox())!
  await v.page.mouse.move(box.x + 60, box.y + 10)
  await v.page.mouse.down()
  await v.page.mouse.move(20, box.y + 10)
  await v.page.mouse.up()
  expect(await why.inputValue()).toBe('is slow')

  // A plan is that of what stands there.
  await dialog.getByLabel('Weight').fill('25')
  await dialog.getByRole('button', { name: 'Show the plan' }).click()
  await dialog.getByText('+ Override az1-0').waitFor()
  await dialog.getByLabel('Weight').fill('26')
  expect(await dialog.getByText('Override az1-0').count()).toBe(0)
  await v.page.mouse.click(20, 20)
  await dialog.waitFor({ state: 'detached' })
})

walk('of many presses one counts, however late the answer', async (v) => {
  await v.signIn('operator', '/failover')
  const writes: string[] = []
  let answer = () => {}
  await v.page.route(/\/api\/v1\/(apply|zoneshifts)/, async (route) => {
    const request = route.request()
    if (request.method() === 'GET') return route.continue()
    writes.push(request.method())
    await new Promise<void>((go) => (answer = go))
    return route.continue()
  })
  const dialog = v.page.getByRole('dialog')
  const press = async () => {
    await dialog.getByLabel('Why').fill('power')
    for (let i = 0; i < 3; i++) await dialog.getByLabel('Why').press('Enter')
    await dialog.locator('.main').dblclick({ force: true })
    await expect.poll(() => writes.length).toBe(1)
    answer()
    await dialog.waitFor({ state: 'detached' })
  }
  const cell = v.page.getByRole('button', { name: /^www in az1/ })
  await cell.click()
  await dialog.getByText('it is left').waitFor()
  await press()
  expect(writes).toEqual(['POST'])
  await cell.getByText('shifted').waitFor()
  writes.length = 0
  await cell.click()
  await press()
  expect(writes).toEqual(['DELETE'])
  await cell.getByText('shifted').waitFor({ state: 'detached' })
})

walk('a page tells that it is old while the control plane is away, and comes back by itself', async (v) => {
  const role = (contact: string) => v.world.call('PUT', '/api/v1/roles/empty', { kind: 'Role', metadata: { name: 'empty' }, spec: { contact } })
  await role('first')
  await role('second')
  const { revision } = (await v.world.call<{ revision: number }>('GET', '/api/v1/roles/empty')).value
  await v.signIn('admin', `/changes/${revision}`)
  // It stands still first: no answer comes, and none is refused.
  let away = true
  let still = true
  const held: (() => void)[] = []
  await v.page.route(/\/api\/v1\/|\/openapi\.json|\/assets\//, async (route) => {
    if (still) await new Promise<void>((go) => held.push(go))
    return away ? route.fulfill({ status: 503, body: 'upgrading' }) : route.continue()
  })
  v.allow(503, /./)
  const old = v.page.getByText('This may be old')
  await old.waitFor()
  await v.page.getByText('What stands here is from').waitFor()
  still = false
  for (const go of held) go()
  expect(await v.page.getByText('1 object').count()).toBe(1)
  away = false
  await old.waitFor({ state: 'detached' })

  // Somebody takes the change back that is looked at.
  expect((await v.world.call('POST', `/api/v1/changes/${revision}/undo`)).status).toBe(200)
  await v.page.getByText('It was taken back by').waitFor()

  // A form whose fields can't be had is there once they can; what was typed in it is still there later.
  away = true
  await v.page.evaluate(() => {
    history.pushState(null, '', '/splits/new')
    dispatchEvent(new PopStateEvent('popstate'))
  })
  await v.page.getByRole('alert').waitFor()
  away = false
  const text = v.page.getByRole('textbox', { name: 'Split as YAML' })
  await text.waitFor()
  await text.click()
  await v.page.keyboard.press('Control+End')
  await v.page.keyboard.insertText('\n# to be gone on with')
  await v.go('/sites')
  await v.page.goBack()
  await text.getByText('# to be gone on with').waitFor()
  await v.page.getByRole('button', { name: 'Begin anew' }).click()
  await text.getByText('# to be gone on with').waitFor({ state: 'detached' })
})
