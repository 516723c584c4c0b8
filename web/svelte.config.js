import { vitePreprocess } from '@sveltejs/vite-plugin-svelte'

export default {
  preprocess: vitePreprocess({ script: true }),
  // Inline style attributes are refused by the page's policy: write style:width={…}, which is set by script.
  compilerOptions: { runes: true },
}
