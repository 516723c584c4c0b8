import { defineConfig } from 'vitest/config'

// Scripts of a run share one world and one Chromium, so they run one after the other, in one process.
export default defineConfig({
  test: {
    include: process.env.WEIR_MEASURE ? ['browser/measure.ts'] : ['browser/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 1,
    isolate: false,
    fileParallelism: false,
    testTimeout: 90_000,
    hookTimeout: 30_000,
    retry: process.env.WEIR_MEASURE ? 0 : 1, // which is told of, as scripts/test.sh does with other tests
    expect: { poll: { timeout: 15_000 } }, // as Playwright's own
    reporters: ['./browser/reporter.ts'],
  },
})
