import { mutantsOf } from '../mutant.ts'

/** How flows end. */
export const teardown = mutantsOf('core/udp/life/teardown.ts', [
  [
    'the end of a flow is not said',
    "out.push({\n    type: 'close-flow',",
    "void ({\n    type: 'close-flow',",
  ],
  ['a closed flow is still found', 'state.index.remove(storedHash(state, slot), slot)', ''],
  ['a closed flow keeps its timer', 'wheelOf(state, slot).disarm(slot)', ''],
  [
    'a closed flow is still waited for',
    'if (waits(state, slot)) stopWaiting(state, member, out)',
    '',
  ],
  ['a closed flow still counts on its backend', 'group.release(member)', ''],
  ['what a closed flow holds is kept', '  dropHeld(state, slot)\n', ''],
  [
    'bytes of a closed flow still count as held',
    'for (const payload of queue) state.heldBytes -= payload.length',
    '',
  ],
  [
    'datagrams lost with a flow count as one',
    "state.counters.dropped['held-lost'] += queue.length",
    "state.counters.dropped['held-lost'] += 1",
  ],
  [
    'a closed flow still counts for its source',
    'if (words[at + SOURCE]! > 0) state.sources.leave(words[at + SOURCE]! - 1)',
    '',
  ],
  [
    'who was announced is not forgotten',
    'if ((words[at + FLAGS]! & ANNOUNCED) !== 0) state.announced.delete(slot)',
    '',
  ],
  [
    'a closed flow still counts for our address',
    'state.locals.flows[records.local(slot)]! -= 1',
    '',
  ],
  ['configurations are never forgotten', 'releaseConfig(state, words[at + CONFIG]!)', ''],
  [
    'the configuration in force is forgotten with its last flow',
    'if (captured.flows === 0 && number !== configNumber)',
    'if (captured.flows === 0)',
  ],
  ['the record of a closed flow is not freed', '  records.free(slot)\n', ''],
  [
    'an end is counted twice',
    'state.counters.closed[reason] += 1',
    'state.counters.closed[reason] += 2',
  ],
  [
    'a flow lasts since the clock began',
    'durationMs: now - doubles[(at + ADMITTED) >> 1]!',
    'durationMs: now',
  ],
  [
    'who was put off is evicted',
    "if (deadline <= unit) return closeFlow(state, slot, 'evicted', now, out)",
    "if (slot >= 0) return closeFlow(state, slot, 'evicted', now, out)",
  ],
  ['the first who would be looked at is due', 'if (deadline <= unit || (', 'if (slot >= 0 || ('],
  [
    'timers that were put off are forgotten',
    'for (const slot of later) wheelOf(state, slot).arm(slot, nowUnit)',
    '',
  ],
  [
    'after a long leap, what is due is put off',
    'deadline <= nowUnit && !wheel.reaches(deadline)',
    'deadline < unit',
  ],
  ['flows that are due end in any order', 'due.sort((one, other) => one - other)', ''],
  ['a tick closes one too many', 'CLOSES_PER_STEP_MAX = 1024', 'CLOSES_PER_STEP_MAX = 1025'],
  ['a tick closes all', 'CLOSES_PER_STEP_MAX = 1024', 'CLOSES_PER_STEP_MAX = 1_000_000'],
  [
    'a lifetime is no reason',
    "if (lifetimeMaxMs > 0 && now - admittedAt >= lifetimeMaxMs) return 'lifetime'",
    '',
  ],
  [
    'a lifetime is the reason a moment late',
    'now - admittedAt >= lifetimeMaxMs',
    'now - admittedAt > lifetimeMaxMs',
  ],
  ['half-open and idle are mixed up', "? 'half-open' : 'idle'", "? 'idle' : 'half-open'"],
  [
    'the lifetime of now is the reason',
    'const { lifetimeMaxMs } = state.configs[words[at + CONFIG]!]!.config',
    'const { lifetimeMaxMs } = state.config',
  ],
  [
    'close-all ends newcomers',
    'if ((words[at + SERIAL]! - sweep.serialLast - 1) >>> 0 < newcomers) continue',
    '',
  ],
  ['close-all ends nobody', 'if (closed === budget || sweep', 'if (closed >= 0 || sweep'],
  ['a mass close is not bounded', 'if (closed === budget || sweep', 'if (sweep'],
  [
    'a mass close begins with the second slot',
    'serialLast: state.serialLast, next: 0 }',
    'serialLast: state.serialLast, next: 1 }',
  ],
  [
    'an eviction looks at every flow that was put off',
    '    if (looks === EVICTION_LOOKS_MAX) return',
    '    if (looks < 0) return',
  ],
  ['an eviction ends the latest it saw', 'if (deadline < earliestDeadline) {', 'if (slot >= 0) {'],
])
