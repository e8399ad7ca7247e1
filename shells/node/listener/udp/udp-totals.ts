/** What went through UDP endpoints since the node started; what is live has to be asked for. */
import type { ListenerId } from '../../../../core/services/identity.ts'
import type { UdpShellCounters } from '../../udp/udp-host.ts'
import { type EndpointName, EndpointSums } from '../endpoint-sums.ts'

export interface EndpointCounters extends EndpointName {
  readonly counters: UdpShellCounters
}

type Read = Promise<UdpShellCounters | undefined>

export class UdpTotals {
  readonly #past = new EndpointSums<UdpShellCounters>()
  /** Over, and their last word is on its way. */
  readonly #ending = new Map<ListenerId, Read>()
  /** For each reading under way: listeners that ended meanwhile, and are in the past already. */
  readonly #endedDuring = new Set<Set<ListenerId>>()

  /** Keeps what a listener counted; it is over. */
  retire(listener: ListenerId, last: Read): void {
    for (const ended of this.#endedDuring) ended.add(listener)
    const kept = last
      .catch(() => undefined)
      .then((counters) => {
        this.#ending.delete(listener)
        // Nothing is live in it any more; its flows are all closed.
        if (counters !== undefined) {
          this.#past.add(listener, { ...counters, flowsLive: 0, flowsMax: 0 })
        }
        return undefined // counted there from now on
      })
    this.#ending.set(listener, kept)
  }

  /** With what is live now, by endpoint. */
  async read(
    live: readonly { readonly listener: ListenerId; readonly counters: Read }[],
  ): Promise<readonly EndpointCounters[]> {
    const ended = new Set<ListenerId>()
    this.#endedDuring.add(ended)
    const found = await Promise.all(
      live.map(async ({ listener, counters }) => ({
        listener,
        counters: await counters.catch(() => undefined),
      })),
    )
    while (this.#ending.size > 0) await Promise.all(this.#ending.values())
    this.#endedDuring.delete(ended)
    return this.#past.with(
      found.flatMap(({ listener, counters }) =>
        counters === undefined || ended.has(listener) ? [] : [{ listener, counters }],
      ),
    )
  }
}
