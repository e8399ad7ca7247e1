/**
 * What exchanges were like, by endpoint, since the node started. Counting one makes nothing: a cell is
 * found and its numbers are raised. Endpoints keep theirs when their listeners are replaced.
 */
import type { ExchangeOutcome, ExchangeRecord } from '../../../core/http/commands.ts'
import { type ListenerId, parseListenerId } from '../../../core/services/identity.ts'
import type { Named } from './labels.ts'

/** Of one endpoint. */
export interface EndpointTotals extends Named {
  /** By route, `HOST/PATH`. */
  readonly routes: ReadonlyMap<string, RequestCounts>
  /** In the order of {@link OUTCOMES}. */
  readonly outcomes: Float64Array
  /** Not of tunnels. */
  readonly durations: Buckets
  /** Until the head of the answer was there; of those that had one. */
  readonly firstBytes: Buckets
  bytesIn: number
  bytesOut: number
  /** Exchanges that waited for a backend. */
  held: number
  /** Backends tried beyond the first. */
  retries: number
  tunnels: number
}

/** How many, for each of {@link PROTOCOLS} each of {@link STATUSES}. */
export type RequestCounts = Float64Array

/** Counts by upper bound, those beyond the last one at the end; and their sum in milliseconds. */
export interface Buckets {
  readonly counts: Float64Array
  sumMs: number
}

export const PROTOCOLS = ['1.0', '1.1', '2', 'unknown'] as const
/** `none`: no answer was sent. */
export const STATUSES = ['none', '1xx', '2xx', '3xx', '4xx', '5xx'] as const

export const OUTCOMES: readonly ExchangeOutcome[] = Object.keys({
  done: 0,
  redirected: 0,
  challenge: 0,
  'bad-request': 0,
  'no-route': 0,
  forbidden: 0,
  'no-backend': 0,
  'backends-full': 0,
  'held-max': 0,
  'hold-timeout': 0,
  'connect-failed': 0,
  'host-limit': 0,
  'bad-response': 0,
  'upstream-closed': 0,
  'request-timeout': 0,
  'connect-timeout': 0,
  'response-timeout': 0,
  'total-timeout': 0,
  'client-gone': 0,
  idle: 0,
  cut: 0,
  aborted: 0,
} satisfies Record<ExchangeOutcome, 0>) as ExchangeOutcome[]

/** In milliseconds. */
export const durationBoundsMs: readonly number[] = [
  1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000,
]

export class HttpTotals {
  /** Those of exchanges that no endpoint is known of, too. */
  readonly #endpoints = new Map<string, EndpointCell>()
  readonly #byListener = new Map<string, EndpointCell>()
  readonly #cellsMax: number
  #cells = 0
  /** Exchanges often come from one listener, one after the other. */
  #listener: string | undefined
  #endpoint: EndpointCell
  /** Exchanges of endpoints or routes that there was no room for; counted under {@link OTHER}. */
  leftOut = 0

  /** `cellsMax`: routes of endpoints. */
  constructor(cellsMax: number = CELLS_MAX) {
    this.#cellsMax = cellsMax
    this.#endpoint = this.#find(OF_NONE)
    this.#endpoint.turnTo('', noCounts())
  }

  readonly add = (exchange: ExchangeRecord): void => {
    const listener = exchange.listener ?? OF_NONE
    if (listener !== this.#listener) {
      this.#endpoint = this.#byListener.get(listener) ?? this.#find(listener)
      this.#listener = listener
    }
    const endpoint = this.#endpoint
    const isKnown = exchange.route === endpoint.route
    const requests = isKnown ? endpoint.requests : this.#turn(endpoint, exchange.route)
    endpoint.count(exchange, requests)
  }

