import { describe, expect, test } from 'vitest'
import type { NodeView, ReplicaView } from '../../../../core/node/view.ts'
import {
  abortText,
  drainGist,
  drainText,
  NO_WORK,
  worthSaying,
} from '../../../../shells/cli/screen/drain.ts'
import type { DrainWork } from '../../../../shells/node/operator/api.ts'
import { replica, SAMPLE_VIEW } from '../sample-view.ts'

const draining = (replicas: readonly ReplicaView[], remainsMs?: number): NodeView => ({
  ...SAMPLE_VIEW,
  phase: 'draining',
  replicas,
  ...(remainsMs === undefined ? {} : { drain: { remainsMs } }),
})
const WEB_1 = replica('web', 1, { state: 'draining', limitMs: 27_300 })
const WEB_2 = replica('web', 2, { state: 'stopping' })

describe('what is left', () => {
  const rows: readonly [text: string, view: NodeView, work: DrainWork][] = [
    [
      'stopping for 3s: 12 connections left, cut in 27s at the latest; 2 replicas left: ' +
        'web-1 (draining, at most 27s), web-2 (stopping)',
      draining([WEB_1, WEB_2], 27_400),
      { connections: 12, requests: 0, flows: 0 },
    ],
    [
      'stopping for 3s: 1 connection and 3 flows left, cut in 0s at the latest',
      draining([], 400),
      { connections: 1, requests: 0, flows: 3 },
    ],
    [
      'stopping for 3s: 2 connections left, being cut',
      draining([], 0),
      { connections: 2, requests: 0, flows: 0 },
    ],
    [
      'stopping for 3s: 1 flow left; 1 replica left: web-2 (stopping)',
      draining([WEB_2]),
      { connections: 0, requests: 0, flows: 1 },
    ],
    [
      'stopping for 3s: 4 requests, 1 connection and 3 flows left, cut in 27s at the latest',
      draining([], 27_400),
      { connections: 1, requests: 4, flows: 3 },
    ],
    [
      'stopping for 3s: 1 request and 2 connections left, being cut',
      draining([], 0),
      { connections: 2, requests: 1, flows: 0 },
    ],
    ['stopping for 3s: 1 replica left: web-2 (stopping)', draining([WEB_2], 27_400), NO_WORK],
    ['stopping for 3s', draining([], 27_400), NO_WORK],
  ]
  for (const [text, view, work] of rows) {
    test(text, () => expect(drainText(view, work, 3_900)).toBe(text))
  }
})

describe('what a stop at once does', () => {
  const { pid: _, ...waiting } = replica('web', 3, { state: 'waiting' })
  const rows: readonly [text: string, view: NodeView, work: DrainWork][] = [
    [
      'stopping at once: 12 connections and 3 flows cut, 2 replicas killed',
      draining([WEB_1, WEB_2, waiting]),
      { connections: 12, requests: 0, flows: 3 },
    ],
    ['stopping at once: 1 replica killed', draining([WEB_1]), NO_WORK],
    [
      'stopping at once: 1 connection cut',
      draining([waiting]),
      { connections: 1, requests: 0, flows: 0 },
    ],
    ['stopping at once', draining([]), NO_WORK],
  ]
  for (const [text, view, work] of rows) test(text, () => expect(abortText(view, work)).toBe(text))
})

describe('what is worth a line in a file', () => {
  test('news, and one look every five seconds', () => {
    const isNews = worthSaying()
    const said: number[] = []
    const looks: [number, string][] = [
      [0, 'a'],
      [1_000, 'a'],
      [2_000, 'b'],
      [3_000, 'b'],
      [6_999, 'b'],
      [7_000, 'b'],
      [8_000, 'b'],
    ]
    for (const [at, gist] of looks) if (isNews(gist, at)) said.push(at)
    expect(said).toEqual([0, 2_000, 7_000])
  })

  test('is a replica that is gone, or the last request, connection or flow; not each of them', () => {
    const gist = (replicas: ReplicaView[], ...[connections, requests, flows]: Work) =>
      drainGist(draining(replicas, connections * 1_000), { connections, requests, flows })
    const before = gist([WEB_1, WEB_2], 12, 4, 3)
    expect(gist([WEB_1, WEB_2], 11, 3, 2)).toBe(before)
    expect(gist([WEB_2], 12, 4, 3)).not.toBe(before)
    expect(gist([WEB_1, WEB_2], 0, 4, 3)).not.toBe(before)
    expect(gist([WEB_1, WEB_2], 12, 0, 3)).not.toBe(before)
    expect(gist([WEB_1, WEB_2], 12, 4, 0)).not.toBe(before)
  })
})

type Work = [connections: number, requests: number, flows: number]
