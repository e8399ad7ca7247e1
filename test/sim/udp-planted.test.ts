import { describe, expect, test } from 'vitest'
import type { PackedAddress } from '../../core/net/packed-address.ts'
import type { FlowCommand } from '../../core/udp/commands.ts'
import type { FlowEvent } from '../../core/udp/events.ts'
import { type FlowId, slotOf } from '../../core/udp/flow-id.ts'
import type { CheckerName } from '../../sim/checkers/checker.ts'
import { type RunFailure, simulateRun } from '../../sim/simulate.ts'
import { drawRun } from '../../sim/swarm.ts'
import { plantInTables, type TableSaboteur } from './udp-planted.ts'

interface Planted {
  readonly bug: string
  readonly saboteur: () => TableSaboteur
  readonly checker: CheckerName | 'liveness'
  /** What the checker says. */
  readonly says: RegExp
  /** It says so within so many seeds of 300 steps. */
  readonly seeds: number
}

const STEPS = 300

type Command<Type extends FlowCommand['type']> = Extract<FlowCommand, { type: Type }>

/** Commands of one type, changed or left out. */
const each =
  <Type extends FlowCommand['type']>(
    type: Type,
    change: (command: Command<Type>) => readonly FlowCommand[],
  ) =>
  (commands: readonly FlowCommand[]): readonly FlowCommand[] =>
    commands.flatMap((command) =>
      command.type === type ? change(command as Command<Type>) : [command],
    )

