/**
 * What runs UDP listeners: the plain way (`dgram`), or in batches of system calls in a thread of
 * its own. Both run the same machine; answers that would cross a thread are promises.
 */
import type { ListenerFact } from '../../../core/balance/facts.ts'
import type { Backend, BackendId } from '../../../core/balance/group.ts'
import type { BalanceSpec } from '../../../core/spec/deployment.ts'
import type { UdpConfig } from '../../../core/udp/config.ts'
import type { UdpCounters } from '../../../core/udp/counters.ts'
import type { FlowView } from '../../../core/udp/view.ts'

export interface UdpHost {
  readonly kind: 'batch' | 'dgram'
  open(options: UdpListenerOptions): UdpListener
  /** Closes whatever is left. Resolves when every descriptor is closed. */
  stop(): Promise<void>
}

export interface UdpListenerOptions {
  readonly config: UdpConfig
  readonly balance: Pick<BalanceSpec, 'strategy' | 'failOpen'>
  /** May be called from within any method. After `emptied` the listener is over. */
  readonly fact: (fact: ListenerFact) => void
  /** Something was lost because this machine lacks something; the listener goes on. */
  readonly hostFailed: (reason: string) => void
}

export interface UdpListener {
  /**
   * Binds the listening sockets; a wildcard address is every local address. Resolves to the bound
   * address, `0.0.0.0:53`; rejects with the system's error, whose `code` is `EADDRINUSE` and so on.
   * After a rejection it may be called again.
   */
  listen(host: string, port: number): Promise<string>
  /** Set before `listen`, and between: kept until then. */
  applyBackends(version: number, backends: readonly Backend[]): void
  cutBackend(backend: BackendId): void
  configure(config: UdpConfig): void
  /** Admits nobody new, waits a little for answers, then lets go of the port and says so. */
  close(): Promise<void>
  /** Ends everything at once; `emptied` follows. */
  abort(): void
  /** For a listener that never listened: forgets it without a word. */
  dispose(): void
  /** At most `limit`, those with the lowest slots. */
  flows(limit: number): Promise<FlowList>
  counters(): Promise<UdpShellCounters>
}

export interface FlowList {
  readonly flows: readonly FlowView[]
  /** All there are. */
  readonly total: number
}

/** The machine's counters, and what only sockets know. A datagram is counted in one place. */
export interface UdpShellCounters {
  readonly machine: UdpCounters
  readonly flowsLive: number
  readonly flowsMax: number
  /** Datagrams the machine forwarded or returned, and the socket did not take. */
  readonly sendErrors: number
  /** Likewise, because as many bytes wait as may. */
  readonly queueFull: number
  /** Of those, the ones that were for backends. */
  readonly lostUp: number
  /** How long closed flows lasted, in ms: how many in all, their sum, and by upper bound. */
  readonly durations: DurationCounts
}

/** Datagrams that were given to sockets, and not sent. */
export interface SendLosses {
  sendErrors: number
  queueFull: number
}

export const lossesOf = (
  up: Readonly<SendLosses>,
  down: Readonly<SendLosses>,
): Pick<UdpShellCounters, 'sendErrors' | 'queueFull' | 'lostUp'> => ({
  sendErrors: up.sendErrors + down.sendErrors,
  queueFull: up.queueFull + down.queueFull,
  lostUp: up.sendErrors + up.queueFull,
})

export interface DurationCounts {
  readonly count: number
  readonly sumMs: number
  /** Flows that lasted at most this long, by `durationBoundsMs`. */
  readonly upTo: readonly number[]
}

export const durationBoundsMs: readonly number[] = [
  10, 100, 1_000, 5_000, 30_000, 60_000, 300_000, 1_800_000,
]
