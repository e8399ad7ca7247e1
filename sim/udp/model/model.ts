/**
 * The flow table as its page tells it (`docs/udp.md`), with plain maps and arrays, by sorting and
 * looking at everything: slow, and easy to compare with the page. It shares nothing with the
 * machine in `core/udp` but the interfaces, the backend group and the PROXY protocol codec.
 */
import { BackendGroup, type BackendId } from '../../../core/balance/group.ts'
import type { Strategy } from '../../../core/balance/strategy.ts'
import { type Attempt, type Instant, unreachable } from '../../../core/machine.ts'
import type { CloseReason, FlowCommand } from '../../../core/udp/commands.ts'
import { defaultUdpConfig, type UdpConfig } from '../../../core/udp/config.ts'
import { type UdpCounters, zeroCounters } from '../../../core/udp/counters.ts'
import type { FlowEvent } from '../../../core/udp/events.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import type { FlowView } from '../../../core/udp/view.ts'
import { onClientDatagram } from './client.ts'
import {
  choose,
  close,
  drop,
  forward,
  giveBack,
  moveTo,
  sayDrained,
  spreads,
  waitEnded,
} from './flows.ts'
import {
  bySlot,
  clientOf,
  type ModelExtractor,
  type ModelFlow,
  type ModelState,
  totalsOf,
  waits,
} from './state.ts'

export interface ModelOptions {
  readonly config?: UdpConfig
  /** Gets numbers for keys, equal for what affinity calls equal; not the machine's hashes. */
  readonly strategy?: Strategy
  readonly failOpen?: boolean
  readonly keyOf?: ModelExtractor | undefined
}

export class FlowModel {
  readonly #state: ModelState

  constructor({ config = defaultUdpConfig, strategy, failOpen, keyOf }: ModelOptions = {}) {
    this.#state = {
      config,
      keyOf,
      group: new BackendGroup({
        ...(strategy === undefined ? {} : { strategy }),
        ...(failOpen === undefined ? {} : { failOpen }),
      }),
      counters: zeroCounters(),
      flows: [],
      sources: new Map(),
      freeSlots: [],
      slotsUsed: 0,
      serialLast: 0,
      departures: [],
      phase: 'serving',
      closeAt: 0,
      sweep: undefined,
      isAborted: false,
      goOnAt: undefined,
      hostFailedAt: Number.NEGATIVE_INFINITY,
      quietSince: undefined,
      isIdle: false,
      isLate: false,
      labels: new Map(),
      now: 0,
      out: [],
      budget: 0,
      observed: [],
    }
  }

  /**
   * All commands of a step. Where the page leaves a choice (which of several half-open flows with
   * one deadline makes room) it follows `observed`, what the machine did, if that is one of them.
   */
  step(event: FlowEvent, now: Instant, observed: readonly FlowCommand[] = []): FlowCommand[] {
    const state = this.#state
    Object.assign(state, { now, out: [], budget: CLOSES_PER_STEP_MAX, observed })
    state.isLate ||= state.flows.some(({ deadline }) => now - deadline > LATE_MS)
    take(state, event)
    end(state, event)
    return state.out
  }

  get counters(): UdpCounters {
    return this.#state.counters
  }

  get flowCount(): number {
    return this.#state.flows.length
  }

  /** Datagrams held, for who counts what became of each. */
  get heldCount(): number {
    return this.#state.flows.reduce((sum, { held }) => sum + held.length, 0)
  }

  /** Neither flows nor backends. */
  get isEmpty(): boolean {
    return this.#state.flows.length === 0 && this.#state.group.servingCount === 0
  }

  /** The earliest instant at which something is due; the machine's may be earlier. */
  deadline(): Instant | undefined {
    const { goOnAt, flows, departures, phase, closeAt } = this.#state
    // What is due already and left over is part of what goes on.
    if (goOnAt !== undefined) return goOnAt
    const all = [
      ...flows.map(({ deadline }) => deadline),
      ...departures.map(({ until }) => until),
      ...(phase === 'closing' ? [closeAt] : []),
      ...(phase === 'serving' ? [idleAt(this.#state)] : []),
    ].filter((at) => at !== undefined)
    return all.length === 0 ? undefined : all.reduce((one, other) => Math.min(one, other))
  }

  /** By slot. */
  flows(now: Instant): FlowView[] {
    return bySlot(this.#state).map((flow) => ({
      flow: flow.id,
      phase: flow.phase,
      client: clientOf(flow),
      contacted: flow.local,
      backend: flow.member.backend.id,
      isAnswered: flow.isAnswered,
      expiresInMs: Math.max(0, flow.deadline - now),
      totals: totalsOf(flow, now),
    }))
  }
}

