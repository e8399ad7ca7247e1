/** From the client to the backend: hold, open, forward, go on with another backend. */
import type { Member } from '../../balance/group.ts'
import type { Instant } from '../../machine.ts'
import { proxyHeader } from '../../net/proxy-v2.ts'
import {
  drop,
  expiry,
  type FlowState,
  idOf,
  type Out,
  setDeadline,
  startWaiting,
  stopWaiting,
  storedHash,
  waits,
} from '../state.ts'
import {
  ANSWERED,
  ANSWERING,
  ATTEMPT,
  BACKEND,
  BYTES_UP,
  CONFIG,
  COUNT_MAX,
  DATAGRAMS_UP,
  FLAGS,
  HEADER_DUE,
  OPEN,
  OPENING,
  OWED,
  PHASE_MASK,
  SOCKET_LOST,
  SOURCE,
} from '../storage/flow-records.ts'
import { PAGE_BITS } from '../storage/records.ts'
import { chooseAgain, clientOf, isUsable } from './choice.ts'

/** Onward with a datagram of a flow that is there. */
export function carry(
  state: FlowState,
  slot: number,
  payload: Uint8Array,
  now: Instant,
  out: Out,
): void {
  const { records } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  if ((words[at + FLAGS]! & SOCKET_LOST) !== 0) reopen(state, slot, now, out)
  if ((words[at + FLAGS]! & PHASE_MASK) !== OPEN) return hold(state, slot, payload)
  const member = state.group.at(words[at + BACKEND]!)
  if (!isUsable(state, member, slot, now)) {
    const other = chooseAgain(state, slot, [])
    if (other !== undefined) {
      goToAnother(state, slot, other, now, out)
      return hold(state, slot, payload)
    }
  }
  forward(state, slot, payload, now, out)
}

/** Keeps a copy until the socket is open: the newest, as far as there is room. */
export function hold(state: FlowState, slot: number, payload: Uint8Array): void {
  const { records, held } = state
  const words = records.words[slot >> PAGE_BITS]!
  const { config } = state.configs[words[records.offset(slot) + CONFIG]!]!
  const queue = held.get(slot) ?? []
  const lacksRoom = (): boolean =>
    queue.length >= config.heldDatagramsMax ||
    state.heldBytes + payload.length > state.config.heldBytesMax
  while (queue.length > 0 && lacksRoom()) {
    state.heldBytes -= queue.shift()!.length
    drop(state, 'held-overflow')
  }
  if (lacksRoom()) {
    held.delete(slot)
    return drop(state, 'held-overflow')
  }
  queue.push(new Uint8Array(payload)) // not slice(): Node's Buffers share their memory with it
  state.heldBytes += payload.length
  held.set(slot, queue)
}

/** Asks for a socket to a backend just chosen for a flow that has none. */
export function openUpstream(
  state: FlowState,
  slot: number,
  member: Member,
  now: Instant,
  out: Out,
): void {
  const { records } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const { config } = state.configs[words[at + CONFIG]!]!
  words[at + BACKEND] = member.index
  words[at + ATTEMPT]! += 1
  words[at + OWED] = 0
  words[at + FLAGS] = (words[at + FLAGS]! & ~PHASE_MASK & ~SOCKET_LOST) | OPENING
  if (config.proxyProtocol !== 'off') words[at + FLAGS]! |= HEADER_DUE
  const source = words[at + SOURCE]! - 1
  if (source >= 0) state.sources.setMember(source, member)
  startWaiting(state, member)
  setDeadline(state, slot, expiry(state, slot, config, config.halfOpenTimeoutMs, now), now)
  const { id, host, port } = member.backend
  const attempt = words[at + ATTEMPT]!
  out.push({ type: 'open-upstream', flow: idOf(state, slot), attempt, backend: id, host, port })
}

/** The socket it had is gone with its process; what was owed on it does not come any more. */
function reopen(state: FlowState, slot: number, now: Instant, out: Out): void {
  const { records, group } = state
  const member = group.at(records.words[slot >> PAGE_BITS]![records.offset(slot) + BACKEND]!)
  const other = member.isCandidate ? undefined : chooseAgain(state, slot, [])
  if (other !== undefined) return goToAnother(state, slot, other, now, out)
  if (waits(state, slot)) stopWaiting(state, member, out)
  openUpstream(state, slot, member, now, out)
}

/** From the backend it has to one just chosen. */
export function goToAnother(
  state: FlowState,
  slot: number,
  other: Member,
  now: Instant,
  out: Out,
): void {
  const { records, group } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const member = group.at(words[at + BACKEND]!)
  out.push({ type: 'close-upstream', flow: idOf(state, slot), attempt: words[at + ATTEMPT]! })
  if (waits(state, slot)) stopWaiting(state, member, out)
  group.release(member)
  state.counters.reselected += 1
  openUpstream(state, slot, other, now, out)
}

/** One request, on the open socket. */
export function forward(
  state: FlowState,
  slot: number,
  payload: Uint8Array,
  now: Instant,
  out: Out,
): void {
  const { records, counters } = state
  const words = records.words[slot >> PAGE_BITS]!
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const { config } = state.configs[words[at + CONFIG]!]!
  const flags = words[at + FLAGS]!
  if (words[at + OWED] === 0) startWaiting(state, state.group.at(words[at + BACKEND]!))
  words[at + OWED] = Math.min(words[at + OWED]! + Math.max(1, config.responses), OWED_MAX)
  const sent = words[at + DATAGRAMS_UP]! >>> 0
  if (sent < COUNT_MAX) words[at + DATAGRAMS_UP] = sent + 1
  doubles[(at + BYTES_UP) >> 1]! += payload.length
  counters.datagramsUp += 1
  counters.bytesUp += payload.length
  const header = (flags & HEADER_DUE) === 0 ? undefined : headerOf(state, slot)
  if (config.proxyProtocol === 'first') words[at + FLAGS]! &= ~HEADER_DUE
  const attempt = words[at + ATTEMPT]!
  out.push({ type: 'send-upstream', flow: idOf(state, slot), attempt, header, payload })
  const timeoutMs =
    (flags & ANSWERED) === 0
      ? Math.min(config.frontTimeoutMs, config.halfOpenTimeoutMs)
      : config.frontTimeoutMs
  setDeadline(state, slot, expiry(state, slot, config, timeoutMs, now), now)
  if (config.requests === 0 || sent + 1 < config.requests) return
  if ((words[at + FLAGS]! & PHASE_MASK) !== OPEN) return
  // Its client's next datagram finds nobody; what is still owed comes by the flow's id.
  state.index.remove(storedHash(state, slot), slot)
  words[at + FLAGS] = (words[at + FLAGS]! & ~PHASE_MASK) | ANSWERING
}

function headerOf(state: FlowState, slot: number): Uint8Array {
  const contacted = state.locals.all[state.records.local(slot)]!
  const destination = state.announced.get(slot)?.destination ?? contacted
  return proxyHeader(clientOf(state, slot), destination, 'dgram')
}

const OWED_MAX = 2 ** 31 - 1
