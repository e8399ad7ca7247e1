import { mutantsOf } from '../mutant.ts'

/** How datagrams of clients find their flows, and how clients get one. */
export const admission = mutantsOf('core/udp/life/admission.ts', [
  [
    'a datagram as long as it may be is too long',
    'if (payload.length > config.datagramBytesMax)',
    'if (payload.length >= config.datagramBytesMax)',
  ],
  [
    'everybody is a trusted proxy',
    'if (config.trustedProxies.length > 0 && isTrusted(config, from)) {',
    'if (config.trustedProxies.length >= 0) {',
  ],
  [
    'a header for a stream is believed',
    "if (header.transport === 'stream') return drop(state, 'invalid')",
    '',
  ],
  [
    'a malformed header is payload',
    "if (header === 'malformed') return drop(state, 'invalid')\n    if (header !== 'none') {",
    "if (header !== 'none' && header !== 'malformed') {",
  ],
  ['the header stays in the payload', 'payload = payload.subarray(header.length)', ''],
  [
    'the local address is not in the key',
    'const local = state.locals.numberOf(event.to)',
    'const local = Math.min(0, state.locals.numberOf(event.to))',
  ],
  [
    'the extractor sees the proxy, not the client',
    'state.keyOf(announced?.source ?? from, payload)',
    'state.keyOf(from, payload)',
  ],
  [
    'with datagram, a client has a key',
    'given = state.group.choose()',
    'given = state.group.choose([], { high: from.d, low: from.port })',
  ],
  [
    'with datagram, the backend is not in the key',
    'key.setSocket(from, local, given.index)',
    'key.setSocket(from, local)',
  ],
  [
    'with datagram, a choice for a flow that is there is never taken back',
    'if (given !== undefined) state.group.release(given) // its flow is there, and counts already',
    '',
  ],
  [
    'with datagram, a choice for a refused client is never taken back',
    'if (given !== undefined) state.group.release(given)\n    return drop(state, admitted)',
    'return drop(state, admitted)',
  ],
  [
    'another announced client goes on with the flow of the first',
    'if (slot !== NONE && announced !== undefined && isAnotherClient(state, slot, announced)) {',
    'if (slot < NONE) {',
  ],
  [
    'any announced client supersedes',
    '!samePacked(clientOf(state, slot), source)',
    'source !== undefined',
  ],
  [
    'a flow that goes to another address of ours counts for the first',
    'locals.flows[records.local(slot)]! -= 1\n  locals.flows[local]! += 1',
    '',
  ],
  [
    'another port of an announced client is the same client',
    '!samePacked(clientOf(state, slot), source)',
    '!samePacked({ ...clientOf(state, slot), port: source.port }, source)',
  ],
  [
    'with an extractor, answers go to the first socket',
    'if (state.keyOf !== undefined) moveTo(state, slot, from, local)',
    '',
  ],
  [
    'the client of a flow is the proxy, not who it announced',
    'const client = newcomer.announced?.source ?? newcomer.from',
    'const client = newcomer.from',
  ],
  ['while draining, clients are admitted', "if (state.phase !== 'serving') return 'draining'", ''],
  [
    'a lack of sockets keeps nobody out',
    "if (now < state.hostPausedUntil) return 'host-limit'",
    '',
  ],
  [
    'a lack of sockets keeps clients out for too long',
    'if (now < state.hostPausedUntil)',
    'if (now <= state.hostPausedUntil)',
  ],
  [
    'one flow too many of a source',
    'ofSource >= config.flowsPerSourceMax',
    'ofSource > config.flowsPerSourceMax',
  ],
  ['one flow too many', 'records.live >= config.flowsMax', 'records.live > config.flowsMax'],
  ['one flow too few', 'records.live >= config.flowsMax', 'records.live + 1 >= config.flowsMax'],
  [
    'a table for nobody evicts',
    '(config.flowsMax === 0 || state.halfOpen.size === 0)',
    'state.halfOpen.size === 0',
  ],
  [
    'nobody is evicted',
    'if (isFull && (config.flowsMax === 0 || state.halfOpen.size === 0))',
    'if (isFull)',
  ],
  [
    'somebody is evicted though there is room',
    'if (isFull) evict(state, now, out)',
    'if (state.halfOpen.size > 0) evict(state, now, out)',
  ],
  [
    'somebody is evicted for a client that gets no backend',
    "if (member === undefined) return 'no-backend'\n  if (isFull) evict(state, now, out)",
    "if (isFull) evict(state, now, out)\n  if (member === undefined) return 'no-backend'",
  ],
  [
    'a full table counts before the limit of a source',
    "  if (config.flowsPerSourceMax > 0 && ofSource >= config.flowsPerSourceMax) return 'source-limit'\n",
    '',
  ],
  ['a flow is counted twice', 'state.counters.created += 1', 'state.counters.created += 2'],
  [
    'every flow has the same serial',
    'state.serialLast = (state.serialLast + 1) >>> 0',
    'state.serialLast = 1',
  ],
  [
    'a flow has the first configuration',
    'words[at + CONFIG] = state.configNumber\n  state.configs[state.configNumber]!.flows += 1',
    'words[at + CONFIG] = 0\n  state.configs[0]!.flows += 1',
  ],
  [
    'with source-ip, sources are not remembered',
    "const countsSource = config.flowsPerSourceMax > 0 || config.affinity === 'source-ip'",
    'const countsSource = config.flowsPerSourceMax > 0',
  ],
])
