/** What went through TCP endpoints since the node started. */

import type { ListenerId } from '../../../../core/services/identity.ts'
import {
  type EntranceCounters,
  zeroEntranceCounters,
} from '../../../../core/stream/entrance/state.ts'
import { type StreamCounters, zeroCounters } from '../../../../core/stream/state.ts'
import { type EndpointName, EndpointSums } from '../endpoint-sums.ts'

export interface StreamEndpointCounters extends EndpointName {
  readonly counters: StreamShellCounters
}

export interface StreamShellCounters {
  /** Of connections that were let in. */
  readonly machine: StreamCounters
  /** Of sockets that lead to this endpoint, before any other when they lead to several. */
  readonly entrance: EntranceCounters
  /** Let in, and there now. */
  readonly connectionsLive: number
  /** On their way in now. */
  readonly greetingsLive: number
}

export class StreamTotals {
  readonly #past = new EndpointSums<StreamShellCounters>()

  /** Keeps what a listener counted; it is over. */
  retireListener(listener: ListenerId, machine: StreamCounters): void {
    this.#past.add(listener, ofListener(machine, 0))
  }

  /** Keeps what was counted on the way to a listener, by a socket that is over or leads elsewhere. */
  retireEntrance(listener: ListenerId, entrance: EntranceCounters): void {
    this.#past.add(listener, ofEntrance(entrance, 0))
  }

  /** Counts a client that was let in to a listener when it was gone already. */
  countLost(listener: ListenerId): void {
    const machine = zeroCounters()
    machine.refused['not-accepting'] = 1
    this.retireListener(listener, machine)
  }

  /** With what is live now, by endpoint. */
  read(live: readonly LiveCounters[]): readonly StreamEndpointCounters[] {
    return this.#past.with(live)
  }
}

export interface LiveCounters {
  readonly listener: ListenerId
  readonly counters: StreamShellCounters
}

export const ofListener = (
  machine: StreamCounters,
  connectionsLive: number,
): StreamShellCounters => ({
  machine,
  entrance: zeroEntranceCounters(),
  connectionsLive,
  greetingsLive: 0,
})

export const ofEntrance = (
  entrance: EntranceCounters,
  greetingsLive: number,
): StreamShellCounters => ({
  machine: zeroCounters(),
  entrance,
  connectionsLive: 0,
  greetingsLive,
})