type Event<Type extends FlowEvent['type']> = Extract<FlowEvent, { type: Type }>

function take(state: ModelState, event: FlowEvent): void {
  switch (event.type) {
    case 'client-datagram':
      return onClientDatagram(state, event)
    case 'upstream-opened':
      return onUpstreamOpened(state, event)
    case 'upstream-failed':
      return onUpstreamFailed(state, event)
    case 'upstream-datagram':
      return onUpstreamDatagram(state, event)
    case 'apply-backends':
      return onApplyBackends(state, event)
    case 'cut-backend':
      return onCutBackend(state, event.backend)
    case 'configure':
      // Who counts from now on does not know of before.
      if (state.config.idleAfterMs === 0) state.quietSince = undefined
      state.config = event.config
      return beginQuiet(state)
    case 'drain':
      if (state.phase === 'serving') state.phase = 'draining'
      return
    case 'close':
      if (state.phase !== 'serving' && state.phase !== 'draining') return
      state.phase = 'closing'
      state.closeAt = state.now + state.config.lingerMs
      return
    case 'abort-all':
      state.isAborted = true
      if (state.phase === 'closed' || state.phase === 'emptied') return
      state.phase = 'ending'
      return beginSweep(state, 'aborted')
    case 'close-all':
      return beginSweep(state, 'closed')
    case 'abort-flow': {
      const flow = state.flows.find(({ id }) => id === event.flow)
      if (flow !== undefined) close(state, flow, 'aborted')
      return
    }
    case 'tick':
      return onTick(state)
    default:
      return unreachable(event)
  }
}

// What sockets do -----------------------------------------------------------------------------

function findFlow(
  state: ModelState,
  { flow, attempt }: { flow: FlowId; attempt: Attempt },
): ModelFlow | undefined {
  return state.flows.find((each) => each.id === flow && each.attempt === attempt)
}

function onUpstreamOpened(state: ModelState, event: Event<'upstream-opened'>): void {
  const flow = findFlow(state, event)
  if (flow?.phase !== 'opening') {
    state.counters.staleAnswers += 1
    return
  }
  flow.phase = 'open'
  flow.failures = 0
  for (const payload of flow.held.splice(0)) forward(state, flow, payload)
  waitEnded(state, flow.member)
}

function onUpstreamFailed(state: ModelState, event: Event<'upstream-failed'>): void {
  const flow = findFlow(state, event)
  if (flow === undefined) {
    state.counters.staleAnswers += 1
    return
  }
  if (event.blame === 'host') {
    state.hostFailedAt = state.now
    return close(state, flow, 'host-limit')
  }
  const { member, config } = flow
  const { id } = member.backend
  if (state.group.shouldReportFailure(member, state.now)) {
    state.out.push({ type: 'backend-failed', backend: id, reason: event.reason })
  }
  flow.failures += 1
  const staysHere =
    flow.phase === 'answering' || spreads(state, config) || flow.failures >= FAILURES_IN_A_ROW_MAX
  const other = staysHere ? undefined : choose(state, flow, [id])
  if (other === undefined) close(state, flow, 'backend-failed')
  else moveTo(state, flow, other)
}

function onUpstreamDatagram(state: ModelState, event: Event<'upstream-datagram'>): void {
  if (event.payload.length > state.config.datagramBytesMax) return drop(state, 'oversize')
  const flow = findFlow(state, event)
  if (flow === undefined || flow.phase === 'opening') return drop(state, 'unknown-flow')
  giveBack(state, flow, event.payload)
}

// Backends ------------------------------------------------------------------------------------

function onApplyBackends(state: ModelState, { version, backends }: Event<'apply-backends'>): void {
  const left = state.group.apply(version, backends)
  // Who is in the set again has not left.
  state.departures = state.departures.filter(({ member }) => member.state === 'draining')
  state.out.push({ type: 'backends-applied', version: state.group.version })
  const until = state.now + state.config.lingerMs
  for (const member of left) state.departures.push({ member, until })
  for (const member of left) waitEnded(state, member)
  beginQuiet(state)
}

