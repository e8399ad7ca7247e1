import { mutantsOf } from '../mutant.ts'

/** The life of a connection, and of each of its directions. */
export const pair = mutantsOf('core/stream/pair.ts', [
  [
    'a listener that is closed takes connections',
    "if (phase !== 'accepting') return 'not-accepting'",
    "if (phase === 'emptied') return 'not-accepting'",
  ],
  [
    'one connection too many',
    'pairs.size >= config.connectionsMax',
    'pairs.size > config.connectionsMax',
  ],
  [
    'a client waits for a backend with room',
    "return group.openCount === 0 ? 'backends-full' : undefined",
    'return undefined',
  ],
  [
    'a refused client gets an orderly end',
    'reason: refusal, reset: true',
    'reason: refusal, reset: false',
  ],
  [
    'a connection lives under the newest configuration',
    '    config: state.config,\n',
    '    get config() {\n      return state.config\n    },\n',
  ],
  [
    'one attempt too many',
    'pair.tried.length < pair.config.connectAttemptsMax',
    'pair.tried.length <= pair.config.connectAttemptsMax',
  ],
  [
    'clients are sent wherever',
    'pair.peers === undefined ? undefined : clientKey(pair.peers.source)',
    'pair.peers && undefined',
  ],
  [
    'clients are known by the address they contacted',
    'clientKey(pair.peers.source)',
    'clientKey(pair.peers.destination)',
  ],
  [
    'a backend that failed is tried again',
    'state.group.choose(pair.tried, key)',
    'state.group.choose([], key)',
  ],
  [
    'what failed a connection is forgotten',
    '  pair.tried = [...pair.tried, member.backend.id]\n',
    '  pair.tried = [...pair.tried]\n',
  ],
  ['a connect has no end', '  state.timers.set(pair.id, now + pair.config.connectTimeoutMs)\n', ''],
  [
    'the header comes after the handshake',
    '  out.push(tls && proxyProtocol ? { ...command, preface: headerOf(state, pair) } : command)',
    '  out.push(command)',
  ],
  [
    'the header comes before and after the handshake',
    'if (!pair.config.proxyProtocol || pair.config.upstreamTls) return',
    'if (!pair.config.proxyProtocol) return',
  ],
  [
    'who nobody knows is a client',
    'if (peers === undefined) return localHeader()\n  return proxyHeader(peers.source, peers.destination',
    'return proxyHeader(peers!.source, peers!.destination',
  ],
  [
    'the header is of who was contacted',
    'proxyHeader(peers.source, peers.destination',
    'proxyHeader(peers.destination, peers.source',
  ],
  ['headers are not counted', '  state.counters.proxyHeaders += 1\n', ''],
  [
    'the header is written before the connection is joined',
    "  out.push({ type: 'join', connection })\n",
    "  if (pair.config.proxyProtocol && !pair.config.upstreamTls)\n    out.push({ type: 'write', connection, to: 'upstream', bytes: headerOf(state, pair) })\n  if (out.push({ type: 'join', connection })) return\n",
  ],
  [
    'a success that nobody waits for keeps its socket',
    "    out.push({ type: 'abandon-upstream', connection, attempt })\n    return\n",
    '    return\n',
  ],
  ['attempts are not compared', ' && pair.link.attempt === attempt', ''],
  ['late answers are not counted', '  state.counters.staleAnswers += 1\n', ''],
  [
    'a connection without an idle limit ends with its connect timeout',
    'if (pair.config.idleTimeoutMs === 0) state.timers.cancel(connection)\n  else touch',
    'touch',
  ],
  ['a connection is idle from its connect on', '  else touch(state, pair, now)\n  out', '  out'],
  [
    'a lack of sockets is the fault of the backend',
    "if (blame === 'host') {",
    "if (blame === 'host' && now < 0) {",
  ],
  [
    'a backend that refuses is not reported',
    '  reportFailure(state, pair.link.member, reason, now, out)\n  tryNext(state, pair, now, out)\n}\n\nexport function onConnectTimeout',
    '  tryNext(state, pair, now, out)\n}\n\nexport function onConnectTimeout',
  ],
  [
    'a backend that does not answer is not reported',
    '  reportFailure(state, pair.link.member, reason, now, out)\n  tryNext(state, pair, now, out)\n}\n\nexport function onData',
    '  tryNext(state, pair, now, out)\n}\n\nexport function onData',
  ],
  [
    'every failure is reported',
    '  if (!state.group.shouldReportFailure(member, now)) return\n',
    '',
  ],
  [
    'an attempt that timed out keeps its socket',
    "  out.push({ type: 'abandon-upstream', connection: pair.id, attempt: pair.link.attempt })\n",
    '',
  ],
  [
    'bytes do not keep a connection alive',
    '  touch(state, pair, now)\n  if (to ===',
    '  if (to ===',
  ],
  ['a slow reader is idle', '  touch(state, pair, now) // a slow reader is not an idle one\n', ''],
  [
    'an end does not keep a connection alive',
    "  touch(state, pair, now)\n  out.push({ type: 'end'",
    "  out.push({ type: 'end'",
  ],
  [
    'what comes for a broken side is written',
    "  if (way === 'broken') {\n    state",
    "  if (way === 'held') {\n    state",
  ],
  [
    'bytes are counted the wrong way',
    "if (to === 'client') state.counters.bytesToClient",
    "if (to !== 'client') state.counters.bytesToClient",
  ],
  [
    'a half-close ends the connection',
    "  out.push({ type: 'end', connection, to })\n",
    "  closePair(state, pair, 'done', false, out)\n",
  ],
  [
    'a half-close is passed on to who sent it',
    "type: 'end', connection, to }",
    "type: 'end', connection, to: from }",
  ],
  [
    'a connection is done with its first direction',
    "if (back === 'finished') closePair(state, pair, 'done'",
    "if (back !== 'broken') closePair(state, pair, 'done'",
  ],
  [
    'what a broken side sent is delivered, and nobody closes',
    "  else if (back === 'broken') closePair(state, pair, resetOf(otherSide(side)), false, out)\n",
    '',
  ],
  [
    'a direction is finished before its end',
    "|| wayTo(pair, side) !== 'ending') return",
    ') return',
  ],
  [
    'who takes no more is paused',
    "type: 'pause', connection, side: otherSide(side) }",
    "type: 'pause', connection, side }",
  ],
  [
    'who takes again is resumed',
    "type: 'resume', connection, side: otherSide(side) }",
    "type: 'resume', connection, side }",
  ],
  [
    'a side that breaks after its end takes all with it',
    "if (wayTo(pair, other) !== 'ending') {",
    'if (other) {',
  ],
  [
    'a half stream ends like a whole one',
    "resetOf(side), wayTo(pair, other) !== 'finished', out)",
    'resetOf(side), false, out)',
  ],
  [
    'a whole stream ends like a half one',
    "resetOf(side), wayTo(pair, other) !== 'finished', out)",
    'resetOf(side), true, out)',
  ],
  [
    'who sends to a broken side is read on',
    "    if (back === 'open') out.push({ type: 'pause', connection, side: other })\n",
    '',
  ],
  [
    'the end of an attempt leaves it on its backend',
    '  leave(state, pair, member, out)\n  chooseUpstream',
    '  chooseUpstream',
  ],
  ['a connection that ended has a timer', '  state.timers.cancel(pair.id)\n', ''],
  [
    'a backend is drained before its last connection is closed',
    "  out.push({ type: 'close', connection: pair.id, reason, reset })\n  if (link.type === 'held') state.held.delete(pair)\n  if (link.type === 'connecting' || link.type === 'joined') leave(state, pair, link.member, out)\n",
    "  if (link.type === 'held') state.held.delete(pair)\n  if (link.type === 'connecting' || link.type === 'joined') leave(state, pair, link.member, out)\n  out.push({ type: 'close', connection: pair.id, reason, reset })\n",
  ],
  [
    'a backend never drains',
    "  out.push({ type: 'backend-drained', backend: member.backend.id, version })\n",
    '',
  ],
  ['what a backend has is not known', '  else pairs.add(pair)\n', ''],
])