const PLANTED: readonly Planted[] = [
  {
    bug: 'a late answer reaches the next owner of its slot',
    saboteur: () => {
      const owners = new Map<number, { flow: FlowId; attempt: number }>()
      return {
        tell: (event) => {
          if (event.type !== 'upstream-datagram') return [event]
          return [{ ...event, ...(owners.get(slotOf(event.flow)) ?? {}) }]
        },
        order: each('open-upstream', (command) => {
          owners.set(slotOf(command.flow), { flow: command.flow, attempt: command.attempt })
          return [command]
        }),
      }
    },
    checker: 'udp routes',
    says: /is sent what was said on another flow$/,
    seeds: 60,
  },
  {
    bug: 'an answer goes to who asked last',
    saboteur: () => {
      let last: PackedAddress | undefined
      return {
        order: (commands, event) => {
          if (event.type === 'client-datagram') last = event.from
          return each('send-client', (command) => [{ ...command, to: last ?? command.to }])(
            commands,
          )
        },
      }
    },
    checker: 'udp routes',
    says: / answers .* from /,
    seeds: 5,
  },
  {
    bug: 'an answer leaves from another local address',
    saboteur: () => {
      let to: PackedAddress | undefined
      return {
        order: (commands, event) => {
          if (event.type === 'client-datagram') to ??= event.to
          return each('send-client', (command) => [{ ...command, from: to ?? command.from }])(
            commands,
          )
        },
      }
    },
    checker: 'udp routes',
    says: / answers .* from /,
    seeds: 20,
  },
  {
    bug: 'what is held is not copied',
    saboteur: () => {
      let lent: Uint8Array | undefined
      return {
        tell: (event) => {
          if (event.type === 'client-datagram') lent = event.payload
          return [event]
        },
        order: (commands, event) =>
          event.type !== 'upstream-opened'
            ? commands
            : each('send-upstream', (command) => [
                {
                  ...command,
                  payload: lent?.subarray(0, command.payload.length) ?? command.payload,
                },
              ])(commands),
      }
    },
    checker: 'udp routes',
    says: /that its client did not send$/,
    seeds: 5,
  },
  {
    bug: 'a backend is told the client only once, or never',
    saboteur: () => ({
      configure: (config) => ({
        ...config,
        proxyProtocol: config.proxyProtocol === 'every' ? 'first' : 'off',
      }),
    }),
    checker: 'udp routes',
    says: /tells its backend another client, or tells it at the wrong time$/,
    seeds: 5,
  },
  {
    bug: 'a proxy is believed whoever it announces next',
    saboteur: () => {
      const known = new Map<string, Uint8Array>()
      return {
        // the header of its first datagram stands for all that follow
        tell: (event) => {
          if (event.type !== 'client-datagram' || event.payload[0] !== 13) return [event]
          const { d, port } = event.from
          const size = event.payload[13] === 0x12 ? 28 : 52
          const header = event.payload.slice(0, size)
          const name = `${d} ${port} ${size}`
          const first = known.get(name) ?? header
          known.set(name, first)
          return [{ ...event, payload: Uint8Array.from([...first, ...event.payload.slice(size)]) }]
        },
      }
    },
    checker: 'udp routes',
    says: /that its client did not send$|closed for another client/,
    seeds: 20,
  },
  {
    bug: 'a flow is forgotten without a word',
    saboteur: () => {
      let closed = 0
      return {
        order: each('close-flow', (command) => {
          closed += 1
          return closed % 8 === 0 ? [] : [command]
        }),
      }
    },
    checker: 'udp lives',
    says: /^\d+ flows by its count, \d+ by its commands$/,
    seeds: 5,
  },
  {
    bug: 'a flow is closed twice',
    saboteur: () => ({
      order: each('close-flow', (command) => [command, command]),
    }),
    checker: 'udp lives',
    says: /is no flow, or no more$/,
    seeds: 5,
  },
  {
    bug: 'a socket is left open when a flow moves',
    saboteur: () => ({
      order: each('close-upstream', () => []),
    }),
    checker: 'udp lives',
    says: /sockets for|sends before its socket is open/,
    seeds: 20,
  },
  {
    bug: 'one flow more than the limit',
    saboteur: () => ({ configure: (config) => ({ ...config, flowsMax: config.flowsMax + 1 }) }),
    checker: 'udp lives',
    says: /^\d+ flows, too many$/,
    seeds: 10,
  },
  {
    bug: 'an answer puts the end off too little',
    saboteur: () => ({
      clock: (event, now) => (event.type === 'upstream-datagram' ? now - 40 : now),
    }),
    checker: 'udp lives',
    says: /is closed at \d+ for idle, which is not true$|ends with/,
    seeds: 10,
  },
  {
    bug: 'the timer is set a little late',
    saboteur: () => ({ deadline: (real) => (real === undefined ? real : real + 20) }),
    checker: 'udp lives',
    says: /^the deadline is \d+, a flow ends at \d+$/,
    seeds: 5,
  },
  {
    bug: 'a request has one answer less than it is said to have',
    saboteur: () => ({
      configure: (config) => ({ ...config, responses: Math.min(config.responses, 1) }),
    }),
    checker: 'udp lives',
    says: /for responses, which is not true$/,
    seeds: 40,
  },
  {
    bug: 'the bytes of a flow are counted in the wrong direction',
    saboteur: () => ({
      order: each('close-flow', (command) => {
        const { bytesUp, bytesDown } = command.totals
        const totals = { ...command.totals, bytesUp: bytesDown, bytesDown: bytesUp }
        return [{ ...command, totals }]
      }),
    }),
    checker: 'udp lives',
    says: /ends with/,
    seeds: 5,
  },
  {
    bug: 'a backend that is down is chosen',
    saboteur: () => ({
      tell: (event): FlowEvent[] => {
        if (event.type !== 'apply-backends') return [event]
        const up = event.backends.map(({ id, host, port }) => ({ id, host, port }))
        return [{ ...event, backends: up }]
      },
    }),
    checker: 'udp backends',
    says: /, which may not be chosen$/,
    seeds: 20,
  },
  {
    bug: 'nobody hears that a backend is drained',
    saboteur: () => ({ order: each('backend-drained', () => []) }),
    checker: 'udp backends',
    says: /is done, and nobody is told$/,
    seeds: 10,
  },
  {
    bug: 'a backend is drained as soon as it leaves',
    saboteur: () => ({
      tell: (event): FlowEvent[] =>
        event.type === 'apply-backends' ? [event, ...['b0', 'b1', 'b2', 'b3'].map(cutOf)] : [event],
    }),
    checker: 'udp backends',
    says: /is drained while somebody waits for it$/,
    seeds: 60,
  },
  {
    bug: 'a failing backend is reported every time',
    saboteur: () => ({
      order: (commands, event) =>
        event.type !== 'upstream-failed' || event.blame !== 'backend'
          ? commands
          : commands.flatMap((command): FlowCommand[] =>
              command.type === 'backend-failed' ? [command, command] : [command],
            ),
    }),
    checker: 'udp backends',
    says: /fails again after 0 ms$/,
    seeds: 10,
  },
  {
    bug: 'the end is told while something is still to come',
    saboteur: () => ({
      order: each('stop-listening', (command) => [{ type: 'emptied' }, command]),
    }),
    checker: 'udp backends',
    says: /after emptied$/,
    seeds: 5,
  },
  {
    bug: 'the deadline does not move on',
    saboteur: () => ({ deadline: (real, now) => (real === undefined ? real : now) }),
    checker: 'udp universal',
    says: /a busy loop$/,
    seeds: 5,
  },
  {
    bug: 'a dropped datagram is counted twice',
    saboteur: () => ({
      counters: (real) => ({
        ...real,
        dropped: { ...real.dropped, shed: 2 * real.dropped.shed },
      }),
    }),
    checker: 'udp universal',
    says: /were counted twice$/,
    seeds: 10,
  },
  {
    bug: 'a snapshot leaves out what is held',
    saboteur: () => ({
      snapshot: (real) => {
        const { flows, ...rest } = real as { flows: readonly { held?: unknown }[] }
        return { ...rest, flows: flows.map(({ held: _, ...flow }) => flow) }
      },
    }),
    checker: 'udp universal',
    says: /^the restored table orders|are not counted$/,
    seeds: 200,
  },
  {
    bug: 'sockets are never believed to be open',
    saboteur: () => ({
      tell: (event) => (event.type === 'upstream-opened' ? [] : [event]),
    }),
    checker: 'liveness',
    says: /waits for an answer to/,
    seeds: 5,
  },
  {
    bug: 'network policies are not looked at',
    saboteur: () => ({ configure: (config) => ({ ...config, access: [] }) }),
    checker: 'udp routes',
    says: /, and may not come$/,
    seeds: 20,
  },
  {
    bug: 'a policy is against everybody it names',
    saboteur: () => ({
      configure: (config) => ({
        ...config,
        access: config.access.map((each) => ({ ...each, verdict: 'deny' as const })),
      }),
    }),
    checker: 'udp routes',
    says: /is turned away, and may come$/,
    seeds: 100,
  },
  {
    bug: 'a listener is idle before its time',
    saboteur: () => ({
      configure: (config) => ({ ...config, idleAfterMs: Math.min(config.idleAfterMs, 1) }),
    }),
    checker: 'udp routes',
    says: /^it is idle before its time$/,
    seeds: 20,
  },
  {
    bug: 'nobody hears that a listener is used again',
    saboteur: () => ({ order: each('busy', () => []) }),
    checker: 'udp routes',
    says: /^it is used, and nobody knows$/,
    seeds: 20,
  },
]

