/** Flows of UDP listeners for people: read, chosen, sorted. */
import { parseIp, parseSocketAddress } from '../../../core/net/address.ts'
import { parseCidr } from '../../../core/net/cidr.ts'
import {
  formatPacked,
  inPrefix,
  packAddress,
  packPrefix,
  samePacked,
} from '../../../core/net/packed-address.ts'
import {
  parseListenerId,
  parseReplicaId,
  type ReplicaId,
  replicaLabel,
} from '../../../core/services/identity.ts'
import type { FlowView } from '../../../core/udp/view.ts'
import type { ListenerFlows } from '../listener/listeners.ts'

/** One flow, plain. */
export interface FlowRow {
  readonly deployment: string
  readonly service: string
  readonly endpoint: string
  readonly phase: FlowView['phase']
  /** `10.0.0.1:5353`; behind a trusted proxy, whom the proxy announced. */
  readonly client: string
  /** The local address the client contacted. */
  readonly contacted: string
  readonly backend: ReplicaId
  /** A backend answered it. */
  readonly answered: boolean
  /** Since admission. */
  readonly ageMs: number
  /** Until it is closed if nothing comes. */
  readonly expiresInMs: number
  /** From the client. */
  readonly datagramsIn: number
  readonly bytesIn: number
  /** To the client. */
  readonly datagramsOut: number
  readonly bytesOut: number
}

export const FLOW_SORTS = ['age', 'client', 'backend', 'bytes', 'datagrams', 'expiry'] as const
export type FlowSort = (typeof FLOW_SORTS)[number]

export interface FlowsFilter {
  readonly deployment?: string
  readonly service?: string
  readonly endpoint?: string
  /** An address, an address and port, or a network. */
  readonly client?: string
  /** A replica's number, or its label: `dns-1`. */
  readonly backend?: string
}

export interface FlowsAnswer {
  /** The first of those that fit. */
  readonly flows: readonly FlowRow[]
  /** Those that fit, of those looked at. */
  readonly matching: number
  /** Looked at: at most {@link FLOWS_EXAMINED_MAX}. */
  readonly examined: number
  /** All there are. */
  readonly total: number
}

export function flowsAnswer(
  lists: readonly ListenerFlows[],
  filter: FlowsFilter,
  sort: FlowSort,
  limit: number,
): FlowsAnswer {
  const fits = fitting(filter)
  const found: Found[] = []
  let examined = 0
  let total = 0
  for (const list of lists) {
    total += list.total
    examined += list.flows.length
    const name = parseListenerId(list.listener)
    if (!isNamed(name, filter)) continue
    for (const flow of list.flows) if (fits(flow)) found.push({ name, flow })
  }
  found.sort((a, b) => ORDERS[sort](a.flow, b.flow) || byClient(a.flow, b.flow))
  return { flows: found.slice(0, limit).map(rowOf), matching: found.length, examined, total }
}

/** Made into text only when it is among the first. */
interface Found {
  readonly name: Name
  readonly flow: FlowView
}

/** What is wrong with `client`, if anything. */
export function clientProblem(client: string): string | undefined {
  if (readClient(client) !== undefined) return undefined
  return `"client" must be an address, ADDRESS:PORT or a network such as 10.0.0.0/8, not ${JSON.stringify(client)}`
}

type Name = Pick<FlowRow, 'deployment' | 'service' | 'endpoint'>

const isNamed = (name: Name, { deployment, service, endpoint }: FlowsFilter): boolean =>
  (deployment ?? name.deployment) === name.deployment &&
  (service ?? name.service) === name.service &&
  (endpoint ?? name.endpoint) === name.endpoint

function fitting({ client, backend }: FlowsFilter): (flow: FlowView) => boolean {
  const isClient = client === undefined ? undefined : readClient(client)
  return (flow) =>
    (isClient === undefined || isClient(flow)) &&
    (backend === undefined || isBackend(flow.backend as ReplicaId, backend))
}

const isBackend = (id: ReplicaId, asked: string): boolean =>
  String(parseReplicaId(id).number) === asked || replicaLabel(id) === asked || id === asked

function readClient(text: string): ((flow: FlowView) => boolean) | undefined {
  const cidr = parseCidr(text)
  if (cidr !== undefined) {
    const prefix = packPrefix(cidr)
    return ({ client }) => inPrefix(prefix, client)
  }
  const ip = parseIp(text)
  const address = ip === undefined ? parseSocketAddress(text) : { ip, port: 0 }
  const packed = address === undefined ? undefined : packAddress(address)
  if (packed === undefined) return undefined
  return ({ client }) => samePacked(packed, ip === undefined ? client : { ...client, port: 0 })
}

const rowOf = ({ name, flow }: Found): FlowRow => ({
  deployment: name.deployment,
  service: name.service,
  endpoint: name.endpoint,
  phase: flow.phase,
  client: formatPacked(flow.client),
  contacted: formatPacked(flow.contacted),
  backend: flow.backend as ReplicaId, // the machine repeats the ids it was given
  answered: flow.isAnswered,
  ageMs: Math.round(flow.totals.durationMs),
  expiresInMs: Math.round(flow.expiresInMs),
  datagramsIn: flow.totals.datagramsUp,
  bytesIn: flow.totals.bytesUp,
  datagramsOut: flow.totals.datagramsDown,
  bytesOut: flow.totals.bytesDown,
})

type Order = (a: FlowView, b: FlowView) => number

const bytesOf = ({ totals }: FlowView): number => totals.bytesUp + totals.bytesDown
const datagramsOf = ({ totals }: FlowView): number => totals.datagramsUp + totals.datagramsDown

/** By address, octet by octet, then by port. */
const byClient: Order = ({ client: a }, { client: b }) =>
  octets(a.a) - octets(b.a) ||
  octets(a.b) - octets(b.b) ||
  octets(a.c) - octets(b.c) ||
  octets(a.d) - octets(b.d) ||
  a.port - b.port

/** Of a word of a packed address: its first octet is its lowest byte. */
const octets = (word: number): number =>
  (word & 0xff) * 2 ** 24 +
  (((word >>> 8) & 0xff) << 16) +
  (((word >>> 16) & 0xff) << 8) +
  (word >>> 24)

/** Ties go by client, so that a list does not dance while it is watched. */
const ORDERS: Readonly<Record<FlowSort, Order>> = {
  age: (a, b) => b.totals.durationMs - a.totals.durationMs,
  client: byClient,
  backend: (a, b) => compare(a.backend, b.backend),
  bytes: (a, b) => bytesOf(b) - bytesOf(a),
  datagrams: (a, b) => datagramsOf(b) - datagramsOf(a),
  expiry: (a, b) => a.expiresInMs - b.expiresInMs,
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

/** Of all listeners, for one answer: so many are looked at in one go. */
export const FLOWS_EXAMINED_MAX = 100_000
/** In one answer. */
export const FLOWS_LIMIT_MAX = 10_000
export const FLOWS_LIMIT_DEFAULT = 100
