import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    exclude: ['test/system/**'],
    // More than there are processors: most tests wait for something most of the time.
    maxWorkers: '200%',
    testTimeout: 30_000,
    hookTimeout: 30_000,
  },
})
