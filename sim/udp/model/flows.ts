/** What can happen to one flow of the model: opening, holding, forwarding, moving, closing. */
import type { BackendId, Member } from '../../../core/balance/group.ts'
import type { AffinityKey } from '../../../core/balance/strategy.ts'
import { formatPacked, type PackedAddress } from '../../../core/net/packed-address.ts'
import { proxyHeader } from '../../../core/net/proxy-v2.ts'
import type { CloseReason, DropReason } from '../../../core/udp/commands.ts'
import type { UdpConfig } from '../../../core/udp/config.ts'
import { clientOf, type ModelFlow, type ModelState, totalsOf, waits } from './state.ts'

export function drop(state: ModelState, reason: DropReason): void {
  state.counters.dropped[reason] += 1
}

// Backends ------------------------------------------------------------------------------------

/** An extractor takes the place of `affinity`. */
export const spreads = (state: ModelState, { affinity }: UdpConfig): boolean =>
  affinity === 'datagram' && state.keyOf === undefined

const staysBySource = (state: ModelState, { affinity }: UdpConfig): boolean =>
  affinity === 'source-ip' && state.keyOf === undefined

/** Not the machine's hash, but equal where that is. */
export function affinityOf(
  state: ModelState,
  client: PackedAddress,
  extracted: string | undefined,
): AffinityKey | undefined {
  if (extracted !== undefined) return labelOf(state, `key ${extracted}`)
  switch (state.config.affinity) {
    case 'datagram':
      return undefined
    case 'source-ip':
      return labelOf(state, formatPacked({ ...client, port: 0 }))
    case 'source-ip-port':
      return labelOf(state, `${formatPacked(client)} socket`)
  }
}

function labelOf({ labels }: ModelState, text: string): AffinityKey {
  const low = labels.get(text) ?? labels.size + 1
  labels.set(text, low)
  return { high: 0, low }
}

export function choose(
  state: ModelState,
  { config, source, affinity }: Pick<ModelFlow, 'config' | 'source' | 'affinity'>,
  exclude: readonly BackendId[],
): Member | undefined {
  const last = staysBySource(state, config) ? state.sources.get(source) : undefined
  if (last?.isCandidate && !exclude.includes(last.backend.id)) {
    state.group.take(last)
    return last
  }
  return state.group.choose(exclude, affinity)
}

export function isUsable(state: ModelState, flow: ModelFlow): boolean {
  if (flow.member.isCandidate) return true
  const departure = state.departures.find(({ member }) => member === flow.member)
  return departure !== undefined && state.now < departure.until && waits(flow)
}

export function openUpstream(state: ModelState, flow: ModelFlow): void {
  const { id, host, port } = flow.member.backend
  flow.phase = 'opening'
  flow.attempt += 1
  flow.owed = 0
  flow.owesHeader = flow.config.proxyProtocol === 'first'
  if (flow.isCounted) state.sources.set(flow.source, flow.member)
  setDeadline(state, flow, flow.config.halfOpenTimeoutMs)
  state.out.push({
    type: 'open-upstream',
    flow: flow.id,
    attempt: flow.attempt,
    backend: id,
    host,
    port,
  })
}

/** To a backend that counts the flow already. */
export function moveTo(state: ModelState, flow: ModelFlow, member: Member): void {
  const before = flow.member
  state.out.push({ type: 'close-upstream', flow: flow.id, attempt: flow.attempt })
  state.counters.reselected += 1
  flow.member = member
  leave(state, before)
  openUpstream(state, flow)
}

/** A life on `member` ended. */
function leave(state: ModelState, member: Member): void {
  if (state.group.release(member)) sayDrained(state, member)
  else waitEnded(state, member)
}

/** Perhaps the last flow that waited for a backend that left has stopped waiting. */
export function waitEnded(state: ModelState, member: Member): void {
  const hasLeft = state.departures.some((each) => each.member === member)
  if (!hasLeft || state.flows.some((flow) => flow.member === member && waits(flow))) return
  sayDrained(state, member)
}

export function sayDrained(state: ModelState, member: Member): void {
  state.group.forget(member)
  state.departures = state.departures.filter((each) => each.member !== member)
  const { version } = state.group
  state.out.push({ type: 'backend-drained', backend: member.backend.id, version })
}

