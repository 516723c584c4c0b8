// What scripts import: walk, expect and what they hand around.
import { chromium, type Browser } from 'playwright-core'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { Visit } from './visit'
import { World } from './world'

export { expect }
export type { Visit, World }

const root = join(import.meta.dirname, '../../.tools/chromium')
const kept = globalThis as { weirBrowser?: Promise<Browser>; weirWorld?: World }

/** browser is the one Chromium of a run. */
export function browser(): Promise<Browser> {
  kept.weirBrowser ??= chromium.launch({
    executablePath: join(root, 'usr/lib/chromium/chromium-headless-shell'),
    // Fonts are the folder's own, so that pictures are alike on every machine.
    env: { ...process.env, FONTCONFIG_SYSROOT: root, XKB_CONFIG_ROOT: join(root, 'usr/share/X11/xkb') },
    args: ['--disable-gpu', '--disable-dev-shm-usage', '--font-render-hinting=none'],
  })
  return kept.weirBrowser
}

/** world is the one that all scripts of a run share. */
export function world(): World {
  return (kept.weirWorld ??= new World())
}

/**
 * walk is one script: a person with a browser of their own, who has not signed in. It fails when the page does what no
 * page may (see Visit), and leaves the world as it was. Most need no more than the usual 90 seconds.
 */
export function walk(name: string, script: (v: Visit) => Promise<void>, timeout?: number): void {
  test(name, async () => {
    const visit = await Visit.begin(await browser(), world())
    try {
      await script(visit)
      await visit.flawless()
    } catch (e) {
      await visit.picture(`FAILED ${name}`).catch(() => {})
      const seen = visit.flaws.length > 0 && e instanceof Error && !e.message.includes(visit.flaws[0]!) ? `\nthe page also: ${visit.flaws.join('\n')}` : ''
      if (e instanceof Error) e.message += `\nat ${visit.page.url()}${seen}`
      throw e
    } finally {
      await visit.end()
      await world().restore()
    }
  }, timeout)
}
