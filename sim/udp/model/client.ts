/** What the model does with a client's datagram: rows 1 to 16 of the page. */
import type { Member } from '../../../core/balance/group.ts'
import type { AffinityKey } from '../../../core/balance/strategy.ts'
import {
  formatPacked,
  inPrefix,
  type PackedAddress,
  samePacked,
} from '../../../core/net/packed-address.ts'
import { readProxyHeader } from '../../../core/net/proxy-v2.ts'
import { admits } from '../../../core/policy/access.ts'
import type { DropReason } from '../../../core/udp/commands.ts'
import type { FlowEvent } from '../../../core/udp/events.ts'
import { flowIdOf } from '../../../core/udp/flow-id.ts'
import {
  affinityOf,
  choose,
  close,
  drop,
  forward,
  hold,
  isUsable,
  moveTo,
  openUpstream,
  spreads,
} from './flows.ts'
import { type Announced, clientOf, type ModelFlow, type ModelState } from './state.ts'

type ClientDatagram = Extract<FlowEvent, { type: 'client-datagram' }>

/** A datagram with all that is known of who sent it. */
interface Arrival {
  readonly from: PackedAddress
  readonly to: PackedAddress
  /** By a trusted proxy. */
  readonly announced: Announced | undefined
  readonly payload: Uint8Array
  readonly key: string
  readonly source: string
  readonly affinity: AffinityKey | undefined
  /** Chosen before it is known whether the client is new. */
  readonly member: Member | undefined
}

export function onClientDatagram(state: ModelState, event: ClientDatagram): void {
  const arrival = arrivalOf(state, event)
  if (typeof arrival === 'string') return drop(state, arrival)
  const { announced, member } = arrival
  const tracked = state.flows.find(({ key, phase }) => key === arrival.key && phase !== 'answering')
  const isSuperseded =
    tracked !== undefined &&
    announced !== undefined &&
    !samePacked(clientOf(tracked), announced.source)
  if (isSuperseded) close(state, tracked, 'superseded')
  const flow = isSuperseded ? undefined : tracked
  if (isForbidden(state, flow, arrival)) {
    if (member !== undefined) state.group.release(member)
    if (flow !== undefined && state.keyOf === undefined) close(state, flow, 'forbidden')
    return drop(state, 'forbidden')
  }
  if (flow === undefined) return onNewcomer(state, arrival)
  onTracked(state, flow, arrival)
  if (member !== undefined) state.group.release(member) // the flow counts there already
}

/** Rows 1 to 4. */
function arrivalOf(state: ModelState, { from, to, payload: whole }: ClientDatagram) {
  const { config, keyOf, group } = state
  if (whole.length > config.datagramBytesMax) return 'oversize'
  const isTrusted = config.trustedProxies.some((prefix) => inPrefix(prefix, from))
  const header = isTrusted ? readProxyHeader(whole) : 'none'
  if (header === 'malformed') return 'invalid'
  if (header !== 'none' && header.transport === 'stream') return 'invalid'
  const announced = header === 'none' ? undefined : header.announced
  const payload = header === 'none' ? whole : whole.subarray(header.length)
  const client = announced?.source ?? from
  const octets = keyOf?.(client, payload)
  if (keyOf !== undefined && (octets === undefined || octets.length > KEY_BYTES_MAX)) {
    return 'invalid'
  }
  const extracted = octets?.join('.')
  const member = spreads(state, config) ? group.choose() : undefined
  if (spreads(state, config) && member === undefined) return 'no-backend'
  const socket = `${formatPacked(from)} > ${formatPacked(to)}`
  const spread = member === undefined ? '' : ` > ${member.index}`
  const arrival: Arrival = {
    from,
    to,
    announced,
    payload,
    key: extracted === undefined ? socket + spread : `key ${extracted}`,
    source: formatPacked({ ...client, port: 0 }),
    affinity: affinityOf(state, client, extracted),
    member,
  }
  return arrival
}

