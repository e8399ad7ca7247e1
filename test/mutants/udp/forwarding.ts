import { mutantsOf } from '../mutant.ts'

/** What is held and forwarded, and how a flow gets another backend. */
export const forwarding = mutantsOf('core/udp/life/forwarding.ts', [
  [
    'an opening flow forwards',
    'if ((words[at + FLAGS]! & PHASE_MASK) !== OPEN) return hold(state, slot, payload)',
    '',
  ],
  [
    'a flow stays with a backend that is not usable',
    'if (!isUsable(state, member, slot, now)) {',
    'if (slot < 0) {',
  ],
  [
    'the datagram that moves a flow is lost',
    'goToAnother(state, slot, other, now, out)\n      return hold(state, slot, payload)',
    'goToAnother(state, slot, other, now, out)\n      return',
  ],
  [
    'the newest held datagram gives way, not the oldest',
    'while (queue.length > 0 && lacksRoom()) {',
    'while (queue.length < 0) {',
  ],
  [
    'one held datagram too many',
    'queue.length >= config.heldDatagramsMax ||',
    'queue.length > config.heldDatagramsMax ||',
  ],
  [
    'how many are held is the configuration of now',
    'queue.length >= config.heldDatagramsMax ||',
    'queue.length >= state.config.heldDatagramsMax ||',
  ],
  [
    'one held byte too few',
    'state.heldBytes + payload.length > state.config.heldBytesMax',
    'state.heldBytes + payload.length >= state.config.heldBytesMax',
  ],
  [
    'bytes held are bounded by what the flow was admitted under',
    'state.heldBytes + payload.length > state.config.heldBytesMax',
    'state.heldBytes + payload.length > config.heldBytesMax',
  ],
  [
    'bytes of a held datagram that gave way still count',
    'state.heldBytes -= queue.shift()!.length',
    'queue.shift()',
  ],
  [
    'a held datagram that gave way is not counted',
    "state.heldBytes -= queue.shift()!.length\n    drop(state, 'held-overflow')",
    'state.heldBytes -= queue.shift()!.length',
  ],
  ['a held datagram is not copied', 'queue.push(new Uint8Array(payload))', 'queue.push(payload)'],
  ['every socket is the first attempt', 'words[at + ATTEMPT]! += 1', 'words[at + ATTEMPT] = 1'],
  ['a new backend owes what the old one did', '  words[at + OWED] = 0\n', ''],
  [
    'only the first backend is told the client',
    "if (config.proxyProtocol !== 'off') words[at + FLAGS]! |= HEADER_DUE",
    "if (config.proxyProtocol !== 'off' && words[at + ATTEMPT] === 1) words[at + FLAGS]! |= HEADER_DUE",
  ],
  [
    'with first, every datagram has a header',
    "if (config.proxyProtocol === 'first') words[at + FLAGS]! &= ~HEADER_DUE",
    '',
  ],
  [
    'with every, only the first datagram has a header',
    "if (config.proxyProtocol === 'first') words[at + FLAGS]! &= ~HEADER_DUE",
    'words[at + FLAGS]! &= ~HEADER_DUE',
  ],
  [
    'the backend of a source is not remembered',
    'if (source >= 0) state.sources.setMember(source, member)',
    '',
  ],
  [
    'an opening flow has the front timeout',
    'expiry(state, slot, config, config.halfOpenTimeoutMs, now)',
    'expiry(state, slot, config, config.frontTimeoutMs, now)',
  ],
  [
    'the old socket is not closed when a flow moves',
    "out.push({ type: 'close-upstream', flow: idOf(state, slot), attempt: words[at + ATTEMPT]! })",
    '',
  ],
  [
    'a flow that moves still counts on its old backend',
    'group.release(member)\n  state.counters.reselected',
    'state.counters.reselected',
  ],
  [
    'a flow that moves still waits for its old backend',
    'if (waits(state, slot)) stopWaiting(state, member, out)\n  group.release',
    'group.release',
  ],
  ['moves are not counted', 'state.counters.reselected += 1', ''],
  [
    'forwarding goes by the configuration of now',
    'const { config } = state.configs[words[at + CONFIG]!]!\n  const flags',
    'const { config } = state\n  const flags',
  ],
  ['a request is owed one answer, however many were said', 'Math.max(1, config.responses)', '1'],
  [
    'a request without responses is owed nothing',
    'Math.max(1, config.responses)',
    'config.responses',
  ],
  [
    'answers owed have no end',
    'Math.min(words[at + OWED]! + Math.max(1, config.responses), OWED_MAX)',
    'words[at + OWED]! + Math.max(1, config.responses)',
  ],
  [
    'datagrams up begin again at 2^32',
    'if (sent < COUNT_MAX) words[at + DATAGRAMS_UP] = sent + 1',
    'words[at + DATAGRAMS_UP] = sent + 1',
  ],
  [
    'what a flow forwarded is not counted',
    'words[at + DATAGRAMS_UP] = sent + 1',
    'words[at + DATAGRAMS_UP] = sent',
  ],
  [
    'bytes a flow forwarded are not counted',
    'doubles[(at + BYTES_UP) >> 1]! += payload.length',
    '',
  ],
  [
    'what all flows forwarded is counted twice',
    'counters.datagramsUp += 1',
    'counters.datagramsUp += 2',
  ],
  [
    'a flow that was never answered has the front timeout',
    'Math.min(config.frontTimeoutMs, config.halfOpenTimeoutMs)',
    'config.frontTimeoutMs',
  ],
  [
    'a flow that was never answered has the half-open timeout though the front one is less',
    'Math.min(config.frontTimeoutMs, config.halfOpenTimeoutMs)',
    'config.halfOpenTimeoutMs',
  ],
  [
    'a request is given the back timeout',
    '      : config.frontTimeoutMs',
    '      : config.backTimeoutMs',
  ],
  [
    'a request does not put the end off',
    'setDeadline(state, slot, expiry(state, slot, config, timeoutMs, now), now)',
    '',
  ],
  ['one request too many', 'sent + 1 < config.requests', 'sent < config.requests'],
  [
    'a flow that takes no more is still found',
    'state.index.remove(storedHash(state, slot), slot)',
    '',
  ],
  [
    'a held datagram shares the memory of a Buffer',
    'queue.push(new Uint8Array(payload))',
    'queue.push(payload.slice())',
  ],
  [
    'a header names our address, not the announced one',
    'state.announced.get(slot)?.destination ?? contacted',
    'contacted',
  ],
  [
    'a header names the proxy, not the announced client',
    'proxyHeader(clientOf(state, slot), destination',
    'proxyHeader(state.records.peer(slot), destination',
  ],
])
