import { checkInvariants as checkGroup } from '../balance/invariants.ts'
import { assert } from '../machine.ts'
import { type FlowState, idOf, liveSlot, storedHash, waits, wheelOf } from './state.ts'
import {
  ANNOUNCED,
  ANSWERING,
  ARMED,
  BACKEND,
  CONFIG,
  DEADLINE,
  FLAGS,
  KEY,
  KEY_WORDS,
  OPEN,
  OPENING,
  PHASE_MASK,
  SOURCE,
} from './storage/flow-records.ts'
import { NONE, PAGE_BITS } from './storage/records.ts'
import { UNIT_MS } from './storage/timer-wheel.ts'
import type { FlowTable } from './table.ts'

/** Throws {@link InvariantError} when the table contradicts itself. O(flows): for tests. */
export function checkInvariants(table: FlowTable): void {
  const { state } = table
  checkGroup(state.group)
  const seen = checkFlows(state)
  const { counters, records, index, halfOpen, answered, held, announced, lingering } = state
  assert(seen.flows === records.live, 'every live record is a flow')
  assert(index.size === seen.keyed, 'exactly one key for each flow that is found by one')
  assert(halfOpen.size + answered.size === seen.flows, 'exactly one timer for each flow')
  assert(seen.waiting === state.waiting, 'who waits is counted')
  const deadline = table.deadline() ?? Number.POSITIVE_INFINITY
  assert(state.goOnAt !== undefined || deadline <= seen.deadline, 'woken too late for a flow')
  assert(
    state.waitingOn.every((count) => count >= 0),
    'nobody waits less than not at all',
  )
  for (const member of lingering.keys()) {
    assert(member.state === 'draining', 'only who left is waited for')
    assert(state.waitingOn[member.index]! > 0, 'only who owes somebody an answer is waited for')
  }
  let heldBytes = 0
  for (const queue of held.values()) {
    assert(queue.length > 0, 'nobody holds an empty queue')
    for (const payload of queue) heldBytes += payload.length
  }
  assert(heldBytes === state.heldBytes, 'bytes held are counted')
  assert(announced.size === seen.announced, 'announced clients are those of flows')
  assert(seen.sources === sourcesTotal(state), 'each source counts its own flows')
  const closed = Object.values(counters.closed).reduce((sum, count) => sum + count, 0)
  assert(counters.created === seen.flows + closed, 'created = live + closed')
  const captured = state.configs.reduce((sum, each) => sum + (each?.flows ?? 0), 0)
  assert(captured === seen.flows, 'each flow is counted by its configuration')
  assert(state.configs[state.configNumber]?.config === state.config, 'the one in force is kept')
  for (const [number, flows] of state.locals.flows.entries()) {
    assert(flows === (seen.located[number] ?? 0), `local address ${number} counts its flows`)
  }
  assert(seen.flows === 0 || !state.use.isIdle, 'what is used is not idle')
  assert(seen.flows === 0 || state.use.unusedSince === undefined, 'nor is its quiet counted')
  const isOver = state.phase === 'closed' || state.phase === 'emptied'
  assert(!isOver || seen.flows === 0, 'no flow outlives the listening socket')
  assert((state.closeAt !== undefined) === (state.phase === 'closing'), 'waits only to close')
  assert(state.sweep === undefined || state.goOnAt !== undefined, 'work left over has its instant')
}

interface Seen {
  flows: number
  keyed: number
  waiting: number
  announced: number
  sources: number
  /** By number of the local address. */
  readonly located: number[]
  /** The earliest, as an instant. */
  deadline: number
}

function checkFlows(state: FlowState): Seen {
  const seen: Seen = {
    flows: 0,
    keyed: 0,
    waiting: 0,
    announced: 0,
    sources: 0,
    located: [],
    deadline: Number.POSITIVE_INFINITY,
  }
  const { records } = state
  for (const wheel of [state.halfOpen, state.answered]) {
    for (const slot of wheel) {
      assert(wheelOf(state, slot) === wheel, `flow in slot ${slot} is in the wheel of its kind`)
      checkFlow(state, slot, seen)
    }
  }
  assert(seen.flows <= records.words.length << PAGE_BITS, 'each flow is in a wheel once')
  return seen
}

function checkFlow(state: FlowState, slot: number, seen: Seen): void {
  const { records, group, configs, held } = state
  const words = records.words[slot >> PAGE_BITS]!
  const doubles = records.doubles[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const flags = words[at + FLAGS]!
  const phase = flags & PHASE_MASK
  const id = idOf(state, slot)
  assert(phase === OPENING || phase === OPEN || phase === ANSWERING, `flow ${id} is alive`)
  assert(liveSlot(state, id) === slot, `flow ${id} is found by its id`)
  seen.flows += 1
  if (phase !== ANSWERING) {
    seen.keyed += 1
    const key = words.slice(at + KEY, at + KEY + KEY_WORDS)
    assert(
      state.index.find(storedHash(state, slot), key) === slot,
      `flow ${id} is found by its key`,
    )
  }
  const member = group.at(words[at + BACKEND]!)
  assert(member.live > 0, `flow ${id} counts on its backend`)
  assert(configs[words[at + CONFIG]!] !== undefined, `flow ${id} has its configuration`)
  assert(phase === OPENING || !held.has(slot), `flow ${id} holds only while it opens`)
  if (waits(state, slot)) seen.waiting += 1
  if ((flags & ANNOUNCED) !== 0) seen.announced += 1
  if (words[at + SOURCE]! > 0) seen.sources += 1
  const local = records.local(slot)
  seen.located[local] = (seen.located[local] ?? 0) + 1
  const deadline = doubles[(at + DEADLINE) >> 1]!
  const armed = doubles[(at + ARMED) >> 1]!
  assert(armed <= Math.max(deadline, wheelOf(state, slot).from), `flow ${id} is looked at in time`)
  seen.deadline = Math.min(seen.deadline, Math.max(deadline, armed) * UNIT_MS)
}

function sourcesTotal({ sources, halfOpen, answered, records }: FlowState): number {
  const known = new Set<number>()
  for (const slot of [...halfOpen, ...answered]) {
    const source = records.words[slot >> PAGE_BITS]![records.offset(slot) + SOURCE]! - 1
    if (source !== NONE) known.add(source)
  }
  assert(known.size === sources.size, 'no source is kept without a flow')
  return [...known].reduce((sum, source) => sum + sources.flowsOf(source), 0)
}
