/** What is known of endpoints by adding up what belongs to them. */
import { type ListenerId, parseListenerId } from '../../../core/services/identity.ts'
import { sumOf } from '../udp/sum-counters.ts'

export interface EndpointName {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
}

/**
 * What is over. An endpoint has one listener after the other, and for a moment two: what those that
 * are gone counted is kept, so that a counter of an endpoint never goes back.
 */
export class EndpointSums<Counters extends object> {
  /** Those used last at the end. */
  readonly #past = new Map<string, EndpointName & { readonly counters: Counters }>()

  add(listener: ListenerId, counters: Counters): void {
    const key = keyOf(listener)
    const sum = addTo(this.#past.get(key), listener, counters)
    this.#past.delete(key)
    this.#past.set(key, sum)
    if (this.#past.size <= ENDPOINTS_MAX) return
    for (const [oldest] of this.#past) return void this.#past.delete(oldest)
  }

  /** With what is live now, by endpoint. */
  with(
    live: Iterable<{ readonly listener: ListenerId; readonly counters: Counters }>,
  ): readonly (EndpointName & { readonly counters: Counters })[] {
    const sums = new Map(this.#past)
    for (const { listener, counters } of live) {
      const key = keyOf(listener)
      sums.set(key, addTo(sums.get(key), listener, counters))
    }
    return [...sums.values()]
  }
}

function addTo<Counters extends object>(
  past: { readonly counters: Counters } | undefined,
  listener: ListenerId,
  counters: Counters,
): EndpointName & { readonly counters: Counters } {
  const { deployment, service, endpoint } = parseListenerId(listener)
  return { deployment, service, endpoint, counters: sumOf(past?.counters, counters) }
}

/** What was counted since `before`: number by number, through records of one shape. */
export const differenceOf = <Counters extends object>(now: Counters, before: Counters): Counters =>
  Object.fromEntries(
    Object.entries(now).map(([name, each]) => {
      const earlier = (before as Record<string, unknown>)[name]
      const isNumber = typeof each === 'number'
      return [name, isNumber ? each - Number(earlier) : differenceOf(each, earlier as object)]
    }),
  ) as Counters

/** Without its generation. */
const keyOf = (listener: ListenerId): string => listener.slice(0, listener.lastIndexOf('#'))

/** Endpoints that are gone and still told of. */
const ENDPOINTS_MAX = 1_000
