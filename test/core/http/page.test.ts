import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import type { ExchangeOutcome } from '../../../core/http/commands.ts'
import { errorAnswer } from '../../../core/http/forward/answer.ts'
import { zeroIngressCounters } from '../../../core/http/ingress/counters.ts'
import { STAGE } from '../../../core/http/ingress/state.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const PAGE = readFileSync(join(ROOT, 'docs/http.md'), 'utf8')

test('the page lists exactly the stages of a client', () => {
  const [, table = ''] = /\| stage \|.*?\n\| --- .*?\n(.*?)\n\n/s.exec(PAGE) ?? []
  const listed = [...table.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, stage]) => stage)
  expect(listed).toEqual(Object.keys(STAGE))
})

test('the page tells the status of every outcome that has one of its own', () => {
  const [, table = ''] = /\| status \| outcome \|\n\| --- .*?\n(.*?)\n\n/s.exec(PAGE) ?? []
  const listed = new Map<string, number>()
  for (const [, status, outcomes = ''] of table.matchAll(/^\| (\d+)[^|]* \| (.*) \|$/gm)) {
    for (const [, outcome = ''] of outcomes.matchAll(/`([a-z-]+)`/g)) {
      if (!listed.has(outcome)) listed.set(outcome, Number(status))
    }
  }
  const silent = ['done', 'client-gone', 'idle', 'redirected', 'challenge']
  for (const outcome of Object.keys(zeroIngressCounters().outcomes) as ExchangeOutcome[]) {
    if (silent.includes(outcome)) continue
    expect([outcome, listed.get(outcome)]).toEqual([
      outcome,
      errorAnswer(outcome, 400, '', '').status,
    ])
  }
})
