import { expect, test } from 'vitest'
import type { Backend, GroupOptions } from '../../../core/balance/group.ts'
import { parseSocketAddress } from '../../../core/net/address.ts'
import { type PackedAddress, packAddress } from '../../../core/net/packed-address.ts'
import type { StreamListenerCommand } from '../../../core/stream/commands.ts'
import type { Peers } from '../../../core/stream/entrance/events.ts'
import type {
  ConnectionId,
  Side,
  StreamListenerEvent,
  WhenEmpty,
} from '../../../core/stream/events.ts'
import { checkInvariants } from '../../../core/stream/invariants.ts'
import { StreamListener } from '../../../core/stream/listener.ts'
import type { StreamConfig } from '../../../core/stream/state.ts'

/** An event, and when: by itself it happens at 0. */
export type Step =
  | StreamListenerEvent
  | { readonly at: number; readonly event: StreamListenerEvent }

export interface Row {
  readonly name: string
  readonly given?: readonly Step[]
  readonly when: Step
  readonly then: readonly StreamListenerCommand[]
}

export const CONFIG: StreamConfig = {
  connectTimeoutMs: 2000,
  connectAttemptsMax: 3,
  idleTimeoutMs: 60_000,
  connectionsMax: 100,
  connectionsPerBackendMax: 0,
  proxyProtocol: false,
  upstreamTls: false,
  access: [],
  heldMax: 3,
  holdTimeoutMs: 5_000,
  idleAfterMs: 0,
}

export function run(
  listener: StreamListener,
  step: Step,
  out: StreamListenerCommand[] = [],
): StreamListenerCommand[] {
  const { at, event } = 'event' in step ? step : { at: 0, event: step }
  listener.step(event, at, out)
  checkInvariants(listener)
  return out
}

export function listenerAfter(
  given: readonly Step[],
  config = CONFIG,
  balance?: GroupOptions,
): StreamListener {
  const listener = new StreamListener(config, balance)
  for (const step of given) run(listener, step)
  return listener
}

/** One test a row: the whole command list, nothing more and nothing less. */
export function testRows(rows: readonly Row[], config = CONFIG): void {
  for (const { name, given = [], when, then } of rows) {
    test(name, () => expect(run(listenerAfter(given, config), when)).toEqual(then))
  }
}

export const at = (instant: number, event: StreamListenerEvent): Step => ({ at: instant, event })

export const C1 = 1 as ConnectionId
export const C2 = 2 as ConnectionId
export const C3 = 3 as ConnectionId

const PORTS: Readonly<Record<string, number>> = { A: 20_001, B: 20_002, C: 20_003, D: 20_004 }
export const backend = (id: string): Backend => ({ id, host: '127.0.0.1', port: PORTS[id] ?? 1 })

export const backends = (
  version: number,
  ids: string,
  whenEmpty: WhenEmpty = 'refuse',
): StreamListenerEvent => ({
  type: 'apply-backends',
  version,
  backends: [...ids].map(backend),
  whenEmpty,
})
export const TICK: StreamListenerEvent = { type: 'tick' }
export const accepted = (connection: ConnectionId, peers?: Peers): StreamListenerEvent =>
  peers === undefined ? { type: 'accepted', connection } : { type: 'accepted', connection, peers }
export const connected = (connection: ConnectionId, attempt: number): StreamListenerEvent => ({
  type: 'upstream-connected',
  connection,
  attempt,
})
export const refused = (
  connection: ConnectionId,
  attempt: number,
  blame: 'backend' | 'host' = 'backend',
): StreamListenerEvent => ({
  type: 'upstream-failed',
  connection,
  attempt,
  blame,
  reason: 'connection refused',
})
export const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text))
export const data = (connection: ConnectionId, from: Side, text: string): StreamListenerEvent => ({
  type: 'data',
  connection,
  from,
  bytes: bytes(text),
})
export const ended = (connection: ConnectionId, from: Side): StreamListenerEvent => ({
  type: 'ended',
  connection,
  from,
})
type SideEvent = 'errored' | 'blocked' | 'writable' | 'finished'
export const side = (
  type: SideEvent,
  connection: ConnectionId,
  which: Side,
): StreamListenerEvent => ({ type, connection, side: which })

/** `192.0.2.7:50000` or `[2001:db8::7]:50000`. */
export const address = (text: string): PackedAddress => packAddress(parseSocketAddress(text)!)!
export const peersOf = (source: string, destination = '10.0.0.1:443'): Peers => ({
  source: address(source),
  destination: address(destination),
})

/** A connection to A that carries data. */
export const JOINED: readonly Step[] = [backends(1, 'AB'), accepted(C1), connected(C1, 1)]

export const connectCommand = (
  connection: ConnectionId,
  attempt: number,
  id: string,
): Extract<StreamListenerCommand, { type: 'connect-upstream' }> => ({
  type: 'connect-upstream',
  connection,
  attempt,
  backend: id,
  host: '127.0.0.1',
  port: PORTS[id] ?? 1,
  tls: false,
})
type CloseCommand = Extract<StreamListenerCommand, { type: 'close' }>
export const closeCommand = (
  connection: ConnectionId,
  reason: CloseCommand['reason'],
  how: 'reset' | 'end' = 'reset',
): StreamListenerCommand => ({ type: 'close', connection, reason, reset: how === 'reset' })
