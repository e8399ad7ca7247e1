import { mutantsOf } from '../mutant.ts'

/** What upstream sockets say. */
export const upstream = mutantsOf('core/udp/life/upstream.ts', [
  ['attempts are not compared', 'return current === attempt ? slot : NONE', 'return slot'],
  [
    'a socket may open twice',
    'if (words === undefined || (words[at + FLAGS]! & PHASE_MASK) !== OPENING) {',
    'if (words === undefined) {',
  ],
  [
    'an open does not forgive failures',
    '(words[at + FLAGS]! & ~PHASE_MASK & ~FAILURES_MASK) | OPEN',
    '(words[at + FLAGS]! & ~PHASE_MASK) | OPEN',
  ],
  [
    'what is held is sent newest first',
    'for (const payload of queue) {',
    'for (const payload of queue.toReversed()) {',
  ],
  [
    'what is held beyond the last request is lost',
    'for (const payload of queue) {\n',
    'for (const payload of queue) {\n    if ((words[at + FLAGS]! & PHASE_MASK) === ANSWERING) break\n',
  ],
  ['bytes that were held and sent still count', 'state.heldBytes -= payload.length', ''],
  [
    'a flow that opens with nothing to send waits on',
    '  } else {\n    stopWaiting(state, state.group.at(words[at + BACKEND]!), out)\n  }',
    '  }',
  ],
  [
    'a flow that opens waits twice',
    'state.waiting -= 1\n    state.waitingOn[words[at + BACKEND]!]! -= 1',
    '',
  ],
  [
    'a late open is not counted',
    'state.counters.staleAnswers += 1\n    return\n  }\n  words[at + FLAGS]',
    'return\n  }\n  words[at + FLAGS]',
  ],
  [
    'a late failure is not counted',
    "state.counters.staleAnswers += 1\n    return\n  }\n  if (blame === 'host')",
    "return\n  }\n  if (blame === 'host')",
  ],
  ['a lack of sockets is forgotten', 'state.hostPausedUntil = now + HOST_PAUSE_MS', ''],
  [
    'a lack of sockets is the fault of the backend',
    "closeFlow(state, slot, 'host-limit', now, out)",
    "closeFlow(state, slot, 'backend-failed', now, out)",
  ],
  ['a lack of sockets lasts a second', 'const HOST_PAUSE_MS = 100', 'const HOST_PAUSE_MS = 1_000'],
  [
    'every failure is reported',
    'if (group.shouldReportFailure(member, now)) {',
    'if (slot >= 0) {',
  ],
  ['a failed backend may be chosen at once', '[failed.backend.id]', '[]'],
  [
    'a flow that takes no more goes to another backend',
    'if ((flags & PHASE_MASK) === ANSWERING || isOfBackend) return undefined',
    'if (isOfBackend) return undefined',
  ],
  [
    'with datagram, a flow goes to another backend',
    'if ((flags & PHASE_MASK) === ANSWERING || isOfBackend) return undefined',
    'if ((flags & PHASE_MASK) === ANSWERING) return undefined',
  ],
  [
    'with an extractor, datagram closes a flow whose backend failed',
    "config.affinity === 'datagram' && state.keyOf === undefined",
    "config.affinity === 'datagram'",
  ],
  ['one failure too many', 'failures >= FAILURES_MAX', 'failures > FAILURES_MAX'],
  [
    'failures are not counted',
    'words[at + FLAGS] = (flags & ~FAILURES_MASK) | (failures << FAILURES_SHIFT)',
    '',
  ],
  [
    'an answer as long as it may be is too long',
    'if (payload.length > state.config.datagramBytesMax)',
    'if (payload.length >= state.config.datagramBytesMax)',
  ],
  [
    'an answer that is too long is returned',
    "if (payload.length > state.config.datagramBytesMax) return drop(state, 'oversize')",
    '',
  ],
  [
    'an answer is returned while its socket opens',
    'if (words === undefined || (words[at + FLAGS]! & PHASE_MASK) === OPENING) {',
    'if (words === undefined) {',
  ],
  [
    'what a flow returned is not counted',
    'words[at + DATAGRAMS_DOWN] = returned + 1',
    'words[at + DATAGRAMS_DOWN] = returned',
  ],
  [
    'bytes a flow returned are not counted',
    'doubles[(at + BYTES_DOWN) >> 1]! += payload.length',
    '',
  ],
  ['bytes all flows returned are not counted', 'counters.bytesDown += payload.length', ''],
  [
    'an answered flow is taken for one that never was',
    'if ((words[at + FLAGS]! & ANSWERED) === 0) {',
    'if (slot < 0) {',
  ],
  [
    'an answer is given the front timeout',
    'expiry(state, slot, config, config.backTimeoutMs, now)',
    'expiry(state, slot, config, config.frontTimeoutMs, now)',
  ],
  [
    'an answer is given the back timeout of now',
    'expiry(state, slot, config, config.backTimeoutMs, now)',
    'expiry(state, slot, config, state.config.backTimeoutMs, now)',
  ],
  [
    'an answer moves no deadline',
    'setDeadline(state, slot, expiry(state, slot, config, config.backTimeoutMs, now), now)',
    '',
  ],
  ['an answer takes nothing from what is owed', 'words[at + OWED] = owed - 1', ''],
  ['the first answer is the last', 'if (owed > 1) {', 'if (owed < 0) {'],
  [
    'without responses, every last answer is the end',
    'if (isDone || config.responses > 0) {',
    'if (isDone || owed === 1) {',
  ],
  [
    'responses of now decide',
    'if (isDone || config.responses > 0) {',
    'if (isDone || state.config.responses > 0) {',
  ],
  [
    'the reason is responses where it is requests',
    "isDone ? 'requests' : 'responses'",
    "config.responses > 0 ? 'responses' : 'requests'",
  ],
  [
    'the last answer ends no wait',
    '  words[at + OWED] = 0\n  stopWaiting(state, state.group.at(words[at + BACKEND]!), out)',
    '  words[at + OWED] = 0',
  ],
])
