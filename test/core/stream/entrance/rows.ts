import { expect, test } from 'vitest'
import { parseCidr } from '../../../../core/net/cidr.ts'
import { type PackedPrefix, packPrefix } from '../../../../core/net/packed-address.ts'
import { proxyHeader } from '../../../../core/net/proxy-v2.ts'
import type { EntranceCommand, EntranceRefusal } from '../../../../core/stream/entrance/commands.ts'
import {
  defaultEntranceConfig,
  type EntranceConfig,
  type EntranceRoute,
} from '../../../../core/stream/entrance/config.ts'
import { StreamEntrance } from '../../../../core/stream/entrance/entrance.ts'
import type { EntranceEvent, Peers } from '../../../../core/stream/entrance/events.ts'
import { checkInvariants } from '../../../../core/stream/entrance/invariants.ts'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import { C1, peersOf } from '../rows.ts'
import { bytesOf, helloFor } from './hellos.ts'

/** An event, and when: by itself it happens at 0. */
export type Step = EntranceEvent | { readonly at: number; readonly event: EntranceEvent }

export interface Row {
  readonly name: string
  readonly config: EntranceConfig
  readonly given?: readonly Step[]
  readonly when: Step
  readonly then: readonly EntranceCommand[]
}

export function run(entrance: StreamEntrance, step: Step): EntranceCommand[] {
  const out: EntranceCommand[] = []
  const { at, event } = 'event' in step ? step : { at: 0, event: step }
  entrance.step(event, at, out)
  checkInvariants(entrance)
  return out
}

export function entranceAfter(config: EntranceConfig, given: readonly Step[] = []): StreamEntrance {
  const entrance = new StreamEntrance(config)
  for (const step of given) run(entrance, step)
  return entrance
}

/** One test a row: the whole command list, nothing more and nothing less. */
export function testRows(rows: readonly Row[]): void {
  for (const { name, config, given, when, then } of rows) {
    test(name, () => expect(run(entranceAfter(config, given), when)).toEqual(then))
  }
}

export const at = (instant: number, event: EntranceEvent): Step => ({ at: instant, event })
export const TICK: EntranceEvent = { type: 'tick' }

export const accepted = (peers?: Peers, connection: ConnectionId = C1): EntranceEvent =>
  peers === undefined ? { type: 'accepted', connection } : { type: 'accepted', connection, peers }
export const data = (bytes: Uint8Array, connection: ConnectionId = C1): EntranceEvent => ({
  type: 'data',
  connection,
  bytes,
})
export const ended: EntranceEvent = { type: 'ended', connection: C1 }
export const errored: EntranceEvent = { type: 'errored', connection: C1 }
export const secured: EntranceEvent = { type: 'secured', connection: C1 }
export const secureFailed: EntranceEvent = {
  type: 'secure-failed',
  connection: C1,
  reason: 'no shared cipher',
}

export const READ: EntranceCommand = { type: 'read', connection: C1 }
export const HOLD: EntranceCommand = { type: 'hold', connection: C1 }
const EMPTY = new Uint8Array()
export function admit(route: string, bytes: Uint8Array = EMPTY, peers?: Peers): EntranceCommand {
  const command = { type: 'admit', connection: C1, route, bytes } as const
  return peers === undefined ? command : { ...command, peers }
}
export function secure(bytes: Uint8Array = EMPTY, serverName?: string): EntranceCommand {
  const command = { type: 'secure', connection: C1, bytes } as const
  return serverName === undefined ? command : { ...command, serverName }
}
export const refuse = (
  reason: EntranceRefusal,
  how: 'reset' | 'end' = 'reset',
  bytes: Uint8Array = EMPTY,
): EntranceCommand => ({ type: 'refuse', connection: C1, reason, reset: how === 'reset', bytes })

export const prefix = (text: string): PackedPrefix => packPrefix(parseCidr(text)!)

export const configOf = (
  routes: readonly EntranceRoute[],
  more: Partial<EntranceConfig> = {},
): EntranceConfig => ({ ...defaultEntranceConfig, routes, ...more })

export const PLAIN = configOf([{ id: 'plain', tls: 'off' }])
export const LONE_TLS = configOf([{ id: 'tls', tls: 'terminate' }])
export const NAMES = configOf([
  { id: 'a', serverName: 'a.example', tls: 'terminate' },
  { id: 'pass', serverName: 'Pass.Example.', tls: 'passthrough' },
  { id: 'star', serverName: '*.example', tls: 'passthrough' },
  { id: 'sub', serverName: '*.sub.example', tls: 'passthrough' },
  { id: 'off', serverName: 'off.other', tls: 'off' },
])
export const NAMES_AND_REST = configOf([{ id: 'rest', tls: 'passthrough' }, ...NAMES.routes])
export const behindProxy = (config: EntranceConfig): EntranceConfig => ({
  ...config,
  trustedProxies: [prefix('10.9.0.0/16'), prefix('fd00::/8')],
})
export const PROXY = peersOf('10.9.0.7:40000')
export const STRANGER = peersOf('10.10.0.7:40000')
export const CLIENT = peersOf('192.0.2.7:50000', '203.0.113.1:443')

/** What the proxy says of that client, in both versions. */
export const LINE = bytesOf('PROXY TCP4 192.0.2.7 203.0.113.1 50000 443\r\n')
export const HEADER = proxyHeader(CLIENT.source, CLIENT.destination, 'stream')
export const HELLO = helloFor('a.example')
export const QUERY = bytesOf('query')