  /**
   * Every endpoint there ever was, as far as there is room: those that are gone (`isThere` says which
   * are not, by key `deployment/service/endpoint`) make room for others first.
   */
  read(isThere: (key: string) => boolean): readonly EndpointTotals[] {
    if (this.#cells >= this.#cellsMax) this.#makeRoom(isThere)
    return [...this.#endpoints.values()]
  }

  #find(listener: string): EndpointCell {
    const { deployment, service, endpoint } = parseListenerId(listener as ListenerId)
    const key = `${deployment}/${service}/${endpoint}`
    const isFull = this.#cells >= this.#cellsMax
    const cell =
      this.#endpoints.get(key) ??
      (isFull ? this.#other() : this.#make(key, { deployment, service, endpoint }))
    if (this.#byListener.size >= LISTENERS_MAX) this.#byListener.clear()
    this.#byListener.set(listener, cell)
    return cell
  }

  #make(key: string, name: Named): EndpointCell {
    const cell = new EndpointCell(name)
    this.#endpoints.set(key, cell)
    return cell
  }

  #other(): EndpointCell {
    const name = { deployment: OTHER, service: OTHER, endpoint: OTHER }
    return this.#endpoints.get(OTHER) ?? this.#make(OTHER, name)
  }

  /** Another route than the last one, or one without room. */
  #turn(endpoint: EndpointCell, route: string): RequestCounts {
    const known = endpoint.routes.get(route)
    if (known !== undefined) return endpoint.turnTo(route, known)
    if (endpoint.deployment !== OTHER && this.#cells < this.#cellsMax) {
      this.#cells += 1
      return endpoint.turnTo(route, noCounts())
    }
    this.leftOut += 1
    return endpoint.others()
  }

  #makeRoom(isThere: (key: string) => boolean): void {
    for (const [key, { routes }] of this.#endpoints) {
      if (key === NO_ENDPOINT || key === OTHER || isThere(key)) continue
      this.#endpoints.delete(key)
      this.#cells -= routes.size
      if (this.#cells < this.#cellsMax / 2) break
    }
    this.#byListener.clear()
    this.#listener = undefined
  }
}

class EndpointCell implements EndpointTotals {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  readonly routes = new Map<string, RequestCounts>()
  /** The one used last, and its counts. */
  route: string | undefined = undefined
  requests: RequestCounts = noCounts()
  readonly outcomes = new Float64Array(OUTCOMES.length)
  readonly durations = noBuckets()
  readonly firstBytes = noBuckets()
  bytesIn = 0
  bytesOut = 0
  held = 0
  retries = 0
  tunnels = 0

  constructor({ deployment, service, endpoint }: Named) {
    this.deployment = deployment
    this.service = service
    this.endpoint = endpoint
  }

  turnTo(route: string, requests: RequestCounts): RequestCounts {
    this.routes.set(route, requests)
    this.route = route
    this.requests = requests
    return requests
  }

  /** Of routes that there was no room for. */
  others(): RequestCounts {
    const known = this.routes.get(OTHER)
    if (known !== undefined) return known
    const requests = noCounts()
    this.routes.set(OTHER, requests)
    return requests
  }

  count(exchange: ExchangeRecord, requests: RequestCounts): void {
    const { status, outcome, timings, protocol, bytesIn, bytesOut, retries } = exchange
    const row =
      protocol === '1.1' ? 1 : protocol === '2' ? 2 : protocol === '1.0' ? 0 : PROTOCOLS.length - 1
    const column = status >= 100 && status < 600 ? Math.floor(status / 100) : 0
    const place = row * STATUSES.length + column
    requests[place] = requests[place]! + 1
    const reason = outcome === 'done' ? 0 : OUTCOMES.indexOf(outcome)
    this.outcomes[reason] = this.outcomes[reason]! + 1
    this.bytesIn += bytesIn
    this.bytesOut += bytesOut
    this.retries += retries
    const { headMs, chosenMs, firstByteMs, totalMs } = timings
    if (headMs !== undefined && chosenMs !== undefined && chosenMs > headMs) this.held += 1
    if (isTunnel(exchange)) this.tunnels += 1
    else observe(this.durations, totalMs)
    if (firstByteMs !== undefined) observe(this.firstBytes, firstByteMs)
  }
}

/** 101, or what a CONNECT is answered (RFC 9110, 9.3.6; RFC 8441). */
const isTunnel = ({ status, method }: ExchangeRecord): boolean =>
  status === 101 || (status === 200 && method === 'CONNECT')

function observe(buckets: Buckets, ms: number): void {
  let index = 0
  while (index < BOUNDS && ms > durationBoundsMs[index]!) index += 1
  buckets.counts[index] = buckets.counts[index]! + 1
  buckets.sumMs += ms
}

const noBuckets = (): Buckets => ({ counts: new Float64Array(BOUNDS + 1), sumMs: 0 })

const BOUNDS = durationBoundsMs.length

const noCounts = (): RequestCounts => new Float64Array(PROTOCOLS.length * STATUSES.length)

/** No name of the file has parentheses. */
export const OTHER = '(other)'
/** In the place of a listener, where there is none; and the key of its endpoint. */
const OF_NONE = ''
const NO_ENDPOINT = '//'
const CELLS_MAX = 5_000
const LISTENERS_MAX = 20_000
