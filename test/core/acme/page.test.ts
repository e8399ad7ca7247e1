import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { CAUSES } from '../../../core/acme/causes.ts'

test('docs/acme.md has every cause, and whom it concerns', () => {
  const page = readFileSync(new URL('../../../docs/acme.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| `([\w-]+)` \| (name|all) \|/gm)].map(([, cause, whom]) => [
    cause,
    whom,
  ])
  expect(rows).toEqual(Object.entries(CAUSES).map(([cause, { concerns }]) => [cause, concerns]))
})
