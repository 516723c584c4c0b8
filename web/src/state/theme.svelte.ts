export type Theme = 'auto' | 'light' | 'dark'

const key = 'weir-theme'

/** The theme: the machine's own unless the person chose one; it is all that the console keeps in the browser. */
class Themes {
  chosen = $state<Theme>((localStorage.getItem(key) as Theme | null) ?? 'auto')

  constructor() {
    this.#show()
  }

  next() {
    const all: Theme[] = ['auto', 'light', 'dark']
    this.chosen = all[(all.indexOf(this.chosen) + 1) % all.length]!
    localStorage.setItem(key, this.chosen)
    this.#show()
  }

  #show() {
    if (this.chosen === 'auto') delete document.documentElement.dataset.theme
    else document.documentElement.dataset.theme = this.chosen
  }
}

export const theme = new Themes()
