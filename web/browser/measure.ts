// What bench/console_test.go runs in a large world: it says figures and stages in lines of standard output.
import { test } from 'vitest'
import type { Page } from 'playwright-core'
import { browser, world } from './weir'
import { Visit } from './visit'

const say = (...words: (string | number)[]) => void process.stdout.write(`\nweir-says ${words.join(' ')}\n`)
const middle = (list: number[]) => [...list].sort((a, b) => a - b)[list.length >> 1]!
const rounds = 7
const open = 20
const openFor = 30_000
const refresh = 5_000 // how often pages ask
const hour = 3_600_000 / refresh

// The pages, and what stands there when they can be read.
const pages: [figure: string, path: string, ready: string][] = [
  ['console_home_ms', '/', 'main table tbody tr'],
  ['console_map_ms', '/map', 'main svg text'],
  ['console_pool_ms', '/pools/p0500', 'main h1'],
]

async function visit(): Promise<Visit> {
  const v = await Visit.begin(await browser(), world())
  await v.signIn('admin', null)
  return v
}

/** usable gives the milliseconds until a page of a browser that knows nothing is there and answers the keyboard. */
async function usable(v: Visit, path: string, ready: string): Promise<number> {
  const begun = performance.now()
  await v.page.goto(v.url + path, { waitUntil: 'commit' })
  await v.page.locator(ready).first().waitFor()
  await v.page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'))
  await v.page.keyboard.press('Control+k')
  await v.page.getByRole('dialog').waitFor()
  return performance.now() - begun
}

test('pages', { timeout: 300_000 }, async () => {
  for (const [figure, path, ready] of pages) {
    const took: number[] = []
    let bytes = 0
    for (let round = 0; round < rounds; round++) {
      const v = await visit()
      const wire = await v.page.context().newCDPSession(v.page)
      await wire.send('Network.enable')
      await wire.send('Network.clearBrowserCache')
      bytes = 0
      wire.on('Network.loadingFinished', (e) => (bytes += e.encodedDataLength))
      took.push(await usable(v, path, ready))
      await v.flawless()
      await v.end()
    }
    say('figure', figure, middle(took))
    if (path === '/') say('figure', 'console_transfer_kb', bytes / 1000)
  }
})

test('search', { timeout: 120_000 }, async () => {
  const v = await visit()
  await v.open('/')
  const took: number[] = []
  for (let round = 0; round < rounds; round++) {
    await v.page.keyboard.press('Control+k')
    const name = `s00120${round}`
    const field = v.page.getByRole('dialog').getByRole('combobox')
    await field.fill('')
    const begun = performance.now()
    await field.fill(name)
    await v.page.getByRole('dialog').getByText(name, { exact: true }).first().waitFor()
    took.push(performance.now() - begun)
    await v.page.keyboard.press('Escape')
  }
  say('figure', 'console_search_ms', middle(took))
  await v.end()
})

test('many at a time', { timeout: 300_000 }, async () => {
  const all = []
  for (let i = 0; i < open; i++) {
    const v = await visit()
    await v.open('/')
    all.push(v)
  }
  say('stage', 'open')
  await new Promise((done) => setTimeout(done, openFor))
  say('stage', 'closed')
  for (const v of all) await v.end()
})

async function heap(page: Page): Promise<number> {
  const wire = await page.context().newCDPSession(page)
  await wire.send('HeapProfiler.collectGarbage')
  const { usedSize } = await wire.send('Runtime.getHeapUsage')
  await wire.detach()
  return usedSize / (1 << 20)
}

// The page's own clock is moved by hand, so that an hour of asking and being answered passes as fast as the answers come.
test('an hour', { timeout: 600_000 }, async () => {
  const v = await visit()
  await v.page.clock.install()
  await v.open('/')
  let answers = 0
  v.page.on('requestfinished', (r) => void (answers += Number(r.url().includes('/rows/sites'))))
  const pass = async (times: number) => {
    // A page sets its timer once it has an answer, so the clock is moved until there are so many.
    for (const end = answers + times; answers < end; ) await v.page.clock.runFor(refresh)
  }
  say('stage', 'hour')
  await pass(hour / 6) // what is kept for good is there then
  const before = await heap(v.page)
  await pass((5 * hour) / 6)
  const after = await heap(v.page)
  say('stage', 'over')
  console.log(`the tab had ${before.toFixed(1)} MiB after ten minutes, ${after.toFixed(1)} after an hour`)
  say('figure', 'console_hour_growth_mib', Math.max(0, after - before))
  await v.end()
})