// Datagrams -----------------------------------------------------------------------------------

/** The newest are kept. */
export function hold(state: ModelState, flow: ModelFlow, payload: Uint8Array): void {
  while (!hasRoom(state, flow, payload) && flow.held.length > 0) {
    flow.held.shift()
    drop(state, 'held-overflow')
  }
  if (hasRoom(state, flow, payload)) flow.held.push(payload.slice())
  else drop(state, 'held-overflow')
}

function hasRoom(state: ModelState, flow: ModelFlow, payload: Uint8Array): boolean {
  let heldBytes = 0
  for (const { held } of state.flows) for (const { length } of held) heldBytes += length
  return (
    flow.held.length < flow.config.heldDatagramsMax &&
    heldBytes + payload.length <= state.config.heldBytesMax
  )
}

export function forward(state: ModelState, flow: ModelFlow, payload: Uint8Array): void {
  const { config, counters } = { config: flow.config, counters: state.counters }
  const hasHeader = config.proxyProtocol === 'every' || flow.owesHeader
  const contacted = flow.announced?.destination ?? flow.local
  flow.owesHeader = false
  state.out.push({
    type: 'send-upstream',
    flow: flow.id,
    attempt: flow.attempt,
    header: hasHeader ? proxyHeader(clientOf(flow), contacted, 'dgram') : undefined,
    payload,
  })
  flow.datagramsUp += 1
  flow.bytesUp += payload.length
  counters.datagramsUp += 1
  counters.bytesUp += payload.length
  flow.owed += Math.max(1, config.responses)
  const { frontTimeoutMs, halfOpenTimeoutMs } = config
  const quietMs = flow.isAnswered ? frontTimeoutMs : Math.min(frontTimeoutMs, halfOpenTimeoutMs)
  setDeadline(state, flow, quietMs)
  if (config.requests > 0 && flow.datagramsUp >= config.requests) flow.phase = 'answering'
}

export function giveBack(state: ModelState, flow: ModelFlow, payload: Uint8Array): void {
  state.out.push({
    type: 'send-client',
    flow: flow.id,
    from: flow.local,
    to: flow.peer,
    payload,
  })
  flow.datagramsDown += 1
  flow.bytesDown += payload.length
  state.counters.datagramsDown += 1
  state.counters.bytesDown += payload.length
  flow.isAnswered = true
  flow.owed = Math.max(0, flow.owed - 1)
  setDeadline(state, flow, flow.config.backTimeoutMs)
  if (flow.owed === 0 && flow.phase === 'answering') close(state, flow, 'requests')
  else if (flow.owed === 0 && flow.config.responses > 0) close(state, flow, 'responses')
  else waitEnded(state, flow.member)
}

function setDeadline(state: ModelState, flow: ModelFlow, quietMs: number): void {
  const { lifetimeMaxMs } = flow.config
  const endsAt = lifetimeMaxMs > 0 ? flow.admittedAt + lifetimeMaxMs : Number.POSITIVE_INFINITY
  const rounded = Math.ceil(Math.min(state.now + quietMs, endsAt) / UNIT_MS) * UNIT_MS
  // One that is past already is the next there is.
  flow.deadline = rounded > state.now ? rounded : (Math.floor(state.now / UNIT_MS) + 1) * UNIT_MS
}

// The end -------------------------------------------------------------------------------------

export function close(state: ModelState, flow: ModelFlow, reason: CloseReason): void {
  for (const _ of flow.held.splice(0)) drop(state, 'held-lost')
  state.flows.splice(state.flows.indexOf(flow), 1)
  state.freeSlots.push(flow.slot)
  if (state.flows.length === 0) state.quietSince = state.now
  if (!state.flows.some(({ source, isCounted }) => isCounted && source === flow.source)) {
    state.sources.delete(flow.source)
  }
  state.counters.closed[reason] += 1
  state.out.push({
    type: 'close-flow',
    flow: flow.id,
    attempt: flow.attempt,
    reason,
    client: clientOf(flow),
    backend: flow.member.backend.id,
    totals: totalsOf(flow, state.now),
  })
  leave(state, flow.member)
}

const UNIT_MS = 16
