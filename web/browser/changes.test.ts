// Changes: the list, the page of each, and the way back.
import { expect, walk, type Visit } from './weir'

interface Site { kind: string; metadata: object; spec: Record<string, unknown>; revision: number }
const answeredBy = async (v: Visit) => Object.keys((await v.world.send(60, { host: 'www.example.com' })).origins).sort()

walk('a change is looked at and taken back, and traffic is as before', async (v) => {
  const { kind, metadata, spec } = (await v.world.call<Site>('GET', '/api/v1/sites/www')).value
  expect(await answeredBy(v)).toEqual(['az1-0', 'az1-1'])
  const made = await v.world.call<Site>('PUT', '/api/v1/sites/www?reason=everything+to+the+third+zone', { kind, metadata, spec: { ...spec, backends: { default: 'web-az3' } } }, 'owner')
  await v.world.converged()
  await expect.poll(() => answeredBy(v), { timeout: 15_000 }).toEqual(['az3-0', 'az3-1'])

  await v.signIn('owner', '/changes')
  await v.page.getByText('everything to the third zone').first().waitFor()
  await v.shot('changes')
  await v.axe()
  await v.page.getByRole('link', { name: String(made.value.revision), exact: true }).click()
  await v.page.getByRole('heading', { name: 'everything to the third zone' }).waitFor()
  await v.page.getByText('(token wanda)').waitFor()
  await v.page.getByText('read back from HAProxy on every load balancer').waitFor()
  // What they did is kept with it, as it was counted where it was done.
  await v.page.getByText(/^All 3 load balancers of edge: at run time, \d+ commands?, no reload, read back after/).waitFor()
  const { work } = (await v.world.call<{ work: { loadBalancers: { name: string; done: boolean; commands: number; afterMs: number }[] } }>('GET', `/api/v1/changes/${made.value.revision}`)).value
  expect(work.loadBalancers.map((w) => [w.name, w.done])).toEqual([['lb-az1', true], ['lb-az2', true], ['lb-az3', true]])
  for (const w of work.loadBalancers) {
    expect(w.commands).toBeGreaterThan(0)
    expect(w.afterMs).toBeLessThan(15_000)
  }
  await v.page.getByText('Each of them').click()
  await v.page.getByRole('link', { name: 'lb-az2' }).first().waitFor()
  await v.shot('change')
  await v.axe()
  await v.page.getByRole('button', { name: 'Undo…' }).click()
  const dialog = v.page.getByRole('dialog')
  await dialog.getByText('load balancers of edge').first().waitFor()
  // Whose traffic that is, as it was counted just now, and that three zones can bear the loss of one.
  await dialog.getByText('www: all requests').waitFor()
  await dialog.getByText(/^([\d.]+\/s now · )?peak [\d.]+\/s$/).waitFor()
  await dialog.getByText('any one zone may go (without az1, az2 carries 100 %)').waitFor()
  await v.shot('change undo')
  await v.axe()
  expect(await answeredBy(v)).toEqual(['az3-0', 'az3-1']) // so far it only said what would be
  await dialog.getByLabel('Why').fill('as it was')
  await dialog.getByRole('button', { name: 'Take it back' }).click()
  await v.page.getByRole('heading', { name: 'as it was' }).waitFor()
  await v.page.getByText(`takes change ${made.value.revision} back`).or(v.page.getByRole('link', { name: `change ${made.value.revision}` })).first().waitFor()
  await v.world.converged()
  await expect.poll(() => answeredBy(v), { timeout: 15_000 }).toEqual(['az1-0', 'az1-1'])
})

walk('a change of others is seen in part, and not taken back', async (v) => {
  const made = await v.world.call<{ revision: number }>('POST', '/api/v1/apply?reason=for+two', [
    { kind: 'AccessList', metadata: { name: 'mine', role: 'web' }, spec: { networks: ['192.0.2.0/24'] } },
    { kind: 'AccessList', metadata: { name: 'theirs', role: 'shop' }, spec: { networks: ['192.0.2.0/24'] } },
  ])
  expect(made.status, JSON.stringify(made.value)).toBe(200)
  await v.signIn('owner', `/changes/${made.value.revision}`)
  await v.page.getByText('AccessList mine').first().waitFor()
  expect(await v.page.getByText('theirs').count()).toBe(0)
  expect(await v.page.getByRole('button', { name: 'Undo…' }).getAttribute('title')).toContain('roles that you may not see')
})
