/**
 * The flows of one UDP listener, without a socket: the shell reports what sockets receive and
 * runs what comes back. It costs the same with a million flows as with ten.
 *
 * See `docs/udp.md` for what happens on each event, in order.
 */
import { BackendGroup } from '../balance/group.ts'
import type { Strategy } from '../balance/strategy.ts'
import { type Instant, type Machine, unreachable } from '../machine.ts'
import { UseTimer } from '../time/use-timer.ts'
import type { FlowCommand } from './commands.ts'
import { checkedConfig, defaultUdpConfig, type UdpConfig } from './config.ts'
import { type UdpCounters, zeroCounters } from './counters.ts'
import type { FlowEvent } from './events.ts'
import type { FlowId } from './flow-id.ts'
import { onClientDatagram } from './life/admission.ts'
import { endLingering, onApplyBackends, onConfigure, onCutBackend } from './life/backends.ts'
import {
  beginSweep,
  CLOSES_PER_STEP_MAX,
  closeDue,
  closeFlow,
  closeSwept,
  nextDeadline,
} from './life/teardown.ts'
import { onUpstreamDatagram, onUpstreamFailed, onUpstreamOpened } from './life/upstream.ts'
import { type FlowTableSnapshot, loseSockets, restoreSnapshot, takeSnapshot } from './snapshot.ts'
import { type Extractor, type FlowState, Locals, liveSlot, type Out } from './state.ts'
import { FlowRecords } from './storage/flow-records.ts'
import { KeyBuilder } from './storage/keys.ts'
import { NONE } from './storage/records.ts'
import { SlotIndex } from './storage/slot-index.ts'
import { type HashSeed, Sources } from './storage/sources.ts'
import { TimerWheel } from './storage/timer-wheel.ts'
import { type FlowView, viewOf, viewsOf } from './view.ts'

export interface FlowTableOptions {
  readonly config?: UdpConfig
  /** How backends are chosen; taking turns, when not said. */
  readonly strategy?: Strategy
  /** Whether all backends are used when every one is down; they are, when not said. */
  readonly failOpen?: boolean
  /**
   * Two random words: who knows them can choose addresses that meet in the table. Without them
   * they are constants, as suits a simulation.
   */
  readonly hashSeed?: HashSeed
  /** Two words; equal ones send a client to the same backend in every process. */
  readonly affinitySeed?: HashSeed
  /**
   * What flows are told apart by, instead of the client's socket: at most 18 octets, compared in
   * full. Datagrams it gives undefined for, or more, are dropped (invalid). Answers go to where
   * the flow's last datagram came from. Not used again for a flow that is there (udp W9).
   */
  readonly keyOf?: Extractor
}

export class FlowTable implements Machine<FlowEvent, FlowCommand> {
  /** For {@link checkInvariants}; nobody else reads it. */
  readonly state: FlowState

  /** Throws {@link InvariantError} for a configuration with a value out of range. */
  constructor(options: FlowTableOptions = {}) {
    const { hashSeed = HASH_SEED } = options
    const config = checkedConfig(options.config ?? defaultUdpConfig)
    const records = new FlowRecords()
    this.state = {
      config,
      configNumber: 0,
      configs: [{ config, flows: 0 }],
      phase: 'serving',
      group: new BackendGroup(options),
      records,
      index: new SlotIndex(records),
      halfOpen: new TimerWheel(records),
      answered: new TimerWheel(records),
      sources: new Sources(hashSeed),
      key: new KeyBuilder(),
      affinity: new KeyBuilder(),
      keyOf: options.keyOf,
      hashSeed,
      affinitySeed: options.affinitySeed ?? HASH_SEED,
      held: new Map(),
      heldBytes: 0,
      announced: new Map(),
      locals: new Locals(),
      serialLast: 0,
      waiting: 0,
      waitingOn: [],
      lingering: new Map(),
      hostPausedUntil: Number.NEGATIVE_INFINITY,
      closeAt: undefined,
      isAborted: false,
      sweep: undefined,
      use: new UseTimer(config.idleAfterMs),
      goOnAt: undefined,
      counters: zeroCounters(),
    }
  }

  step(event: FlowEvent, now: Instant, out: FlowCommand[]): void {
    const { state } = this
    let closesLeft = CLOSES_PER_STEP_MAX
    switch (event.type) {
      case 'client-datagram': // first: nothing is as frequent
        onClientDatagram(state, event, now, out)
        break
      case 'upstream-datagram':
        onUpstreamDatagram(state, event, now, out)
        break
      case 'upstream-opened':
        onUpstreamOpened(state, event, now, out)
        break
      case 'upstream-failed':
        onUpstreamFailed(state, event, now, out)
        break
      case 'apply-backends':
        onApplyBackends(state, event, now, out)
        break
      case 'cut-backend':
        onCutBackend(state, event, out)
        if (state.phase === 'closing') beginEnding(state, 'drained', now, closesLeft, out)
        break
      case 'configure':
        onConfigure(state, event, now)
        break
      case 'drain':
        if (state.phase === 'serving') state.phase = 'draining'
        break
      case 'close':
        onClose(state, now)
        break
      case 'abort-all':
        onAbortAll(state, now, out)
        break
      case 'close-all':
        beginSweep(state, 'closed')
        closeMany(state, now, CLOSES_PER_STEP_MAX, out)
        break
      case 'abort-flow': {
        const slot = liveSlot(state, event.flow)
        if (slot !== NONE) closeFlow(state, slot, 'aborted', now, out)
        break
      }
      case 'tick':
        closesLeft = onTick(state, now, out)
        break
      default:
        unreachable(event)
    }
    if (state.phase !== 'serving') goOnClosing(state, now, closesLeft, out)
  }

