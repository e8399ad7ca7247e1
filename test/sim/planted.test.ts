import { describe } from 'vitest'
import type { NodeCommand } from '../../core/node/commands.ts'
import {
  type ListenerId,
  parseReplicaId,
  type ReplicaId,
  serviceKey,
} from '../../core/services/identity.ts'
import { type Planted, testPlanted } from './catching.ts'
import { plant, plantInListeners, withServices } from './planted.ts'

const PLANTED: readonly Planted[] = [
  {
    bug: 'a reply is given twice',
    breed: plant(() => ({
      order: (commands) =>
        commands.flatMap((each): NodeCommand[] => (each.type === 'reply' ? [each, each] : [each])),
    })),
    checker: 'universal',
    says: /^reply to \d+, which was answered before$/,
    seeds: 3,
  },
  {
    bug: 'a request is forgotten',
    breed: plant(() => ({
      tell: (event) => (event.type === 'scale' ? [] : [event]),
    })),
    checker: 'liveness',
    says: /an answer to scale/,
    seeds: 20,
  },
  {
    bug: 'a replica that is gone is signalled',
    breed: plant(() => ({
      order: (commands, event) =>
        event.type === 'replica-removed'
          ? [...commands, { type: 'signal-replica', replica: event.replica, signal: 'SIGTERM' }]
          : commands,
    })),
    checker: 'universal',
    says: /^signal-replica names .*, which is gone$/,
    seeds: 10,
  },
  {
    bug: 'the deadline does not move on',
    breed: plant(() => ({ deadline: (real, now) => (real === undefined ? real : now) })),
    checker: 'universal',
    says: /a busy loop$/,
    seeds: 5,
  },
  {
    bug: 'a snapshot leaves a timer out',
    breed: plant(() => ({
      snapshot: (real) => {
        const { timers, ...rest } = real as { timers: readonly unknown[] }
        return { ...rest, timers: timers.slice(1) }
      },
    })),
    checker: 'universal',
    says: /./,
    seeds: 40,
  },
  {
    bug: 'a replica is removed only on paper',
    breed: plant(() => ({
      order: (commands, _event, tell) =>
        commands.flatMap((each) => {
          if (each.type !== 'remove-replica' || each.attempt === 0) return each
          return tell({ type: 'replica-removed', replica: each.replica, attempt: each.attempt })
        }),
    })),
    checker: 'services',
    says: /beside|while .* lives|too many/,
    seeds: 20,
  },
  {
    bug: 'a replica is stopped before its connections are done',
    breed: plant(() => {
      const sent = new Map<ListenerId, ReadonlySet<ReplicaId>>()
      return {
        order: (commands, _event, tell) =>
          commands.flatMap((each) => {
            if (each.type !== 'apply-backends') return each
            const { listener, version } = each
            const kept = new Set(each.backends.map(({ id }) => id))
            const left = [...(sent.get(listener) ?? [])].filter((id) => !kept.has(id))
            sent.set(listener, kept)
            return [
              each,
              ...left.flatMap((backend) =>
                tell({ type: 'backend-drained', listener, backend, version }),
              ),
            ]
          }),
      }
    }),
    checker: 'services',
    says: /before .* was done with it|under \d+ connections/,
    seeds: 60,
  },
  {
    bug: 'a replica takes traffic before its first check',
    breed: plant(() => ({
      order: (commands, event, tell) =>
        event.type !== 'address-resolved'
          ? commands
          : commands.flatMap((each) => {
              if (each.type !== 'probe') return each
              const { replica, check, attempt } = each
              return [
                each,
                ...tell({ type: 'probe-result', replica, check, attempt, ok: true, reason: '' }),
              ]
            }),
    })),
    checker: 'services',
    says: /gets traffic though it has passed no check/,
    seeds: 20,
  },
  {
    bug: 'dependencies are not waited for',
    breed: plant(() => ({
      tell: (event) => {
        if (event.type !== 'deploy') return [event]
        const deployment = withServices(event.deployment, (spec) => ({ ...spec, depends: [] }))
        return [{ ...event, deployment }]
      },
    })),
    checker: 'services',
    says: /starts though .* has not been/,
    seeds: 40,
  },
  {
    bug: 'a roll-out spares no replica',
    breed: plant(() => ({
      tell: (event) => {
        if (event.type !== 'deploy') return [event]
        const deployment = withServices(event.deployment, (spec) => ({
          ...spec,
          update: { ...spec.update, unavailableMax: 9 },
        }))
        return [{ ...event, deployment }]
      },
    })),
    checker: 'services',
    says: /cannot be spared/,
    seeds: 60,
  },
  {
    bug: 'one replica too many is started',
    breed: plant(() => ({
      tell: (event) => {
        if (event.type !== 'deploy') return [event]
        const deployment = withServices(event.deployment, (spec) => ({
          ...spec,
          scale: { mode: 'fixed', replicas: 9 },
        }))
        return [{ ...event, deployment }]
      },
    })),
    checker: 'services',
    says: /is one too many/,
    seeds: 3,
  },
  {
    bug: 'there is no pause between crashes',
    breed: plant(() => ({
      order: (commands, event, tell) => {
        if (event.type !== 'replica-exited') return commands
        const { deployment, service, number } = parseReplicaId(event.replica)
        const key = serviceKey(deployment, service)
        // A restart forgives what happened before; its own answer is nobody's business.
        const restart = { type: 'restart', request: -1, service: key, replica: number } as const
        return [...commands, ...tell(restart)].filter(
          (each) => each.type !== 'reply' || each.request !== -1,
        )
      },
    })),
    checker: 'services',
    says: /ms after crash/,
    seeds: 60,
  },
  {
    bug: 'a port is given again at once',
    breed: plant(() => ({
      order: (commands) =>
        commands.map((each): NodeCommand => {
          if (each.type !== 'create-replica') return each
          const names = Object.keys(each.program.ports)
          const ports = Object.fromEntries(names.map((name, index) => [name, 20_000 + index]))
          return { ...each, program: { ...each.program, ports } }
        }),
    })),
    checker: 'ports',
    says: /gets port/,
    seeds: 20,
  },
  {
    bug: 'a deployment is ready as soon as it is accepted',
    breed: plant(() => ({
      order: (commands, event) => {
        const accepted = commands.some((each) => each.type === 'reply' && each.result.ok)
        if (event.type !== 'deploy' || !accepted) return commands
        const { name } = event.deployment
        return [
          ...commands,
          { type: 'settled', deployment: name, outcome: 'ready', problems: [] } as const,
        ]
      },
    })),
    checker: 'settled',
    says: /is ready, but/,
    seeds: 3,
  },
  {
    bug: 'a listener keeps sending clients to a backend that left',
    breed: plantInListeners(() => {
      let first: { backend: string; host: string; port: number } | undefined
      return (commands) =>
        commands.map((each) => {
          if (each.type !== 'connect-upstream') return each
          first ??= { backend: each.backend, host: each.host, port: each.port }
          return { ...each, ...first }
        })
    }),
    checker: 'listeners',
    says: /not in force$|is said to be drained/,
    seeds: 60,
  },
  {
    bug: 'a listener drops a connection for no reason',
    breed: plantInListeners(() => {
      let joined = 0
      return (commands) =>
        commands.map((each) => {
          if (each.type !== 'join') return each
          joined += 1
          const { connection } = each
          return joined % 3 > 0 ? each : { type: 'close', connection, reason: 'idle', reset: true }
        })
    }),
    checker: 'listeners',
    says: /lost its connection|without need|closed connection/,
    seeds: 60,
  },
  {
    bug: 'a listener mixes up bytes',
    breed: plantInListeners(
      () => (commands) =>
        commands.map((each) =>
          each.type === 'write' ? { ...each, bytes: each.bytes.toReversed() } : each,
        ),
    ),
    checker: 'listeners',
    says: /got bytes that were not sent to it/,
    seeds: 30,
  },
  {
    bug: 'the machine sleeps for ever after a while',
    breed: plant(() => {
      let asked = 0
      return {
        deadline: (real) => {
          asked += 1
          return asked > 100 ? undefined : real
        },
      }
    }),
    checker: 'liveness',
    says: /waits for/,
    seeds: 10,
  },
  {
    bug: 'an exception',
    breed: plant(() => ({
      tell: (event) => {
        if (event.type === 'replica-exited') throw new TypeError('planted')
        return [event]
      },
    })),
    checker: 'none',
    says: /^planted$/,
    seeds: 10,
  },
]

describe('a planted bug is caught', () => testPlanted(PLANTED))
