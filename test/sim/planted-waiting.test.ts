/** Bugs in who may come to a listener, who waits for a backend, and what is told of its use. */
import { describe } from 'vitest'
import { packIpv4 } from '../../core/net/packed-address.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import type { ConnectionId } from '../../core/stream/events.ts'
import { type Planted, testPlanted } from './catching.ts'
import { plantInListeners } from './planted.ts'

type Commands = readonly StreamListenerCommand[]

const asIs = () => (commands: Commands) => [...commands]
const without = (type: StreamListenerCommand['type']) => () => (commands: Commands) =>
  commands.filter((each) => each.type !== type)

const PLANTED: readonly Planted[] = [
  {
    bug: 'a client that waits is read',
    breed: plantInListeners(
      () => (commands) =>
        commands.flatMap((each): StreamListenerCommand[] =>
          each.type === 'hold' ? [each, { ...each, type: 'join' }] : [each],
        ),
    ),
    checker: 'listeners',
    says: /is read, and has no backend$/,
    seeds: 60,
  },
  {
    bug: 'who waited is not connected when there is a backend',
    breed: plantInListeners(() => {
      const held = new Set<ConnectionId>()
      return (commands) =>
        commands.filter((each) => {
          if (each.type === 'hold') held.add(each.connection)
          return each.type !== 'connect-upstream' || !held.has(each.connection)
        })
    }),
    checker: 'listeners',
    says: /lets clients wait for what is there$/,
    seeds: 60,
  },
  {
    bug: 'nobody hears that somebody waits',
    breed: plantInListeners(without('wanted')),
    checker: 'listeners',
    says: /lets clients wait, and nobody knows$/,
    seeds: 60,
  },
  {
    bug: 'each who waits is told of',
    breed: plantInListeners(
      () => (commands) =>
        commands.flatMap((each): StreamListenerCommand[] =>
          each.type === 'hold' ? [each, { type: 'wanted' }] : [each],
        ),
    ),
    checker: 'listeners',
    says: /is wanted, and said so before$/,
    seeds: 60,
  },
  {
    bug: 'nobody waits long',
    breed: plantInListeners(asIs, (config) => ({
      ...config,
      holdTimeoutMs: Math.min(config.holdTimeoutMs, 1),
    })),
    checker: 'listeners',
    says: /was refused \(hold-timeout\), which is not true$/,
    seeds: 60,
  },
  {
    bug: 'any number may wait',
    breed: plantInListeners(asIs, (config) => ({ ...config, heldMax: 1_000 })),
    checker: 'listeners',
    says: /lets \d+ clients wait$/,
    seeds: 100,
  },
  {
    bug: 'nobody may wait',
    breed: plantInListeners(asIs, (config) => ({ ...config, heldMax: 0 })),
    checker: 'listeners',
    says: /was refused \(held-max\), which is not true$/,
    seeds: 60,
  },
  {
    bug: 'a listener is idle while clients come',
    breed: plantInListeners(asIs, (config) => ({
      ...config,
      idleAfterMs: Math.min(config.idleAfterMs, 1),
    })),
    checker: 'listeners',
    says: /is idle before its time$/,
    seeds: 60,
  },
  {
    bug: 'nobody hears that a listener is used again',
    breed: plantInListeners(without('busy')),
    checker: 'listeners',
    says: /is used, and nobody knows$/,
    seeds: 60,
  },
  {
    bug: 'network policies are not looked at',
    breed: plantInListeners(asIs, (config) => ({ ...config, access: [] })),
    checker: 'listeners',
    says: /whom a policy is against$/,
    seeds: 30,
  },
  {
    bug: 'what a policy denies to some it denies to all',
    breed: plantInListeners(asIs, (config) => ({
      ...config,
      access: config.access.map((entry) => ({ ...entry, sources: [EVERYBODY] })),
    })),
    checker: 'listeners',
    says: /was refused \(forbidden\), which is not true$/,
    seeds: 30,
  },
]

const EVERYBODY = { network: packIpv4(0, 0), bits: 96 }

describe('a planted bug is caught', () => testPlanted(PLANTED))
