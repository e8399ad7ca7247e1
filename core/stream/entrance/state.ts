import { assert, type Instant } from '../../machine.ts'
import type { DeadlineQueue } from '../../time/deadline-queue.ts'
import type { ConnectionId } from '../events.ts'
import type { ClientHelloReader } from './client-hello.ts'
import type { EntranceRefusal, RouteId } from './commands.ts'
import type { Peers } from './events.ts'
import type { Door } from './routes.ts'

/** One connection on its way in. */
export interface Greeting {
  readonly id: ConnectionId
  /** Of the configuration it was accepted under. */
  readonly door: Door
  peers: Peers | undefined
  stage: Stage
  /** What was read, and room for more behind `length`. */
  bytes: Uint8Array
  length: number
}

export type Stage =
  | { readonly type: 'arrived' } // only within a step
  | { readonly type: 'header' } // its first bytes are to be a PROXY header
  // its next bytes, from `from` on, are to be a ClientHello
  | { readonly type: 'hello'; readonly from: number; readonly reader: ClientHelloReader }
  | { readonly type: 'handshake'; readonly route: RouteId } // the shell makes TLS of it
  | { readonly type: 'over' } // admitted, or refused

export const LEGAL_STAGES: Record<Stage['type'], readonly Stage['type'][]> = {
  arrived: ['header', 'hello', 'handshake', 'over'],
  header: ['hello', 'handshake', 'over'],
  hello: ['handshake', 'over'],
  handshake: ['over'],
  over: [],
}

export interface EntranceState {
  door: Door
  phase: 'open' | 'closed'
  readonly greetings: Map<ConnectionId, Greeting>
  readonly timers: DeadlineQueue<ConnectionId>
  /** When to go on with work too big for one step. */
  goOnAt: Instant | undefined
  readonly counters: EntranceCounters
}

/** Everything since the machine was made. `accepted` = on their way in + `admitted` + all in `refused`. */
export interface EntranceCounters {
  accepted: number
  admitted: number
  readonly refused: Record<EntranceRefusal, number>
  /** PROXY headers of trusted sources, those that announce nobody included. */
  proxyHeaders: number
  /** TLS handshakes that were done here. */
  secured: number
}

export const zeroEntranceCounters = (): EntranceCounters => ({
  accepted: 0,
  admitted: 0,
  refused: {
    'entrance-full': 0,
    'greeting-timeout': 0,
    'proxy-header': 0,
    'not-tls': 0,
    'no-route': 0,
    handshake: 0,
    'client-gone': 0,
    closing: 0,
  },
  proxyHeaders: 0,
  secured: 0,
})

export function enterStage(greeting: Greeting, next: Stage): void {
  const { type } = greeting.stage
  assert(LEGAL_STAGES[type].includes(next.type), `illegal stage: ${type} -> ${next.type}`)
  greeting.stage = next
}

/** The shell reads from the client. */
export const isRead = ({ stage: { type } }: Greeting): boolean =>
  type === 'header' || type === 'hello'
