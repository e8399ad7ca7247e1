/**
 * How long one plan takes, and what an event costs a node that runs many replicas: both must not
 * grow faster than what they look at.
 */
import type { NodeCommand } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import { defaultNodeConfig, NodeMachine } from '../../core/node/node.ts'
import { type ObservedSlot, planService } from '../../core/services/planner.ts'
import { deploymentOf, ObedientShell, serviceOf } from '../core/node/obedient-shell.ts'

const SIZES = [10, 1_000, 10_000]

const bench = {
  name: 'planner',
  async rows(report: (row: { what: string; value: string; note?: string }) => void): Promise<void> {
    for (const size of SIZES) {
      const micros = median(21, () => timePlan(size))
      const note = size === 10_000 ? 'goal: 20,000 µs at most' : ''
      report({ what: `plan of ${size} replicas`, value: `${micros.toFixed(0)} µs`, note })
    }
    for (const size of SIZES) {
      const { events, ms } = timeStart(size)
      report({
        what: `start of ${size} replicas in the node machine`,
        value: `${((ms * 1000) / events).toFixed(1)} µs an event`,
        note: `${events} events in ${ms.toFixed(0)} ms`,
      })
    }
  },
}

export default bench

/** A rolling update half-way: the costliest kind of plan. */
function timePlan(size: number): number {
  const slots = Array.from(
    { length: size },
    (_, index): ObservedSlot => ({
      number: index + 1,
      role: 'default',
      revision: index % 2,
      state: 'ready',
      readyAt: 0,
      startAt: 0,
      isolated: false,
      standsIn: false,
    }),
  )
  const roles = new Array<string>(size).fill('default')
  const desired = { roles, revision: 1, surgeMax: 1, unavailableMax: 0, readyMinMs: 0 }
  const from = performance.now()
  planService(desired, slots, 1_000)
  return (performance.now() - from) * 1000
}

function timeStart(size: number): { events: number; ms: number } {
  const config = defaultNodeConfig(1)
  const machine = new NodeMachine(config)
  const shell = new ObedientShell()
  const deployment = deploymentOf({ web: serviceOf({ scale: { mode: 'fixed', replicas: size } }) })
  const first: NodeEvent[] = [
    { type: 'boot' },
    { type: 'deploy', request: 1, deployment, directory: '/srv' },
  ]
  let events = 0
  let ms = 0
  let now = 1_000
  const inbox = [...first]
  for (let index = 0; index < inbox.length; index++) {
    const out: NodeCommand[] = []
    const from = performance.now()
    machine.step(inbox[index] as NodeEvent, now, out)
    ms += performance.now() - from
    events += 1
    for (const command of out) inbox.push(...shell.obey(command))
    // starts beyond the first thousand follow a millisecond later
    if (index === inbox.length - 1 && machine.deadline() === now + 1) {
      now += 1
      inbox.push({ type: 'tick' })
    }
  }
  return { events, ms }
}

function median(runs: number, measure: () => number): number {
  const sorted = Array.from({ length: runs }, measure).sort((a, b) => a - b)
  return sorted[runs >> 1] ?? 0
}
