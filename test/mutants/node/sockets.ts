import { mutantsOf } from '../mutant.ts'

/** What becomes of the sockets that were asked for, and where they lead. */
export const sockets = [
  ...mutantsOf('core/node/service/sockets.ts', [
    [
      'nobody looks when a port is freed',
      'if (isFreed && state.deferred.size > 0) claimPorts(step, [])',
      '',
    ],
    [
      'a bind that failed is never tried again',
      "else state.timers.set('ledger', deadline)",
      "else state.timers.cancel('ledger')",
    ],
    ['a listener does not know its sockets', 'setUse(step, socket, use)\n      out', 'out'],
    [
      'a listener is let go of while its socket is being closed',
      "out.push({ type: 'unbind-socket', socket, attempt })\n",
      "out.push({ type: 'unbind-socket', socket, attempt })\n      setUse(step, socket, undefined)\n",
    ],
    ['a listener is never let go of', 'return setUse(step, command.socket, undefined)', 'return'],
    ['who shares a socket is not heard', 'return refreshUse(step, command.socket)', 'return'],
    [
      'an IPv6 address hides the port that was picked',
      "event.address.lastIndexOf(':')",
      "event.address.indexOf(':')",
    ],
    [
      'a pair of families is told twice',
      "if (!isMinor) notice(step, 'info', 'listening'",
      "notice(step, 'info', 'listening'",
    ],
    [
      'a socket that listens at last makes nobody ready',
      'step.state.toJudge.add(listener.service)\n    if (!isMinor)',
      'if (!isMinor)',
    ],
    [
      'a socket that fails troubles nobody',
      'step.state.toJudge.add(listener.service)\n    if (isNews &&',
      'if (isNews &&',
    ],
    [
      'every failure of a socket is told',
      "if (isNews && socket.state !== 'absent') {",
      "if (socket.state !== 'absent') {",
    ],
    [
      'a machine without IPv6 is an error',
      "if (isNews && socket.state !== 'absent') {",
      'if (isNews) {',
    ],
    [
      'every failure of the metrics is told',
      "if (!isNews || socket.state === 'absent') continue",
      "if (socket.state === 'absent') continue",
    ],
    [
      'trusted proxies are not trusted',
      'const acceptProxyProtocol = [...new Set(proxies)].sort()',
      'const acceptProxyProtocol = proxies.slice(0, 0)',
    ],
    ['the last of two for one name has it', "    if (routes.has(serverName ?? '')) continue\n", ''],
    [
      'a plain endpoint is found by a name',
      "const serverName = tls === 'off' ? undefined : host",
      'const serverName = host',
    ],
    [
      'a listener does not know of a socket it is routed to',
      'for (const listener of now) state.listeners.get(listener)?.sockets.add(id)',
      '',
    ],
    [
      'a udp listener is over with its socket, and used again',
      'if (listener !== undefined) renewListener(step, listener)',
      '',
    ],
    ['a listener without sockets is kept', '    letGo(step, listener)\n  }\n}', '  }\n}'],
    [
      'a problem is forgotten while the next attempt is under way',
      "socket.state === 'retrying' || (socket.state === 'binding' && socket.failures > 0)",
      "socket.state === 'retrying'",
    ],
    [
      'a socket of flows goes to whoever comes first',
      "return isThere ? present : { kind: 'udp', listener: first.id }",
      "return { kind: 'udp', listener: isThere ? first.id : first.id }",
    ],
    [
      'as many are let in as the least of them takes',
      'Math.max(...users.map(({ endpoint }) => endpoint.stream.connectionsMax))',
      'Math.min(...users.map(({ endpoint }) => endpoint.stream.connectionsMax))',
    ],
    [
      'who is missed is a problem while it is tried',
      "failedAs === 'absent' && (state === 'absent' || state === 'binding' || state === 'waiting')",
      "failedAs === 'absent' && state === 'absent'",
    ],
  ]),
  ...mutantsOf('core/node/service/standing.ts', [
    ['a service without its port is ready', '  service.conflicts.length === 0 &&\n', ''],
    [
      'a service is ready before its sockets listen',
      ' || isMissed(each) || needNot(each))',
      ' || isMissed(each) || needNot(each) || each.id > 0)',
    ],
    [
      'a machine without IPv6 is never ready',
      'SERVED.has(each.state) || isMissed(each)',
      'SERVED.has(each.state)',
    ],
  ]),
]
