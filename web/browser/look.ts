/**
 * look runs in the page and says what is wrong with how it looks: it is wider than the window, text is cut off with no
 * title to read it by, texts lie on each other, or words show that a value was missing.
 */
export function look(): string[] {
  const flaws: string[] = []
  const wide = document.documentElement.clientWidth
  const short = (text: string) => JSON.stringify(text.trim().replace(/\s+/g, ' ').slice(0, 60))
  const name = (e: Element) => e.tagName.toLowerCase() + (e.id ? '#' + e.id : '') + [...e.classList].filter((c) => !c.startsWith('svelte-')).map((c) => '.' + c).join('')
  const seen = (e: Element) => e.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true } as CheckVisibilityOptions)
  const style = new Map<Element, CSSStyleDeclaration>()
  const css = (e: Element) => style.get(e) ?? (style.set(e, getComputedStyle(e)), style.get(e)!)
  const clips = (e: Element) => css(e).overflowX !== 'visible' || css(e).overflowY !== 'visible'
  // data-pans says that people move a drawing to see the rest.
  const scrolls = (e: Element) => /auto|scroll/.test(css(e).overflowX + css(e).overflowY) || e.hasAttribute('data-pans')

  const words = /\b(undefined|NaN|Invalid Date)\b|\[object [A-Z]|^This page broke/
  interface Piece { text: string; box: DOMRect; node: Node; layer: Element | null }
  const pieces: Piece[] = []
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node.nodeValue ?? ''
    const parent = node.parentElement
    if (!text.trim() || !parent || parent.closest('script, style, noscript, template, option, textarea') || !seen(parent)) continue
    if (words.test(text)) flaws.push(`says ${short(text)}`)
    const range = document.createRange()
    range.selectNodeContents(node)
    for (const rect of range.getClientRects()) {
      if (rect.width < 1 || rect.height < 1) continue
      let { left, right, top, bottom } = rect
      let layer: Element | null = null
      let hidden = false
      for (let e: Element | null = parent; e && e !== document.documentElement; e = e.parentElement) {
        if (!layer && /fixed|sticky|absolute/.test(css(e).position)) layer = e
        if (!clips(e) || e === document.body) continue
        const c = e.getBoundingClientRect()
        if (c.width <= 2 || c.height <= 2) {
          hidden = true // for screen readers alone
          break
        }
        const gone = Math.max(c.left - left, right - c.right)
        if (gone > 1.5 && !scrolls(e) && !parent.closest('[title]') && !e.closest('[title]')) flaws.push(`cut off by ${name(e)}, without a title: ${short(text)}`)
        left = Math.max(left, c.left)
        right = Math.min(right, c.right)
        top = Math.max(top, c.top)
        bottom = Math.min(bottom, c.bottom)
      }
      if (!hidden && right - left > 1 && bottom - top > 1) pieces.push({ text, node, layer, box: new DOMRect(left, top, right - left, bottom - top) })
    }
  }
  for (const e of document.querySelectorAll('[title], [aria-label], [placeholder], input')) {
    for (const value of [e.getAttribute('title'), e.getAttribute('aria-label'), e.getAttribute('placeholder'), e instanceof HTMLInputElement ? e.value : null]) if (value && words.test(value) && seen(e)) flaws.push(`says ${short(value)} in ${name(e)}`)
  }

  if (document.documentElement.scrollWidth > wide + 1) {
    const out = [...document.body.querySelectorAll('*')].filter((e) => seen(e) && e.getBoundingClientRect().right > wide + 1 && css(e).position !== 'fixed')
    const inner = out.filter((e) => !out.some((o) => o !== e && e.contains(o)))
    flaws.push(`is ${document.documentElement.scrollWidth} wide in a window of ${wide}: ${inner.slice(0, 3).map((e) => `${name(e)} ${short(e.textContent ?? '')}`).join(', ')}`)
  }

  // Layers may lie on what scrolls below them; in a layer texts may not lie on each other.
  pieces.sort((a, b) => a.box.top - b.box.top)
  for (const [i, a] of pieces.entries()) {
    for (let j = i + 1; j < pieces.length && pieces[j]!.box.top < a.box.bottom; j++) {
      const b = pieces[j]!
      if (a.node === b.node || a.layer !== b.layer) continue
      const across = Math.min(a.box.right, b.box.right) - Math.max(a.box.left, b.box.left)
      const down = Math.min(a.box.bottom, b.box.bottom) - b.box.top
      if (across > 2 && down > 0.3 * Math.min(a.box.height, b.box.height)) flaws.push(`${short(a.text)} and ${short(b.text)} lie on each other`)
    }
  }
  return [...new Set(flaws)].slice(0, 20)
}
