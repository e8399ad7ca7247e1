/** How a datagram of a client finds its flow, and how a client gets one. */
import type { Member } from '../../balance/group.ts'
import type { Instant } from '../../machine.ts'
import { inPrefix, type PackedAddress, samePacked } from '../../net/packed-address.ts'
import { readProxyHeader } from '../../net/proxy-v2.ts'
import { admits } from '../../policy/access.ts'
import type { UdpConfig } from '../config.ts'
import type { FlowEvent } from '../events.ts'
import { type Announced, drop, type FlowState, type Out } from '../state.ts'
import {
  ADMITTED,
  ANNOUNCED,
  ARMED,
  CONFIG,
  FLAGS,
  KEY,
  KEY_LAST_SHIFT,
  KEY_WORDS,
  OPENING,
  SERIAL,
  SOURCE,
} from '../storage/flow-records.ts'
import { halfSipHash } from '../storage/half-siphash.ts'
import { NONE, PAGE_BITS } from '../storage/records.ts'
import { choose, clientOf } from './choice.ts'
import { carry, hold, openUpstream } from './forwarding.ts'
import { closeFlow, evict } from './teardown.ts'

type ClientDatagram = Extract<FlowEvent, { type: 'client-datagram' }>

export function onClientDatagram(
  state: FlowState,
  event: ClientDatagram,
  now: Instant,
  out: Out,
): void {
  const { config, key } = state
  const { from } = event
  let { payload } = event
  if (payload.length > config.datagramBytesMax) return drop(state, 'oversize')
  let announced: Announced | undefined
  if (config.trustedProxies.length > 0 && isTrusted(config, from)) {
    const header = readProxyHeader(payload)
    if (header === 'malformed') return drop(state, 'invalid')
    if (header !== 'none') {
      if (header.transport === 'stream') return drop(state, 'invalid')
      announced = header.announced
      payload = payload.subarray(header.length)
    }
  }
  const local = state.locals.numberOf(event.to)
  if (local < 0) return drop(state, 'shed')
  let given: Member | undefined
  if (state.keyOf !== undefined) {
    const octets = state.keyOf(announced?.source ?? from, payload)
    if (octets === undefined || !key.setOctets(octets)) return drop(state, 'invalid')
  } else if (config.affinity === 'datagram') {
    given = state.group.choose()
    if (given === undefined) return drop(state, 'no-backend')
    key.setSocket(from, local, given.index)
  } else {
    key.setSocket(from, local)
  }
  const { hashSeed } = state
  const hash = halfSipHash(key.words, 0, key.last, hashSeed[0], hashSeed[1])
  let slot = state.index.find(hash, key.words)
  if (slot !== NONE && announced !== undefined && isAnotherClient(state, slot, announced)) {
    closeFlow(state, slot, 'superseded', now, out)
    slot = NONE
  }
  if (config.access.length > 0 && isForbidden(state, slot, announced?.source ?? from)) {
    if (given !== undefined) state.group.release(given)
    // One that others share is not theirs to end.
    if (slot !== NONE && state.keyOf === undefined) closeFlow(state, slot, 'forbidden', now, out)
    return drop(state, 'forbidden')
  }
  if (slot === NONE) {
    const newcomer = { from, local, hash, announced, given }
    const admitted = admit(state, newcomer, now, out)
    if (typeof admitted === 'number') return hold(state, admitted, payload)
    if (given !== undefined) state.group.release(given)
    return drop(state, admitted)
  }
  if (given !== undefined) state.group.release(given) // its flow is there, and counts already
  if (state.keyOf !== undefined) moveTo(state, slot, from, local)
  carry(state, slot, payload, now, out)
}

/** Where a flow's answers go from now on, and from which local address. */
function moveTo(
  { records, locals }: FlowState,
  slot: number,
  to: PackedAddress,
  local: number,
): void {
  locals.flows[records.local(slot)]! -= 1
  locals.flows[local]! += 1
  records.setPeer(slot, to, local)
}