/** Before its first flow: whoever configures it, or gives it backends, begins. */
function beginQuiet(state: ModelState): void {
  if (state.flows.length === 0) state.quietSince ??= state.now
}

function idleAt({ config, quietSince, isIdle }: ModelState): Instant | undefined {
  if (isIdle || quietSince === undefined || config.idleAfterMs === 0) return undefined
  return quietSince + config.idleAfterMs
}

function onCutBackend(state: ModelState, backend: BackendId): void {
  const departure = state.departures.find(({ member }) => member.backend.id === backend)
  if (departure !== undefined) sayDrained(state, departure.member)
}

// Time and the end ----------------------------------------------------------------------------

function onTick(state: ModelState): void {
  if (state.phase === 'serving' && (idleAt(state) ?? state.now + 1) <= state.now) {
    state.isIdle = true
    state.out.push({ type: 'idle' })
  }
  if (state.goOnAt !== undefined && state.now < state.goOnAt) return // too early
  state.goOnAt = undefined
  const due = state.flows
    .filter(({ deadline }) => deadline <= state.now)
    .sort((one, other) => one.deadline - other.deadline || one.slot - other.slot)
  if (state.isLate) inObservedOrder(state, due)
  state.isLate = false
  closeMany(state, due, (flow) => whyDue(state, flow))
  goOnSweeping(state)
  const over = state.departures.filter(({ until }) => until <= state.now)
  for (const { member } of over) sayDrained(state, member)
}

function inObservedOrder({ observed }: ModelState, flows: ModelFlow[]): void {
  const order = observed.flatMap((command) => (command.type === 'close-flow' ? [command.flow] : []))
  const placeOf = ({ id }: ModelFlow): number =>
    order.includes(id) ? order.indexOf(id) : FIRST_NOT
  flows.sort((one, other) => placeOf(one) - placeOf(other))
}

function whyDue({ now }: ModelState, { admittedAt, isAnswered, config }: ModelFlow): CloseReason {
  const { lifetimeMaxMs } = config
  if (lifetimeMaxMs > 0 && now >= admittedAt + lifetimeMaxMs) return 'lifetime'
  return isAnswered ? 'idle' : 'half-open'
}

/** At most so many in one step; the rest a millisecond later. True when none is left. */
function closeMany(
  state: ModelState,
  flows: readonly ModelFlow[],
  why: (flow: ModelFlow) => CloseReason,
): boolean {
  const now = flows.slice(0, state.budget)
  for (const flow of now) close(state, flow, why(flow))
  state.budget -= now.length
  if (now.length === flows.length) return true
  state.goOnAt = state.now + 1
  return false
}

function beginSweep(state: ModelState, reason: CloseReason): void {
  state.sweep = { reason, serialLast: state.serialLast } // of all flows, those left over as well
  state.goOnAt = undefined
  goOnSweeping(state)
}

function goOnSweeping(state: ModelState): void {
  if (state.sweep === undefined) return
  const { reason, serialLast } = state.sweep
  const swept = bySlot(state).filter(({ serial }) => serial <= serialLast)
  if (closeMany(state, swept, () => reason)) state.sweep = undefined
}

/** Whether a listener that closes is done: asked after every event. */
function end(state: ModelState, event: FlowEvent): void {
  const isOver =
    event.type === 'cut-backend' || (event.type === 'tick' && state.closeAt <= state.now)
  if (state.phase === 'closing' && (isOver || !state.flows.some(waits))) {
    state.phase = 'ending'
    beginSweep(state, 'drained')
  }
  if (state.phase === 'ending' && state.flows.length === 0) {
    state.phase = 'closed'
    state.out.push({ type: 'stop-listening' })
  }
  if (state.phase === 'closed' && (state.isAborted || state.group.servingCount === 0)) {
    state.phase = 'emptied'
    state.out.push({ type: 'emptied' })
  }
}

const FAILURES_IN_A_ROW_MAX = 3
const LATE_MS = 65_000
const FIRST_NOT = Number.MAX_SAFE_INTEGER
const CLOSES_PER_STEP_MAX = 1_024
