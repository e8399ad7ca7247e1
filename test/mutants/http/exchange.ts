import { mutantsOf } from '../mutant.ts'

/** One exchange from its head to its end. */
export const exchange = [
  ...mutantsOf('core/http/ingress/exchange/begin.ts', [
    [
      'a stream that told of no body has no end',
      'head.body === 0 && client.isStream && !client.hasEnded ? END_DUE : head.body',
      'head.body',
    ],
    [
      'the last of several proxies says how the client came',
      '/^https[ \\t]*(?:,|$)/i',
      '/(?:^|,)[ \\t]*https$/i',
    ],
    [
      'a redirect is of no listener',
      '  if (isOpen) {\n',
      '  if (isOpen && route.redirectTo === undefined) {\n',
    ],
    [
      'any number of requests comes by one connection',
      'client.requests >= config.requestsPerClientMax)',
      'client.requests < 0)',
    ],
    [
      'one request more comes by a connection',
      'client.requests >= config.requestsPerClientMax)',
      'client.requests > config.requestsPerClientMax)',
    ],
    ['who closes is not let go', '    head.wantsClose ||\n', ''],
    [
      'the address that a proxy speaks for does not count',
      '  client.address = origin.address\n',
      '',
    ],
    ['any id of a proxy is taken', 'id !== undefined && isRequestId(id)', 'id !== undefined'],
    ['anything may be a challenge', '!path.startsWith(CHALLENGE_PATH) || ', ''],
    ['a POST is a challenge', " || (method !== 'GET' && method !== 'HEAD')", ''],
    [
      'a CONNECT is led',
      "if (head.path === '') return fail(state, client, 'bad-request', now, out, 501)",
      '',
    ],
    [
      'a path that means another one is not found',
      'if (!isEvasive(head.path)) return fail',
      'if (head.path !== "") return fail',
    ],
    [
      'who came by TLS is sent there again',
      'client.isSecure || (client.trustsPeer',
      '(client.trustsPeer',
    ],
    ['whoever says that it came by TLS did', '(client.trustsPeer && HTTPS', '(HTTPS'],
    [
      'nobody is sent to TLS',
      'route.redirectTo !== undefined && !isSecure(client, head)',
      'route.redirectTo === -1',
    ],
    [
      'a listener that goes takes the next request',
      "listener?.phase === 'open'",
      'listener !== undefined',
    ],
    [
      'who may not come may',
      'settings.access.length > 0 && !admits(settings.access, client.address)',
      'settings.access.length < 0',
    ],
    [
      'who may not come is a use',
      "    return fail(state, client, 'forbidden', now, out)\n",
      "    sayBusy(listener, out)\n    return fail(state, client, 'forbidden', now, out)\n",
    ],
    [
      'backends see the prefix',
      'settings.stripPrefix ? strippedPath(route.path, head.path) : head.path',
      'head.path',
    ],
    [
      'no backend sees the prefix',
      'settings.stripPrefix ? strippedPath(route.path, head.path) : head.path',
      'strippedPath(route.path, head.path)',
    ],
    ['HSTS is said without TLS', 'client.isSecure && settings.hsts', 'settings.hsts'],
    [
      'HSTS is said where it shall not be',
      'client.isSecure && settings.hsts && wantsHsts',
      'client.isSecure && wantsHsts',
    ],
    [
      'an exchange takes as long as it likes',
      'if (settings.totalTimeoutMs > 0) client.totalAt',
      'if (settings.totalTimeoutMs < 0) client.totalAt',
    ],
    ['a request with a body changes the protocol', 'head.body === 0 && !isH2c', '!isH2c'],
    ['a change to HTTP/2 is offered', ' && !H2C.test(head.upgrade)', ''],
    ['backends of HTTP/2 are offered a change', 'head.body === 0 && !isH2c', 'head.body === 0'],
    ['a stream becomes anything', "if (head.upgrade !== 'websocket') return false", ''],
    ['a WebSocket of a stream has a body', '  passage.requestBody = 0\n  client.left = 0\n', ''],
    [
      'a WebSocket of a stream has no key',
      'if (!isH2c) passage.webSocketKey',
      'if (isH2c) passage.webSocketKey',
    ],
  ]),
  ...mutantsOf('core/http/ingress/exchange/request.ts', [
    [
      'a body that cannot be read goes on',
      "    fail(state, client, 'bad-request', now, out, statusOf(fault))\n    return bytes.length\n",
      '    return bytes.length\n',
    ],
    [
      'an answer is waited for as long as for a body',
      'isAnswerDue ? settings!.responseTimeoutMs : settings!.bodyTimeoutMs',
      'settings!.bodyTimeoutMs',
    ],
    [
      'a body is waited for as long as for an answer',
      'isAnswerDue ? settings!.responseTimeoutMs : settings!.bodyTimeoutMs',
      'settings!.responseTimeoutMs',
    ],
    [
      'a stream’s body may be shorter than it says',
      '  if (client.left > 0) {',
      '  if (client.left > 1e9) {',
    ],
  ]),
  ...mutantsOf('core/http/ingress/exchange/answer.ts', [
    [
      'what did not change its protocol is asked again',
      " && client.passage.requestUpgrade === ''\n",
      '\n',
    ],
    [
      'an empty answer of a stream has no trailers',
      'body === 0 && mayHaveTrailers(client, upstream, status) ? END_DUE : body',
      'body',
    ],
    ['a HEAD waits for trailers', " && head!.method !== 'HEAD'\n", '\n'],
    [
      'HTTP/1.0 is told in between',
      '} else if (passage.clientMinor === 1) {\n    write',
      '} else {\n    write',
    ],
    [
      'a stream is told that its WebSocket is there by any answer',
      "if (passage.webSocketKey === '') openTunnel",
      'if (passage.webSocketKey !== undefined) openTunnel',
    ],
    ['a backend that closes is asked again', 'head.wantsClose ? 0 : keepMsOf', 'keepMsOf'],
    [
      'after an early answer the next request is read',
      'client.left !== 0 || client.port.isClosing || !isTold',
      'client.port.isClosing || !isTold',
    ],
    [
      'an answer up to the end of the connection has no end',
      'client.left !== 0 || client.port.isClosing || !isTold',
      'client.left !== 0 || client.port.isClosing',
    ],
    [
      'HTTP/1.0 gets chunks',
      'const isTold = body >= 0 || passage.clientMinor === 1',
      'const isTold = body >= -1',
    ],
    [
      'an answer that cannot be read goes on',
      "    cutOff(state, client, 'bad-response', true, now, out)\n",
      "    cutOff(state, client, 'bad-response', false, now, out)\n",
    ],
    [
      'a body stands still for ever',
      'else setDue(state, client, now + client.settings!.bodyTimeoutMs)',
      '',
    ],
    [
      'a backend that says more is asked again',
      'const mayPark = isClean && isWhole &&',
      'const mayPark = isWhole &&',
    ],
    [
      'a backend that was not asked all is asked again',
      'const mayPark = isClean && isWhole &&',
      'const mayPark = isClean &&',
    ],
    [
      'a backend’s word of how long does not count',
      'Math.min(config.idleUpstreamMs, keepAliveMs - KEPT_LESS_MS)',
      'config.idleUpstreamMs',
    ],
    ['a connection is kept to the last moment', 'keepAliveMs - KEPT_LESS_MS', 'keepAliveMs'],
    [
      'a connection is kept longer than we want',
      'Math.min(config.idleUpstreamMs, keepAliveMs - KEPT_LESS_MS)',
      'keepAliveMs - KEPT_LESS_MS',
    ],
  ]),
  ...mutantsOf('core/http/ingress/exchange/end.ts', [
    [
      'answers before are lost when a client leaves',
      '  if (client.requests < 2) {',
      '  if (client.requests > 0) {',
    ],
    [
      'a client that left waits to be closed',
      '  if (client.requests < 2) {',
      '  if (client.requests < 0) {',
    ],
    ['a redirect is a use', " && outcome !== 'redirected'", ''],
    ['a backend that is late has not failed', 'isLate || outcome ===', 'outcome ==='],
    [
      'a session that does not answer is trusted',
      'isLate && upstream.reader === undefined',
      'upstream.id < 0',
    ],
    ['a fault of one request is that of the next', '  client.fault = undefined\n', ''],
    [
      'a refusal comes in the middle of an answer',
      'if (client.stage > ASKING) {',
      'if (client.stage > DELIVERING) {',
    ],
    [
      'what follows a refused body is a request',
      'if (client.left !== 0 || client.port.isClosing) client.mustClose = true',
      '',
    ],
    [
      'a client takes the next request before its answer',
      'if (!client.isBlocked) {\n    complete',
      'if (client.id > 0) {\n    complete',
    ],
    [
      'a connection is kept as long as for a head',
      'now + port.limits.keepAliveMs',
      'now + port.limits.headTimeoutMs',
    ],
    ['who may not come keeps a service awake', "outcome !== 'forbidden'", 'true'],
    [
      'tunnels that end are counted on',
      '    if (client.stage === TUNNEL) listener.tunnels -= 1\n',
      '',
    ],
    ['the time of one exchange is that of the next', '  client.totalAt = NEVER\n}', '}'],
    ['retries of one exchange are those of the next', '  client.retries = 0\n', ''],
  ]),
  ...mutantsOf('core/http/ingress/exchange/tunnel.ts', [
    [
      'a backend changes to what nobody offered',
      "if (passage.requestUpgrade === '' || !isOffered) {",
      'if (passage.requestUpgrade === "") {',
    ],
    ['a tunnel ends with the time of its exchange', '  client.totalAt = NEVER\n', ''],
    [
      'a tunnel is over when one side is',
      'client.isFinished && upstream.isFinished',
      'client.isFinished',
    ],
    [
      'the end of a client ends its backend before the rest',
      'client.hasEnded && client.queue === undefined && !client.endsUpstream',
      'client.hasEnded && !client.endsUpstream',
    ],
    [
      'a tunnel that is used is idle',
      "  write(client, '', at === 0 ? bytes : bytes.subarray(at), out)\n  touch(state, client, now)\n",
      "  write(client, '', at === 0 ? bytes : bytes.subarray(at), out)\n",
    ],
    [
      'no tunnel lasts without a limit',
      'tunnelIdleMs > 0 ? now + tunnelIdleMs : NEVER',
      'now + tunnelIdleMs + 1',
    ],
  ]),
  ...mutantsOf('core/http/ingress/exchange/body.ts', [
    ['a stream sends more than it told', '  if (left === END_DUE) return -1\n', ''],
    [
      'what a stream says of its length is its end',
      'if (isStream(source) && isStream(sink)) source',
      'if (source.left > 0) source',
    ],
    [
      'each piece of a read is a chunk without an end',
      '  } else if (sink.writesChunks) {\n    write(sink, CHUNK_END, undefined, out)\n  }',
      '  }',
    ],
    [
      'trailers are lost',
      'head + lastChunk(trailers) : head',
      'head + lastChunk(undefined) : head',
    ],
    [
      'a body in chunks that cannot be read goes on',
      'return chunks.fault === undefined ? to : -1',
      'return to',
    ],
    [
      'trailers of a stream are not sent on',
      'trailers?.pairs(TRAILERS_KEPT) ?? NO_FIELDS',
      'NO_FIELDS',
    ],
  ]),
]