const isTrusted = ({ trustedProxies }: UdpConfig, from: PackedAddress): boolean =>
  trustedProxies.some((prefix) => inPrefix(prefix, from))

/** The proxy's socket serves another client than before. */
const isAnotherClient = (state: FlowState, slot: number, { source }: Announced): boolean =>
  !samePacked(clientOf(state, slot), source)

/** A flow is looked at again when the list may be another one than when it was admitted. */
function isForbidden(state: FlowState, slot: number, sender: PackedAddress): boolean {
  const { config, configNumber, records } = state
  if (slot === NONE || state.keyOf !== undefined) return !admits(config.access, sender)
  const words = records.words[slot >> PAGE_BITS]!
  if (words[records.offset(slot) + CONFIG] === configNumber) return false
  return !admits(config.access, clientOf(state, slot))
}

interface Newcomer {
  readonly from: PackedAddress
  readonly local: number
  readonly hash: number
  readonly announced: Announced | undefined
  /** Chosen before, where each datagram is given a backend. */
  readonly given: Member | undefined
}

type Refusal = 'draining' | 'host-limit' | 'source-limit' | 'shed' | 'no-backend'

/** Gives a new client a flow, unless there is a reason not to. Its key is in the builder. */
function admit(state: FlowState, newcomer: Newcomer, now: Instant, out: Out): number | Refusal {
  const { config, records, sources } = state
  const client = newcomer.announced?.source ?? newcomer.from
  if (state.phase !== 'serving') return 'draining'
  if (now < state.hostPausedUntil) return 'host-limit'
  const countsSource = config.flowsPerSourceMax > 0 || config.affinity === 'source-ip'
  const source = countsSource ? sources.find(client) : NONE
  const ofSource = source === NONE ? 0 : sources.flowsOf(source)
  if (config.flowsPerSourceMax > 0 && ofSource >= config.flowsPerSourceMax) return 'source-limit'
  const isFull = records.live >= config.flowsMax
  if (isFull && (config.flowsMax === 0 || state.halfOpen.size === 0)) return 'shed'
  const member = newcomer.given ?? choose(state, config, client, source, NOBODY)
  if (member === undefined) return 'no-backend'
  if (isFull) evict(state, now, out)
  const slot = fileRecord(state, newcomer, now)
  if (slot === NONE) {
    if (newcomer.given === undefined) state.group.release(member)
    return 'shed'
  }
  if (countsSource) {
    const entered = sources.enter(client)
    records.words[slot >> PAGE_BITS]![records.offset(slot) + SOURCE] = entered + 1
  }
  state.counters.created += 1
  openUpstream(state, slot, member, now, out)
  if (state.use.begin()) out.push({ type: 'busy' })
  return slot
}

/** A record under the key in the builder, in no wheel yet. */
function fileRecord(state: FlowState, newcomer: Newcomer, now: Instant): number {
  const { records, key } = state
  const slot = records.allocate()
  if (!state.index.add(newcomer.hash, slot)) {
    records.free(slot)
    return NONE
  }
  const words = records.words[slot >> PAGE_BITS]!
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  for (let word = 0; word < KEY_WORDS; word++) words[at + KEY + word] = key.words[word]!
  records.setPeer(slot, newcomer.from, newcomer.local)
  state.locals.flows[newcomer.local]! += 1
  state.serialLast = (state.serialLast + 1) >>> 0
  words[at + SERIAL] = state.serialLast
  words[at + FLAGS] = OPENING | (key.last << KEY_LAST_SHIFT)
  words[at + CONFIG] = state.configNumber
  state.configs[state.configNumber]!.flows += 1
  doubles[(at + ADMITTED) >> 1] = now
  doubles[(at + ARMED) >> 1] = Number.NaN
  if (newcomer.announced !== undefined) {
    state.announced.set(slot, newcomer.announced)
    words[at + FLAGS]! |= ANNOUNCED
  }
  return slot
}

const NOBODY: readonly never[] = []
