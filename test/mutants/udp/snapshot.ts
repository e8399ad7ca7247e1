import { mutantsOf } from '../mutant.ts'

/** What a restored table forgets, or gets wrong. */
export const snapshot = mutantsOf('core/udp/snapshot.ts', [
  ['restored: the phase is forgotten', '  state.phase = snapshot.phase\n', ''],
  ['restored: an abort is forgotten', '  state.isAborted = snapshot.isAborted\n', ''],
  ['restored: serials begin anew', '  state.serialLast = snapshot.serialLast\n', ''],
  [
    'restored: backends of sources are forgotten',
    'state.sources.setMember(state.sources.find(client), state.group.at(index))',
    '',
  ],
  [
    'restored: backends that left are not waited for',
    'for (const [index, ms] of snapshot.lingering) state.lingering.set(state.group.at(index), now + ms)',
    '',
  ],
  [
    'restored: a lack of sockets is forgotten',
    'if (snapshot.hostPauseMs !== undefined) state.hostPausedUntil = now + snapshot.hostPauseMs',
    '',
  ],
  [
    'restored: the end of a close is forgotten',
    'state.closeAt = snapshot.closeMs === undefined ? undefined : now + snapshot.closeMs',
    '',
  ],
  [
    'restored: a mass close is forgotten',
    '  state.sweep = snapshot.sweep === undefined ? undefined : { ...snapshot.sweep }\n',
    '',
  ],
  [
    'restored: what is left of a mass close has no instant',
    'state.goOnAt = snapshot.goOnMs === undefined ? undefined : now + snapshot.goOnMs',
    '',
  ],
  [
    'restored: counters begin anew',
    'Object.assign(state.counters, structureOf(snapshot.counters))',
    '',
  ],
  [
    'restored: the configuration in force is that of the options',
    'state.config = state.configs[state.configNumber]!.config',
    '',
  ],
  [
    'restored: free slots are turned round',
    'slots: records.save(),',
    'slots: { ...records.save(), free: records.save().free.toReversed() },',
  ],
  [
    'restored: timers of one bucket are turned round',
    'for (const flow of snapshot.flows.toReversed()) restoreFlow',
    'for (const flow of snapshot.flows) restoreFlow',
  ],
  ['restored: flows are as old as the clock', 'now - flow.ageMs', '0 - flow.ageMs'],
  [
    'restored: who was announced is forgotten',
    'if (flow.announced !== undefined) state.announced.set(slot, flow.announced)',
    'if (flow.announced !== undefined) words[at + FLAGS]! &= ~ANNOUNCED',
  ],
  [
    'restored: flows that take no more are found',
    'if ((words[at + FLAGS]! & PHASE_MASK) !== ANSWERING) {',
    'if (slot >= 0) {',
  ],
  ['restored: configurations have no flows', 'state.configs[words[at + CONFIG]!]!.flows += 1', ''],
  [
    'restored: sockets that are lost are not asked for again',
    'records.words[slot >> PAGE_BITS]![records.offset(slot) + FLAGS]! |= SOCKET_LOST',
    '',
  ],
  [
    'restored: flows count for nobody',
    'if (flow.source !== undefined) words[at + SOURCE] = state.sources.enter(flow.source) + 1',
    '',
  ],
  [
    'restored: flows count for whom they belong to now',
    '...(source === NONE ? {} : { source: state.sources.addressOf(source) })',
    '...(source === NONE ? {} : { source: records.peer(slot) })',
  ],
  [
    'restored: addresses of ours have no flows',
    'state.locals.flows[records.local(slot)]! += 1',
    '',
  ],
  ['restored: nobody waits', 'if (waits(state, slot)) {', 'if (slot < 0) {'],
  ['restored: what is held is forgotten', 'state.held.set(slot, held)', ''],
  [
    'restored: bytes held are not counted',
    'for (const payload of held) state.heldBytes += payload.length',
    '',
  ],
  [
    'restored: timers come up at their deadlines only',
    'wheelOf(state, slot).armAt(slot, unitAt(flow.armedMs, now))',
    'wheelOf(state, slot).armAt(slot, unitAt(flow.deadlineMs, now))',
  ],
  [
    'restored: local addresses are forgotten',
    'for (const local of snapshot.locals) state.locals.numberOf(local)',
    '',
  ],
])
