/** A directory of its own for each test, gone afterwards. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'

export function temporaryDirectory(): string {
  const directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'weir-test-')))
  onTestFinished(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}
