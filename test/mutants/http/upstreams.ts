import { mutantsOf } from '../mutant.ts'

/** Backends: which one, again which one, connections kept to them, and waiting for one. */
export const upstreams = [
  ...mutantsOf('core/http/ingress/upstreams/choice.ts', [
    [
      'a stream is repeated for ever',
      'upstream.reader !== undefined || !client.wasRepeated',
      'client.id > 0',
    ],
    [
      'a session that goes away costs a retry',
      'isUnsent ? upstream.isConnected : upstream.isReused',
      '!isUnsent && upstream.isReused',
    ],
    [
      'a backend that drops what it took has not failed',
      "    if (!isStale && why === 'upstream-closed') target!.failures += 1\n",
      '',
    ],
    [
      'who tried a backend is sent there again',
      'group.choose(client.tried, key)',
      'group.choose(NONE_TRIED, key)',
    ],
    ['nobody waits', 'if (isHolding(listener)) hold(state', 'if (false) hold(state'],
    [
      'all backends are full when there is none',
      "group.candidateCount > 0 ? 'backends-full' : 'no-backend'",
      "'backends-full'",
    ],
    ['a repetition is not counted', '    client.retries += 1\n', ''],
    [
      'what cannot be repeated takes any idle connection',
      'isRepeatable(client) ? NEVER : client.config.freshUpstreamMs',
      'NEVER',
    ],
    [
      'what can be repeated takes but a fresh connection',
      'isRepeatable(client) ? NEVER : client.config.freshUpstreamMs',
      'client.config.freshUpstreamMs',
    ],
    [
      'a POST is repeated',
      '!upstream.hasAnswered && isIdempotent(client.head!.method)',
      '!upstream.hasAnswered',
    ],
    ['a PUT is not repeated', "    method === 'PUT' ||\n", ''],
    [
      'what is answered in part is repeated',
      '!upstream.hasAnswered && isIdempotent',
      'isIdempotent',
    ],
    [
      'what lost some of its body is repeated',
      'stage === ASKING && isBodyWhole(client)',
      'stage === ASKING',
    ],
    [
      'what was sent to who refused it is not repeated',
      'isUnsent = stage === CONNECTING || (isAsking && wasRefused)',
      'isUnsent = stage === CONNECTING',
    ],
    [
      'a stale connection costs a retry',
      "isOld && mayBeSame && why === 'upstream-closed'",
      "isOld && mayBeSame && why === 'done'",
    ],
    [
      'a fresh connection that ends costs no retry',
      'isUnsent ? upstream.isConnected : upstream.isReused',
      'isUnsent ? upstream.isConnected : upstream.id > 0',
    ],
    [
      'after one stale connection another one is used',
      'seek(state, client, why, now, out, false)',
      'seekAgain(state, client, why, now, out)',
    ],
    [
      'a backend that left is dialled again',
      'if (target!.member.isCandidate) {',
      'if (target!.member !== undefined) {',
    ],
    [
      'one retry too many',
      'client.tried.length > settings!.retries',
      'client.tried.length > settings!.retries + 1',
    ],
    [
      'one retry too few',
      'client.tried.length > settings!.retries',
      'client.tried.length >= settings!.retries',
    ],
    [
      'what waited at the first backend is not sent to the next',
      '  if (client.stage === ASKING) sendQueued(state, client, now, out)\n}\n\n/** A life',
      '}\n\n/** A life',
    ],
    [
      'a backend that is left is never drained',
      'if (group.release(target.member)) {',
      'if (group.release(target.member) && id === "") {',
    ],
    [
      'room that is made helps nobody who waits',
      '  if (held.size > 0) freeHeld(state, listener!)\n}\n',
      '}\n',
    ],
    [
      'every failure is reported',
      'if (!group.shouldReportFailure(target.member, now)) return',
      'group.shouldReportFailure(target.member, now)',
    ],
    [
      'where nobody may wait they wait',
      'if (client.settings!.holdTimeoutMs === 0) {',
      'if (client.settings!.holdTimeoutMs < 0) {',
    ],
    ['where nobody may wait nobody is woken', '  want(listener, out)\n  if', '  if'],
    ['any number waits', 'state.heldCount >= heldMax || ', ''],
    ['one more waits', 'state.heldCount >= heldMax', 'state.heldCount > heldMax'],
    ['any number of bytes waits', ' || state.heldBytes + bytes > heldBytesMax', ''],
    [
      'heads of those who wait weigh nothing',
      'client.head!.fields.text.length + queued(client)',
      'queued(client)',
    ],
    [
      'what was tried before it waited is not tried after',
      '  client.tried = NONE_TRIED\n  client.heldBytes',
      '  client.heldBytes',
    ],
    [
      'they wait for ever',
      'setDue(state, client, now + client.settings!.holdTimeoutMs)',
      'setDue(state, client, now + 1e9)',
    ],
    ['bytes of those who went on still weigh', '  state.heldBytes -= client.heldBytes\n', ''],
    ['each says that it waits', '  if (listener.wantedSaid) return\n', ''],
    [
      'who waits waits while there is a backend that is down',
      "whenEmpty === 'hold' && group.candidateCount === 0",
      "whenEmpty === 'hold'",
    ],
    [
      'who waits goes on to backends that are full',
      ' || (group.openCount === 0 && group.candidateCount > 0)',
      '',
    ],
    [
      'the last who came goes on first',
      'for (const client of held) {\n      unhold',
      'for (const client of [...held].reverse()) {\n      unhold',
    ],
  ]),
  ...mutantsOf('core/http/ingress/upstreams/pool.ts', [
    ['an idle connection whose time is over is used', 'upstream.dueAt <= now || ', ''],
    [
      'a connection is fresh a moment longer',
      'now - upstream.idleAt >= idleMsMax',
      'now - upstream.idleAt > idleMsMax',
    ],
    ['what answered once has answered', '  upstream.hasAnswered = false\n', ''],
    ['bytes of the answer before it count', '  upstream.moved = 0\n', ''],
    ['a connection that its backend closes is kept', '    keepMs > 0 &&\n', ''],
    ['connections of a listener that goes are kept', "    listener.phase === 'open' &&\n", ''],
    ['connections to who left are kept', "    target.member.state === 'serving' &&\n", ''],
    [
      'any number of connections is kept',
      '    target.idle < state.config.idlePerBackendMax &&\n',
      '',
    ],
    ['one connection more is kept', 'target.idle < state', 'target.idle <= state'],
    ['a connection that takes nothing is kept', ' &&\n    !upstream.isBlocked', ''],
    [
      'a connection that was held back rests unread',
      "  if (upstream.isPaused) out.push({ type: 'resume-upstream', upstream: upstream.id })\n",
      '',
    ],
    [
      'idle connections are kept for ever',
      '  setIdleDue(state, upstream, now + keepMs)\n',
      '  setIdleDue(state, upstream, now + 1e9)\n',
    ],
    [
      'a listener waits for connections that are gone',
      '  closeUpstream(state, upstream, false, out)\n  emptyWhenDone(state, upstream.listener, out)\n',
      '  closeUpstream(state, upstream, false, out)\n',
    ],
  ]),
  ...mutantsOf('core/http/ingress/upstreams/connection.ts', [
    [
      'what nobody asked for is an answer to the next',
      '    loseIdle(state, upstream, out)\n  } else {\n    onAnswerBytes',
      '    upstream.hasAnswered = true\n  } else {\n    onAnswerBytes',
    ],
    [
      'this machine’s limits are a backend’s fault',
      "if (blame === 'host') {",
      "if (blame === 'host' && reason === '') {",
    ],
    [
      'a backend that refused its stream is to blame',
      'upstream.isConnected) {\n    lose(',
      'upstream.isConnected && reason === "") {\n    lose(',
    ],
    [
      'a backend that is slow to connect is not reported',
      "  reportFailure(listener, target, reason, now, out)\n  lose(state, client, upstream, 'connect-timeout'",
      "  lose(state, client, upstream, 'connect-timeout'",
    ],
    [
      'an answer that was cut is over',
      "    cutOff(state, client, 'upstream-closed', true, now, out)\n",
      '    endAnswerBody(state, client, upstream, undefined, now, out)\n',
    ],
    ['a tunnel’s end goes no further', '    endDown(state, client, upstream, now, out)\n', ''],
    [
      'trailers of a stream are lost',
      "typeof trailers === 'string' ? undefined : trailers",
      "typeof trailers === 'string' ? undefined : undefined",
    ],
  ]),
]