function cutOf(backend: string): FlowEvent {
  return { type: 'cut-backend', backend }
}

/** Without the model, only those have a say who compare with the truth. */
function firstFailure(
  saboteur: () => TableSaboteur,
  seed: number,
  isShadowed: boolean,
): RunFailure | undefined {
  const run = drawRun(seed, STEPS)
  const udp = run.udp === undefined ? undefined : { ...run.udp, isShadowed }
  const settings = { breed: plantInTables(saboteur), only: 'udp' } as const
  return simulateRun({ ...run, udp }, settings).failure
}

describe('a bug planted in the flow table is caught', () => {
  for (const { bug, saboteur, checker, says, seeds } of PLANTED) {
    test(`${bug}: by ${checker}, within ${seeds} seeds`, () => {
      const others: RunFailure[] = []
      for (let seed = 0; seed < seeds; seed++) {
        const failure = firstFailure(saboteur, seed, false)
        if (failure === undefined) continue
        if (failure.checker === checker && says.test(failure.message)) return
        others.push(failure)
      }
      expect(others, 'nothing was found, or something else').toEqual('caught')
    })
  }
})

test('the model beside the table catches them as well, and sooner', () => {
  const soon = PLANTED.filter(({ checker, seeds }) => checker !== 'liveness' && seeds <= 20)
  const missed = soon.filter(({ saboteur, seeds }) => {
    for (let seed = 0; seed < seeds; seed++) {
      if (firstFailure(saboteur, seed, true) !== undefined) return false
    }
    return true
  })
  expect(missed.map(({ bug }) => bug)).toEqual([])
})

test('the model notices what no checker looks at', () => {
  const stale = (): TableSaboteur => ({ counters: (real) => ({ ...real, staleAnswers: 0 }) })
  const failures = seedsUpTo(20).map((seed) => firstFailure(stale, seed, true))
  expect(failures.filter((each) => each?.checker === 'udp model').length).toBeGreaterThan(0)
  expect(seedsUpTo(20).map((seed) => firstFailure(stale, seed, false))).toEqual(
    failures.map(() => undefined),
  )
})

const seedsUpTo = (count: number): number[] => Array.from({ length: count }, (_, seed) => seed)
