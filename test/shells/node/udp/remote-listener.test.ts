import { expect, test } from 'vitest'
import { defaultUdpConfig } from '../../../../core/udp/config.ts'
import { zeroCounters } from '../../../../core/udp/counters.ts'
import { RemoteListener } from '../../../../shells/node/udp/batch/parent/remote-listener.ts'
import type { WorkerLink } from '../../../../shells/node/udp/batch/parent/worker-link.ts'
import { FlowDurations } from '../../../../shells/node/udp/flow-durations.ts'
import type { UdpShellCounters } from '../../../../shells/node/udp/udp-host.ts'

const countersOf = (created: number, flowsLive: number): UdpShellCounters => ({
  machine: {
    ...zeroCounters(),
    datagramsUp: 10 * created,
    created,
    closed: { ...zeroCounters().closed, idle: created - flowsLive },
  },
  flowsLive,
  flowsMax: 7,
  sendErrors: created,
  queueFull: 0,
  lostUp: 0,
  durations: new FlowDurations().read(),
})

test('counters never go back, though every end in the worker begins with none', async () => {
  let answer = countersOf(5, 2)
  const link = { post: () => {}, call: async () => answer } as unknown as WorkerLink
  let ends = 0
  const listener = new RemoteListener(
    {
      attach: () => ({ link, number: ++ends }),
      detach: () => {},
      over: () => {},
      resolve: async (host) => host,
      shown: (address) => address,
    },
    {
      config: { ...defaultUdpConfig, flowsMax: 7 },
      balance: { strategy: 'round_robin', failOpen: true },
      fact: () => {},
      hostFailed: () => {},
    },
  )
  const read = async () => {
    const { machine, flowsLive, flowsMax, sendErrors } = await listener.counters()
    const { created, datagramsUp, closed } = machine
    return [created, closed.idle, closed.aborted, datagramsUp, sendErrors, flowsLive, flowsMax]
  }
  expect(await read()).toEqual([5, 3, 0, 50, 5, 2, 7])
  listener.lost('broke')
  expect(await read()).toEqual([5, 3, 2, 50, 5, 0, 7])
  while (ends < 2) await new Promise((resolve) => setTimeout(resolve, 5))
  answer = countersOf(1, 1)
  expect(await read()).toEqual([6, 3, 2, 60, 6, 1, 7])
  listener.lost('broke again')
  expect(await read()).toEqual([6, 3, 3, 60, 6, 0, 7])
  while (ends < 3) await new Promise((resolve) => setTimeout(resolve, 5))
  listener.report({ type: 'over', listener: 3, counters: countersOf(2, 0) })
  expect(await read()).toEqual([8, 5, 3, 80, 8, 0, 7])
})
