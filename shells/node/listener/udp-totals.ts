/**
 * What went through UDP endpoints since the node started. An endpoint may have several listeners,
 * one after the other and for a moment side by side: what they counted is added up, so that a
 * counter of an endpoint never goes back.
 */
import { type ListenerId, parseListenerId } from '../../../core/services/identity.ts'
import { sumOf } from '../udp/sum-counters.ts'
import type { UdpShellCounters } from '../udp/udp-host.ts'

export interface EndpointCounters {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  readonly counters: UdpShellCounters
}

type Read = Promise<UdpShellCounters | undefined>

export class UdpTotals {
  /** By endpoint: listeners that are over, those used last at the end. */
  readonly #past = new Map<string, UdpShellCounters>()
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
        if (counters !== undefined) this.#keep(endpointOf(listener), counters)
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
    const sums = new Map(this.#past)
    for (const { listener, counters } of found) {
      if (counters === undefined || ended.has(listener)) continue
      const endpoint = endpointOf(listener)
      sums.set(endpoint, sumOf(sums.get(endpoint), counters))
    }
    return [...sums].map(([key, counters]) => {
      const [deployment = '', service = '', endpoint = ''] = key.split('/')
      return { deployment, service, endpoint, counters }
    })
  }

  #keep(endpoint: string, counters: UdpShellCounters): void {
    // Nothing is live in it any more; its flows are all closed.
    const over = { ...counters, flowsLive: 0, flowsMax: 0 }
    const sum = sumOf(this.#past.get(endpoint), over)
    this.#past.delete(endpoint)
    this.#past.set(endpoint, sum)
    if (this.#past.size <= ENDPOINTS_MAX) return
    for (const [oldest] of this.#past) return void this.#past.delete(oldest)
  }
}

const endpointOf = (listener: ListenerId): string => {
  const { deployment, service, endpoint } = parseListenerId(listener)
  return `${deployment}/${service}/${endpoint}`
}

/** Endpoints that are gone and still told of. */
const ENDPOINTS_MAX = 1_000
