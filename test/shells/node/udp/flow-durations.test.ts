import { expect, test } from 'vitest'
import { FlowDurations } from '../../../../shells/node/udp/flow-durations.ts'
import { durationBoundsMs } from '../../../../shells/node/udp/udp-host.ts'

test('each flow is counted under every bound it did not outlast', () => {
  const durations = new FlowDurations()
  expect(durations.read()).toEqual({ count: 0, sumMs: 0, upTo: durationBoundsMs.map(() => 0) })
  for (const ms of [0, 10, 10.5, 100, 29_999, 30_000, 30_001, 2_000_000]) durations.add(ms)
  expect(durationBoundsMs).toEqual([10, 100, 1_000, 5_000, 30_000, 60_000, 300_000, 1_800_000])
  expect(durations.read()).toEqual({
    count: 8,
    sumMs: 2_090_120.5,
    upTo: [2, 4, 4, 4, 6, 7, 7, 7],
  })
})
