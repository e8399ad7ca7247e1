import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { LEGAL_LINKS, LEGAL_WAYS } from '../../../core/stream/state.ts'

test('the page lists exactly the legal edges of links and ways', () => {
  const page = readFileSync(new URL('../../../docs/stream.md', import.meta.url), 'utf8')
  const listed = [...page.matchAll(/^\| `([a-z]+)` \| `([a-z]+)` \|/gm)].map(
    ([, from, to]) => `${from} ${to}`,
  )
  const legal = [...Object.entries(LEGAL_LINKS), ...Object.entries(LEGAL_WAYS)].flatMap(
    ([from, next]) => next.map((to) => `${from} ${to}`),
  )
  expect(listed.toSorted()).toEqual(legal.toSorted())
})
