// node .ci/total.mjs FAILED_STEPS RESULTS.json...: prints `N passed, N failed`.
// A step that failed counts as one failure; a test run as its failed tests, if it got that far.
import { readFileSync } from 'node:fs'

const [failedSteps, ...files] = process.argv.slice(2)
let passed = 0
let failed = Number(failedSteps)
for (const file of files) {
  const run = readResults(file)
  passed += run.numPassedTests
  failed += Math.max(0, run.numFailedTests - 1)
}
console.log(`${passed} passed, ${failed} failed`)

/** A run that wrote no results, or half of them, has failed as a step already. */
function readResults(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return { numPassedTests: 0, numFailedTests: 0 }
  }
}
