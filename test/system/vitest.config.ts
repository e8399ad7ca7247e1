import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

// Real programs on one machine: one test at a time, and patience for slow ones.
export default defineConfig({
  root: fileURLToPath(new URL('../..', import.meta.url)),
  test: {
    include: ['test/system/**/*.test.ts'],
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 300_000,
  },
})