/** Row 6: with an extractor, whoever sends; else, whom the flow is for. */
function isForbidden(
  { config, keyOf }: ModelState,
  flow: ModelFlow | undefined,
  { from, announced }: Arrival,
): boolean {
  const sender = announced?.source ?? from
  const isSenders = flow === undefined || keyOf !== undefined
  return !admits(config.access, isSenders ? sender : clientOf(flow))
}

/** Rows 7 to 10. */
function onTracked(state: ModelState, flow: ModelFlow, { from, to, payload }: Arrival): void {
  flow.peer = from
  flow.local = to
  if (flow.phase === 'opening') return hold(state, flow, payload)
  if (isUsable(state, flow)) return forward(state, flow, payload)
  const other = choose(state, flow, [])
  if (other === undefined) return forward(state, flow, payload)
  moveTo(state, flow, other)
  hold(state, flow, payload)
}

/** Rows 11 to 16. */
function onNewcomer(state: ModelState, arrival: Arrival): void {
  const { config, group, flows } = state
  const refused = refusal(state, arrival.source)
  if (refused !== undefined) {
    if (arrival.member !== undefined) group.release(arrival.member)
    return drop(state, refused)
  }
  const evicted = evictable(state)
  const member = arrival.member ?? choose(state, { ...arrival, config }, [])
  if (member === undefined) return drop(state, 'no-backend')
  if (flows.length >= config.flowsMax && evicted !== undefined) close(state, evicted, 'evicted')
  const flow = admit(state, arrival, member)
  openUpstream(state, flow)
  if (state.isIdle) state.out.push({ type: 'busy' })
  state.isIdle = false
  hold(state, flow, arrival.payload)
}

/** Rows 11 to 14. */
function refusal(state: ModelState, client: string): DropReason | undefined {
  const { flowsMax, flowsPerSourceMax } = state.config
  if (state.phase !== 'serving') return 'draining'
  if (state.now - state.hostFailedAt < HOST_FAILURE_MS) return 'host-limit'
  const ofClient = state.flows.filter(({ source, isCounted }) => isCounted && source === client)
  if (flowsPerSourceMax > 0 && ofClient.length >= flowsPerSourceMax) return 'source-limit'
  if (flowsMax === 0) return 'shed'
  if (state.flows.length >= flowsMax && evictable(state) === undefined) return 'shed'
  return undefined
}

/** The half-open flow with the earliest deadline; of several the one the machine took. */
function evictable({ flows, observed }: ModelState): ModelFlow | undefined {
  const halfOpen = flows.filter(({ isAnswered }) => !isAnswered)
  const earliest = Math.min(...halfOpen.map(({ deadline }) => deadline))
  const equals = halfOpen.filter(({ deadline }) => deadline === earliest)
  const taken = observed.find((each) => each.type === 'close-flow' && each.reason === 'evicted')
  return equals.find(({ id }) => taken?.type === 'close-flow' && taken.flow === id) ?? equals[0]
}

function admit(state: ModelState, arrival: Arrival, member: Member): ModelFlow {
  const { config } = state
  const slot = state.freeSlots.pop() ?? state.slotsUsed++
  state.serialLast += 1
  state.counters.created += 1
  const flow: ModelFlow = {
    id: flowIdOf(slot, state.serialLast),
    slot,
    serial: state.serialLast,
    key: arrival.key,
    peer: arrival.from,
    local: arrival.to,
    announced: arrival.announced,
    source: arrival.source,
    isCounted: config.affinity === 'source-ip' || config.flowsPerSourceMax > 0,
    affinity: arrival.affinity,
    config,
    admittedAt: state.now,
    phase: 'opening',
    member,
    attempt: 0,
    failures: 0,
    held: [],
    owed: 0,
    isAnswered: false,
    owesHeader: false,
    deadline: 0,
    datagramsUp: 0,
    bytesUp: 0,
    datagramsDown: 0,
    bytesDown: 0,
  }
  state.flows.push(flow)
  state.quietSince = undefined
  return flow
}

const HOST_FAILURE_MS = 100
const KEY_BYTES_MAX = 18
