import { describe, expect, test } from 'vitest'
import { replicaId } from '../../../../core/services/identity.ts'
import { bytesText, flowLines, flowsSummary } from '../../../../shells/cli/screen/flows.ts'
import type { FlowRow } from '../../../../shells/node/operator/flows.ts'

const flowRow = (more: Partial<FlowRow> = {}): FlowRow => ({
  deployment: 'hello',
  service: 'dns',
  endpoint: 'udp',
  phase: 'open',
  client: '10.0.0.1:40000',
  contacted: '127.0.0.1:53',
  backend: replicaId({ deployment: 'hello', service: 'dns', number: 2, incarnation: 7 }),
  answered: true,
  ageMs: 65_000,
  expiresInMs: 29_900,
  datagramsIn: 3,
  bytesIn: 120,
  datagramsOut: 2,
  bytesOut: 3_456,
  ...more,
})

describe('flows as a table', () => {
  test('one line each', () => {
    const rows = [flowRow(), flowRow({ client: '[::1]:9', answered: false, bytesOut: 0 })]
    expect(flowLines(rows, { colour: false })).toEqual([
      'CLIENT          SERVICE  ENDPOINT  BACKEND  PHASE        AGE  EXPIRES       IN       OUT',
      '10.0.0.1:40000  dns      udp       dns-2    open       1m05s      29s  3 (120)  2 (3.5k)',
      '[::1]:9         dns      udp       dns-2    half-open  1m05s      29s  3 (120)     2 (0)',
    ])
  })

  test('services of one name are told apart', () => {
    const rows = [flowRow(), flowRow({ deployment: 'other' })]
    expect(flowLines(rows, { colour: false })[2]).toContain('other/dns')
  })

  test('fits the terminal', () => {
    const lines = flowLines([flowRow()], { colour: false, width: 60 })
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(60)
  })
})

describe('what the table does not show', () => {
  const ROWS: readonly [string, Parameters<typeof flowsSummary>[0], readonly string[]][] = [
    ['nothing', { flows: [flowRow()], matching: 1, examined: 1, total: 1 }, []],
    ['no flows', { flows: [], matching: 0, examined: 0, total: 0 }, ['no flows']],
    ['none that fits', { flows: [], matching: 0, examined: 9, total: 9 }, ['no flow like that']],
    [
      'more',
      { flows: [flowRow()], matching: 4_214, examined: 5_000, total: 5_000 },
      ['and 4,213 more: use --limit, or say which'],
    ],
    [
      'more than are looked at',
      { flows: [flowRow()], matching: 1, examined: 100_000, total: 1_000_000 },
      ['of 1,000,000 flows 100,000 were looked at'],
    ],
  ]
  for (const [name, answer, lines] of ROWS) {
    test(name, () => expect(flowsSummary(answer)).toEqual(lines))
  }
})

test('bytes to two digits or more', () => {
  const texts = [0, 999, 1_000, 1_549, 9_949, 9_950, 999_499, 999_500, 3_141_592, 2e9, 7e12]
  expect(texts.map(bytesText)).toEqual([
    '0',
    '999',
    '1.0k',
    '1.5k',
    '9.9k',
    '10k',
    '999k',
    '1.0M',
    '3.1M',
    '2.0G',
    '7T',
  ])
})