  deadline(): Instant | undefined {
    const { state } = this
    // While work is left over, timers that are due are part of it.
    const isWorkLeft = state.goOnAt !== undefined && state.records.live > 0
    let at = isWorkLeft ? state.goOnAt! : nextDeadline(state)
    if (state.closeAt !== undefined) at = Math.min(at, state.closeAt)
    if (state.phase === 'serving') at = Math.min(at, state.use.next() ?? at)
    for (const until of state.lingering.values()) at = Math.min(at, until)
    return at === Number.POSITIVE_INFINITY ? undefined : at
  }

  get flowCount(): number {
    return this.state.records.live
  }

  get counters(): Readonly<UdpCounters> {
    return this.state.counters
  }

  /** Neither flows nor backends: nothing would be lost with this table. */
  get isEmpty(): boolean {
    return this.flowCount === 0 && this.state.group.servingCount === 0
  }

  /** Every backend is down, and all are used all the same. */
  get isFailingOpen(): boolean {
    return this.state.group.isFailingOpen
  }

  /** A live flow. */
  flow(flow: FlowId, now: Instant): FlowView | undefined {
    const slot = liveSlot(this.state, flow)
    return slot === NONE ? undefined : viewOf(this.state, slot, now)
  }

  /** At most `limit` live flows, those with the lowest slots. O(slots), not for every datagram. */
  flows(now: Instant, limit: number): FlowView[] {
    return viewsOf(this.state, now, limit)
  }

  /** Plain JSON. O(flows). */
  snapshot(now: Instant): FlowTableSnapshot {
    return takeSnapshot(this.state, now)
  }

  /**
   * A table that goes on as the other one would have, given the same options (the configuration
   * is the snapshot's; another `hashSeed` is fine, another strategy or `keyOf` is not). In a process
   * that has not the other one's sockets, `lost` makes each flow ask for one again, when its client
   * sends.
   */
  static restore(
    snapshot: FlowTableSnapshot,
    now: Instant,
    options: FlowTableOptions = {},
    sockets: 'kept' | 'lost' = 'kept',
  ): FlowTable {
    const table = new FlowTable(options)
    restoreSnapshot(table.state, snapshot, now, options)
    if (sockets === 'lost') loseSockets(table.state)
    return table
  }

  /** Bytes of the table's own memory that grow with the number of flows. */
  get memoryBytes(): number {
    const { records, index, sources } = this.state
    return records.bytes + index.bytes + sources.bytes
  }
}

/** How many more flows the step may close. */
function onTick(state: FlowState, now: Instant, out: Out): number {
  if (state.phase === 'serving' && state.use.tick(now)) out.push({ type: 'idle' })
  let left = closeDue(state, now, CLOSES_PER_STEP_MAX, out)
  left -= closeMany(state, now, left, out)
  if (state.lingering.size > 0) endLingering(state, now, out)
  if (state.closeAt === undefined || state.closeAt > now) return left
  return left - beginEnding(state, 'drained', now, left, out)
}

function onClose(state: FlowState, now: Instant): void {
  if (state.phase !== 'serving' && state.phase !== 'draining') return
  state.phase = 'closing'
  state.closeAt = now + state.config.lingerMs
}

function onAbortAll(state: FlowState, now: Instant, out: Out): void {
  state.isAborted = true
  if (state.phase === 'closed' || state.phase === 'emptied') return
  beginEnding(state, 'aborted', now, CLOSES_PER_STEP_MAX, out)
}

function beginEnding(
  state: FlowState,
  reason: 'drained' | 'aborted',
  now: Instant,
  budget: number,
  out: Out,
): number {
  state.phase = 'ending'
  state.closeAt = undefined
  beginSweep(state, reason)
  return closeMany(state, now, budget, out)
}

/** A mass close goes on with at most `budget` flows; how many it closed. */
function closeMany(state: FlowState, now: Instant, budget: number, out: Out): number {
  const closed = closeSwept(state, now, budget, out)
  const isLeft = state.sweep !== undefined || nextDeadline(state) <= now
  state.goOnAt = isLeft ? now + GO_ON_AFTER_MS : undefined
  return closed
}

function goOnClosing(state: FlowState, now: Instant, closesLeft: number, out: Out): void {
  if (state.phase === 'closing' && state.waiting === 0) {
    beginEnding(state, 'drained', now, closesLeft, out)
  }
  if (state.phase === 'ending' && state.records.live === 0) {
    state.phase = 'closed'
    state.sweep = undefined
    state.goOnAt = undefined
    out.push({ type: 'stop-listening' })
  }
  // A parent that still has backends here may yet take them away, and waits for the answer.
  if (state.phase !== 'closed' || (state.group.servingCount > 0 && !state.isAborted)) return
  state.phase = 'emptied'
  out.push({ type: 'emptied' })
}

const GO_ON_AFTER_MS = 1

/** The golden ratio's first 64 bits, as the reference has them. */
const HASH_SEED: HashSeed = [0x7f4a7c15, 0x9e3779b9 | 0]
