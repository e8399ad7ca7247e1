import { mutantsOf } from '../mutant.ts'

/** Heads as they go on, what they say of the client, and answers of our own. */
export const heads = [
  ...mutantsOf('core/http/forward/request.ts', [
    ['Host goes on as well as the authority of a target', 'keepsHost ? 0 : HOST', '0'],
    [
      'a client without trust may say who it is',
      '...(drops & TRUSTED ? [] : CLAIMS)',
      '...(drops & TRUSTED ? CLAIMS : [])',
    ],
    ['X-Forwarded-For of a client stays', '  FIELD.xForwardedFor,\n', ''],
    ['X-Real-IP of a client stays', '  FIELD.xRealIp,\n', ''],
    ['Forwarded of a client stays', '  FIELD.forwarded,\n', ''],
    ['a request id of a client stays', '  FIELD.xRequestId,\n', ''],
    ['CF-Connecting-IP of a client stays', '  FIELD.cfConnectingIp,\n', ''],
    ['Transfer-Encoding goes on', '  FIELD.transferEncoding,\n', ''],
    ['Keep-Alive goes on', '  FIELD.keepAlive,\n', ''],
    ['a password for this proxy goes on', '  FIELD.proxyAuthorization,\n', ''],
    ['Expect goes on after it was answered', '...(drops & EXPECT ? [FIELD.expect] : [])', ''],
    ['Expect does not go on', '...(drops & EXPECT ? [FIELD.expect] : [])', 'FIELD.expect'],
    ['TE is lost', "isTe && 'TE'", "''"],
    [
      'other transfer codings are asked for',
      'fields.has(FIELD.te) && TRAILERS.test(fields.joined(FIELD.te)!)',
      'fields.has(FIELD.te)',
    ],
    [
      'a body in chunks is not said to be',
      "if (passage.requestBody === CHUNKED) text += 'Transfer-Encoding: chunked\\r\\n'\n  else if",
      'if',
    ],
    [
      'a POST of a stream without a body waits for one',
      "else if (isStream && needsLength(head)) text += 'Content-Length: 0\\r\\n'",
      '',
    ],
    [
      'the list of X-Forwarded-For begins anew',
      'const chain = passage.forwardedFor || first',
      'const chain = first',
    ],
    [
      'the client is not in a list that another one begins',
      "const first = clientAddress === peerAddress ? '' : clientAddress",
      "const first = ''",
    ],
    [
      'what a proxy says of the scheme is not heard',
      'proto = fields.joined(FIELD.xForwardedProto) || proto',
      'proto += ""',
    ],
    [
      'whoever comes says what scheme it was',
      '  if (isTrusted) {\n    proto',
      '  if (proto !== "") {\n    proto',
    ],
    ['what was said of one host is said of another', 'said.authority !== authority || ', ''],
    ['what was said with one version is said with another', ' || said.minor !== minor', ''],
    ['what a proxy said is said of all that follows', '  if (!isOwn || said', '  if (said'],
    [
      'an IPv6 address is not quoted',
      'address.includes(\':\') ? `"[${address}]"` : address',
      'address',
    ],
    ['a request id may be anything', 'REQUEST_ID.test(text)', "text !== ''"],
    [
      'a WebSocket of a stream stays a CONNECT',
      "webSocketKey === '' ? head.method : 'GET'",
      'head.method',
    ],
  ]),
  ...mutantsOf('core/http/forward/client.ts', [
    [
      'the first of a list is the client',
      'entries.slice(-HOPS_MAX).reverse()',
      'entries.slice(-HOPS_MAX)',
    ],
    [
      'trusted proxies may be clients',
      '    if (!trusts(trusted, client)) return client\n',
      '    return client\n',
    ],
    [
      'what nobody can read is passed over',
      'if (address === undefined) return client\n',
      'if (address === undefined) continue\n',
    ],
    [
      'Forwarded goes on whatever it says',
      'samePacked(address, other) && !nodes.includes(MALFORMED)',
      '!nodes.includes(MALFORMED)',
    ],
    [
      'a malformed Forwarded goes on',
      'samePacked(address, other) && !nodes.includes(MALFORMED)',
      'samePacked(address, other)',
    ],
    ['Forwarded counts for more', "if (forwardedFor === '') address = other", 'address = other'],
    ['Forwarded does not count', "if (forwardedFor === '') address = other", ''],
    [
      'of two for in one element the last counts',
      "node === '' ? (quoted ?? token ?? '') : MALFORMED",
      "quoted ?? token ?? ''",
    ],
    ['an address with its port is none', 'parseIp(bracketed ?? plain ?? entry)', 'parseIp(entry)'],
  ]),
  ...mutantsOf('core/http/forward/response.ts', [
    [
      'the fields of a backend’s connection go on',
      'const KEPT: FieldTable = keepsAllBut(OF_CONNECTION)',
      'const KEPT: FieldTable = keepsAllBut([])',
    ],
    [
      'an interim answer has our fields',
      '  if (status < 200 && !isUpgrade) return `${text}\\r\\n`\n',
      '',
    ],
    [
      'a client of HTTP/1.0 is not told that it may go on',
      'passage.clientMinor === 0',
      'passage.clientMinor < 0',
    ],
    ['an upgrade is not passed on', "if (isUpgrade && head.upgrade !== '')", 'if (false)'],
    [
      'what a backend says of HSTS is said twice',
      'hsts && !fields.has(FIELD.strictTransportSecurity)',
      'hsts',
    ],
    ['HSTS is said of this machine', 'localhost|\\d+', '\\d+'],
    [
      'the key of a WebSocket goes on',
      '[...OF_CONNECTION, FIELD.secWebsocketAccept]',
      'OF_CONNECTION',
    ],
  ]),
  ...mutantsOf('core/http/forward/answer.ts', [
    [
      'nobody is told when to come again',
      "  if (code === 503) fields.push('retry-after', RETRY_AFTER_S)\n",
      '',
    ],
    [
      'a gateway that waited in vain is a bad one',
      "'response-timeout': 504",
      "'response-timeout': 502",
    ],
    [
      'who took too long to connect is a bad gateway',
      "'connect-timeout': 504",
      "'connect-timeout': 502",
    ],
    ['who may not come finds nothing', 'forbidden: 403', 'forbidden: 404'],
    ['any id gets into an error', "isRequestId(requestId) ? requestId : ''", 'requestId'],
    ['a HEAD has a body', "method === 'HEAD' ? '' : body", 'body'],
    [
      'the wildcard of Accept is a browser',
      "weightOf(['text/html', 'text/*', '*/*']) >",
      "weightOf(['text/html', 'text/*', '*/*']) >=",
    ],
    ['a redirect goes wherever Host says', '  if (!HOST.test(host)) return undefined\n', ''],
    ['the usual port is said', "port === 443 ? '' : `:${port}`", '`:${port}`'],
    ['a redirect loses the query', "path : '/'}${query}`", "path : '/'}`"],
    [
      'a redirect is stored by nobody and for the moment',
      'return answer(308,',
      'return answer(302,',
    ],
    [
      'our answers may be stored',
      "length), 'cache-control', 'no-store'",
      "length), 'cache-control', 'public'",
    ],
  ]),
]
