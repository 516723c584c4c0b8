import axe from 'axe-core'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { look } from './look'
import type { Person, World } from './world'

const sizes = [
  { width: 1280, height: 800 },
  { width: 390, height: 844 },
] as const

/**
 * Visit is a person at the console. Everything that no page may do is a flaw, and a script with a flaw fails: an error in
 * the console, a request that fails or leaves the control plane, what the policy of the page forbids, an exception, a
 * dialog of the browser (text that ran), and words like "undefined" where people read.
 */
export class Visit {
  readonly flaws: string[] = []
  #allowed: { status: number; path: RegExp }[] = []
  #elsewhere: string[] = []

  private constructor(
    readonly page: Page,
    readonly world: World,
    private readonly context: BrowserContext,
  ) {}

  static async begin(browser: Browser, world: World): Promise<Visit> {
    const context = await browser.newContext({ ignoreHTTPSErrors: true, viewport: sizes[0], colorScheme: 'light', reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'Europe/Amsterdam' })
    context.setDefaultTimeout(15_000)
    const page = await context.newPage()
    const visit = new Visit(page, world, context)
    visit.#watch()
    return visit
  }

  get url() {
    return this.world.given.url
  }

  #watch() {
    const flaw = (what: string) => void this.flaws.push(what)
    this.page.on('console', (m) => {
      // Answers that refuse are judged below, where it can be told which were to be expected.
      if (m.type() === 'error' && !m.text().startsWith('Failed to load resource')) flaw(`console: ${m.text()}`)
    })
    this.page.on('pageerror', (e) => flaw(`exception: ${e.stack ?? e.message}`))
    this.page.on('dialog', (d) => {
      flaw(`a dialog opened, so text ran: ${d.message()}`)
      void d.dismiss()
    })
    this.page.on('request', (r) => {
      if (![this.url, ...this.#elsewhere].some((u) => r.url().startsWith(u)) && !/^(data|blob|about):/.test(r.url())) flaw(`asked elsewhere: ${r.url()}`)
    })
    this.page.on('requestfailed', (r) => {
      const why = r.failure()?.errorText ?? ''
      if (!why.includes('ERR_ABORTED')) flaw(`no answer: ${r.method()} ${r.url()} ${why}`)
    })
    this.page.on('response', (r) => {
      if (r.status() < 400) return
      const path = r.url().slice(this.url.length)
      if (!this.#allowed.some((a) => a.status === r.status() && a.path.test(path))) flaw(`refused: ${r.request().method()} ${path} ${r.status()}`)
    })
  }

  /** allow says that answers of a status are part of the script. */
  allow(status: number, path: RegExp): void {
    this.#allowed.push({ status, path })
  }

  /** leadsTo says that the page leads to another origin, as a provider is. */
  leadsTo(origin: string): void {
    this.#elsewhere.push(origin)
  }

  /** signIn makes the session without the form, and opens a page, or none. */
  async signIn(who: Person, path: string | null = '/'): Promise<void> {
    const answer = await this.context.request.post(this.url + '/api/v1/session', { data: { token: this.world.given.tokens[who] }, headers: { Origin: this.url } })
    if (!answer.ok()) throw new Error(`sign in as ${who}: ${answer.status()} ${await answer.text()}`)
    if (path !== null) await this.open(path)
  }

  /** open loads an address of the console, and waits until it shows what it has to show. */
  async open(path: string): Promise<void> {
    await this.page.goto(this.url + path, { waitUntil: 'load' })
    await this.settled()
  }

  /** settled waits until nothing of the page says aria-busy, and it was drawn. */
  async settled(): Promise<void> {
    await this.page.locator('main').first().waitFor()
    await this.page.waitForFunction(() => !document.querySelector('[aria-busy="true"]'))
    await this.page.evaluate(() => document.fonts.ready.then(() => new Promise<void>((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())))))
  }

  /** go follows a path within the page, as a link of it does. */
  async go(path: string): Promise<void> {
    await this.page.evaluate((to) => {
      history.pushState(null, '', to)
      dispatchEvent(new PopStateEvent('popstate'))
    }, path)
    await this.settled()
  }

  /** fits looks at the page, wide and narrow, for what is wrong with it, and calls each when it has that width. */
  async fits(name: string, each = async (_: number) => {}): Promise<void> {
    for (const size of sizes) {
      await this.page.setViewportSize(size)
      await this.settled()
      for (const flaw of await this.page.evaluate(look)) this.flaws.push(`${name} at ${size.width}: ${flaw}`)
      await each(size.width)
    }
    await this.page.setViewportSize(sizes[0])
  }

  /** fitsPhone is fits at phone width alone, and stays there. */
  async fitsPhone(name: string): Promise<void> {
    await this.page.setViewportSize(sizes[1])
    await this.settled()
    for (const flaw of await this.page.evaluate(look)) this.flaws.push(`${name} at ${sizes[1].width}: ${flaw}`)
  }

  /** shot takes pictures of the page, wide and narrow, light and dark, and looks at each for what is wrong with it. */
  async shot(name: string): Promise<void> {
    await this.fits(name, async (width) => {
      for (const scheme of ['light', 'dark'] as const) {
        await this.page.emulateMedia({ colorScheme: scheme })
        await this.picture(`${name} ${width} ${scheme}`)
      }
      await this.page.emulateMedia({ colorScheme: 'light' })
    })
  }

  /** picture is one PNG in the folder of results. */
  async picture(name: string): Promise<void> {
    mkdirSync(this.world.given.results, { recursive: true })
    await this.page.screenshot({ path: join(this.world.given.results, name.replace(/[^A-Za-z0-9]+/g, '-') + '.png'), fullPage: true })
  }

  /** axeBoth is axe at both widths; colours are the same at each. */
  async axeBoth(): Promise<void> {
    for (const size of [...sizes].reverse()) {
      await this.page.setViewportSize(size)
      await this.settled()
      await this.axe(size === sizes[0] ? ['light', 'dark'] : ['light'])
    }
  }

  /** axe holds the page against the rules of axe-core: all of them in light, the contrast in dark too. */
  async axe(schemes: readonly ('light' | 'dark')[] = ['light', 'dark']): Promise<void> {
    for (const scheme of schemes) {
      await this.page.emulateMedia({ colorScheme: scheme })
      if (!(await this.page.evaluate('typeof axe !== "undefined"'))) await this.page.evaluate(axe.source)
      const found = await this.page.evaluate(async (rules) => {
        const run = (globalThis as unknown as { axe: typeof axe }).axe
        const { violations } = await run.run(document, { resultTypes: ['violations'], ...(rules ? { runOnly: { type: 'rule' as const, values: rules } } : {}) })
        return violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target.join(' ')} ${n.any.concat(n.all, n.none).map((c) => c.message).join('; ')}`).join(' | ')}`)
      }, scheme === 'dark' ? ['color-contrast'] : undefined)
      for (const violation of found) this.flaws.push(`axe, ${scheme}, ${this.page.viewportSize()!.width}, ${new URL(this.page.url()).pathname}: ${violation}`)
    }
    await this.page.emulateMedia({ colorScheme: 'light' })
  }

  /** flawless fails with the flaws so far. */
  async flawless(): Promise<void> {
    if (this.page.url().startsWith(this.url)) for (const flaw of (await this.page.evaluate(look)).filter((f) => f.startsWith('says'))) this.flaws.push(flaw)
    if (this.flaws.length > 0) throw new Error([...new Set(this.flaws)].join('\n'))
  }

  async end(): Promise<void> {
    await this.context.close()
  }
}
