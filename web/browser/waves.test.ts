// Waves: a change goes to one load balancer first, and people stop it, send it back, let it go on and finish it.
import { expect, walk, type Visit } from './weir'

interface Waves { state: string; canaries?: string[]; has: number; of: number }
const balancers = ['az1', 'az2', 'az3']

// The load balancers whose clients are served as the change has it: by the third zone.
async function having(v: Visit): Promise<string[]> {
  const list: string[] = []
  for (const balancer of balancers) {
    const got = await v.world.send(8, { host: 'www.example.com', balancer })
    expect(got.statuses, balancer).toEqual({ 200: 8 })
    if (Object.keys(got.origins).every((o) => o.startsWith('az3'))) list.push('lb-' + balancer)
  }
  return list
}

walk('a change that goes in waves is stopped, sent back and finished in the page', async (v) => {
  const group = (await v.world.call<{ kind: string; metadata: object; spec: Record<string, unknown> }>('GET', '/api/v1/loadbalancergroups/edge')).value
  const site = (await v.world.call<{ kind: string; metadata: object; spec: Record<string, unknown> }>('GET', '/api/v1/sites/www')).value
  const put = await v.world.call('PUT', '/api/v1/loadbalancergroups/edge', { kind: group.kind, metadata: group.metadata, spec: { ...group.spec, waves: { watch: '1h', patience: '1m' } } })
  expect(put.status, JSON.stringify(put.value)).toBe(200)
  const waves = async () => (await v.world.call<Waves>('GET', '/api/v1/loadbalancergroups/edge/waves')).value
  const state = (want: string) => expect.poll(async () => (await waves()).state, { timeout: 20_000 }).toBe(want)
  await state('idle')
  const made = await v.world.call<{ revision: number }>('PUT', '/api/v1/sites/www?reason=carefully', { kind: site.kind, metadata: site.metadata, spec: { ...site.spec, backends: { default: 'web-az3' } } }, 'owner')
  await expect.poll(async () => (await waves()).has, { timeout: 20_000 }).toBe(1)
  const [canary] = (await waves()).canaries ?? []
  await expect.poll(() => having(v)).toEqual([canary])

  // Who made the change sees how far it is; the waves carry everybody's changes, and are not theirs to steer.
  const page = `/changes/${made.value.revision}`
  await v.signIn('owner', page)
  const section = v.page.getByRole('region', { name: 'Waves of edge' })
  await section.getByText('1 of 3 load balancers have it').waitFor()
  expect(await section.getByRole('button', { name: 'Stop' }).getAttribute('title')).toContain('takes the right operator on all roles')

  await v.signIn('admin', page)
  await section.getByText('1 of 3 load balancers have it').waitFor()
  const work = (done: RegExp) => v.page.getByText(done).waitFor({ timeout: 20_000 })
  await work(new RegExp(`${canary} of edge: at run time, \\d+ commands?, no reload, read back after`))
  await work(/of edge: not read back yet/)
  await v.shot('waves going')
  await v.axe()
  const steer = async (button: string, reason: string, then: string) => {
    await section.getByRole('button', { name: button }).click()
    const dialog = v.page.getByRole('dialog')
    await dialog.getByLabel('Why').fill(reason)
    await dialog.getByRole('button', { name: button }).click()
    // What the waves did by themselves since the page looked is shown first.
    await expect.poll(async () => {
      if (await dialog.getByRole('alert').isVisible()) await dialog.getByRole('button', { name: button }).click()
      return dialog.isVisible()
    }).toBe(false)
    await state(then)
  }
  await steer('Stop', 'lunch', 'stopped')
  await section.getByText(/stopped by admin with 1 of 3 load balancers: lunch/).waitFor()
  await expect.poll(() => having(v)).toEqual([canary])
  await v.shot('waves stopped')
  await v.axe()

  await steer('Send back', 'it smells', 'halted')
  await section.getByText(/sent back by admin: it smells/).waitFor()
  await expect.poll(() => having(v), { timeout: 20_000 }).toEqual([])
  await work(/All 3 load balancers of edge: not read back yet/)
  expect(await section.getByRole('button', { name: 'Send back' }).getAttribute('title')).toContain('gone back already')

  await steer('Go on', 'it was the cat', 'going')
  await expect.poll(async () => (await having(v)).length, { timeout: 20_000 }).toBe(1)

  // What nobody is to watch takes a reason.
  await section.getByRole('button', { name: 'Finish at once' }).click()
  const dialog = v.page.getByRole('dialog')
  expect(await dialog.getByRole('button', { name: 'Finish at once' }).getAttribute('aria-disabled')).toBe('true')
  await v.shot('waves finish')
  await v.axe()
  // Somebody else steers while this is asked.
  const other = async (action: string) => expect((await v.world.call('POST', `/api/v1/loadbalancergroups/edge/waves?action=${action}&reason=other`)).status).toBeLessThan(300)
  await other('stop')
  await dialog.getByText('It is no longer as it was when you began').waitFor()
  await other('go')
  await dialog.getByText('It is no longer as it was when you began').waitFor({ state: 'detached' })
  await v.page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
  await steer('Finish at once', 'seen enough', 'idle')
  await expect.poll(() => having(v), { timeout: 20_000 }).toEqual(balancers.map((b) => 'lb-' + b))
  await work(/of edge: at run time, .* read back after/)
  await expect.poll(() => v.page.getByText('not read back yet').count(), { timeout: 20_000 }).toBe(0)
  await v.shot('waves finished')
})
