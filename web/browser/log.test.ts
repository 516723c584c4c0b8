// The log of a site, live: exactly what was sent is there, filtered, as text, and for those alone who may see the site.
import { expect, walk, type Visit } from './weir'

const rows = (v: Visit) => v.page.getByRole('region', { name: 'Log lines' }).locator('tbody tr')
const requests = (v: Visit) => rows(v).locator('td.request').evaluateAll((all) => all.map((td) => td.firstChild!.textContent!.trim()).sort())
const live = (v: Visit) => v.page.getByRole('status').getByText('Live.').waitFor()
const markup = '<img src=x onerror=alert(1)><script>alert(2)</script>'

walk('requests are seen as they come, and no others', async (v) => {
  const mine = `/log-${Date.now()}`
  await v.signIn('viewer', `/sites/www/log?path=${mine}`)
  await live(v)
  expect(await rows(v).count()).toBe(0)
  await v.world.answer('az1-0', `${mine}/b`, 404)
  await v.world.answer('az1-1', `${mine}/b`, 404)
  await v.world.answer('az1-0', `${mine}/c`, 502)
  await v.world.answer('az1-1', `${mine}/c`, 502)
  const send = (n: number, path: string, more = {}) => v.world.send(n, { host: 'www.example.com', path: mine + path, ...more })
  await send(6, '/a')
  await send(3, '/b')
  const from = (await send(2, '/c', { from: 251, method: 'DELETE' })).from
  await send(4, '/else', { host: 'two.example.com' }) // another site
  await send(1, '/last')
  const all = [...Array(6).fill('GET www.example.com' + mine + '/a'), ...Array(3).fill('GET www.example.com' + mine + '/b'), ...Array(2).fill('DELETE www.example.com' + mine + '/c'), 'GET www.example.com' + mine + '/last']
  await expect.poll(() => requests(v)).toEqual(all.sort())
  const last = (await rows(v).filter({ hasText: '/last' }).innerText()).replace(/\s+/g, ' ')
  expect(last).toMatch(/^\d\d:\d\d:\d\d\.\d{3} 200 GET .* \d+ ms \d+ B web-az1 \/ az1-[01] \(az1\) lb-az1$/)
  await v.shot('log')
  await v.axe()
  // Each filter is in the address, and lines that were there are shown again as far as they pass it.
  const only = async (label: string, text: string, want: string[]) => {
    await v.page.getByLabel(label, { exact: true }).fill(text)
    await v.page.keyboard.press('Enter')
    await expect.poll(() => requests(v)).toEqual(want.map((p) => 'GET www.example.com' + mine + p))
    await v.page.getByLabel(label, { exact: true }).fill('')
    await v.page.keyboard.press('Enter')
    await expect.poll(() => rows(v).count()).toBe(all.length)
  }
  await only('Status, as 5xx', '2xx', [...Array(6).fill('/a'), '/last'])
  await only('Status, as 5xx', '404', ['/b', '/b', '/b'])
  await v.open(`/sites/www/log?path=${mine}&client=${from}&status=5xx&method=delete`)
  await expect.poll(() => requests(v)).toEqual(Array(2).fill('DELETE www.example.com' + mine + '/c'))
  await v.page.getByLabel('Status, as 5xx').fill('9xx')
  v.allow(400, /\/log\?/)
  await v.page.keyboard.press('Enter')
  await v.page.getByText(/a status/i).first().waitFor()
  expect(await v.page.getByLabel('Status, as 5xx').inputValue()).toBe('9xx')
})

walk('what a hostile client sends is text', async (v) => {
  const site = (await v.world.call<{ kind: string; metadata: object; spec: object }>('GET', '/api/v1/sites/www')).value
  const changed = await v.world.call('PUT', '/api/v1/sites/www', { kind: site.kind, metadata: site.metadata, spec: { ...site.spec, log: { requestHeaders: { 'User-Agent': 128 } } } })
  expect(changed.status).toBe(200)
  await v.world.converged()
  await v.signIn('viewer', '/sites/www/log?path=/hostile')
  await live(v)
  await v.world.send(1, { host: 'www.example.com', path: '/hostile/' + markup.replaceAll(' ', '%20'), headers: { 'User-Agent': markup } })
  await expect.poll(() => rows(v).count()).toBe(1)
  const text = await rows(v).innerText()
  expect(text).toContain('onerror=alert(1)><script>alert(2)</script>')
  expect(text).toContain(`user-agent: ${markup}`)
  expect(await v.page.locator('main img[src="x"], main script').count()).toBe(0)
  await v.shot('log of a hostile client')
})

walk('the log is for those who may see the site, and the page says why not', async (v) => {
  v.allow(403, /^\/api\/v1\/(sites\/www|series)/)
  await v.signIn('other', '/sites/www/log')
  await v.page.getByText(/viewer/).first().waitFor()
  expect(await rows(v).count()).toBe(0)
  expect((await v.world.call('GET', '/api/v1/sites/www/log?follow=false', undefined, 'other')).status).toBe(403)
  await v.shot('log refused')

  await v.open('/sites/down/log')
  await live(v)
  await v.world.send(1, { host: 'down.example.com', balancer: 'internal', home: 'internal' })
  await rows(v).filter({ hasText: 'Weir, since no server did' }).waitFor()
})
