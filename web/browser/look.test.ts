// What the harness itself looks for, shown on pages that are wrong.
import { test } from 'vitest'
import { look } from './look'
import { browser, expect, walk } from './weir'

const wrong: [what: string, page: string, said: RegExp | null][] = [
  ['nothing is wrong', '<p>Hello</p><p style="overflow: auto; width: 50px"><span style="display: block; width: 90px">reachable</span></p>', null],
  ['what is wider than the window', '<div style="width: 2000px">wide</div>', /is 2\d{3} wide in a window of 390: div "wide"/],
  ['text that is cut', '<p class="x" style="width: 40px; overflow: hidden; white-space: nowrap; text-overflow: ellipsis">some long text</p>', /cut off by p\.x, without a title: "some long text"/],
  ['text that is cut and has a title', '<p title="some long text" style="width: 40px; overflow: hidden; white-space: nowrap">some long text</p>', null],
  ['texts on each other', '<p>first words</p><p style="margin-top: -34px">other words</p>', /"first words" and "other words" lie on each other/],
  ['a layer above the page', '<p>first words</p><div style="position: fixed; top: 0; background: white">menu</div>', null],
  ['a value that is missing', '<p>undefined requests</p>', /says "undefined requests"/],
  ['a number that is none', '<p>NaN ms</p>', /says "NaN ms"/],
  ['an object as text', '<p title="[object Object]">x</p>', /says "\[object Object\]" in p/],
  ['text that nobody sees', '<p style="display: none">undefined</p>', null],
]

for (const [what, html, said] of wrong) {
  test(`look: ${what}`, async () => {
    const page = await (await browser()).newPage({ viewport: { width: 390, height: 844 } })
    try {
      await page.setContent(`<!doctype html><meta name="viewport" content="width=device-width"><body style="margin: 0; font: 14px/20px sans-serif">${html}`)
      const flaws = (await page.evaluate(look)).join('\n')
      if (said) expect(flaws).toMatch(said)
      else expect(flaws).toBe('')
    } finally {
      await page.close()
    }
  })
}

walk('what no page may do is seen', async (v) => {
  await v.open('/')
  await v.page.evaluate(() => {
    console.error('an error')
    setTimeout(() => {
      throw new Error('an exception')
    })
    const image = document.createElement('img')
    image.src = 'https://192.0.2.1/picture.png'
    document.body.append(image)
    document.body.append('no name')
    void fetch('/api/v1/nowhere')
  })
  await v.page.waitForResponse(/nowhere/)
  await expect.poll(() => v.flaws.join('\n')).toMatch(/exception/)
  await v.axe()
  const flaws = v.flaws.join('\n')
  for (const said of ['console: an error', 'exception: Error: an exception', 'refused: GET /api/v1/nowhere 40', 'Content Security Policy', 'image-alt']) expect(flaws).toContain(said)
  v.flaws.length = 0
})
