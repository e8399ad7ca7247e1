import { mutantsOf } from '../mutant.ts'

/** What is asked of the ledger, and where its sockets lead. */
export const sockets = [
  ...mutantsOf('core/node/service/sockets.ts', [
    [
      'who was refused a port is not asked for again',
      'if (service !== undefined) asking.add(service)',
      '',
    ],
    [
      'nobody looks when a port is freed',
      'if (isFreed && state.deferred.size > 0) claimPorts(step, [])',
      '',
    ],
    [
      'one port that is refused costs all of them',
      'claims: claims.filter((claim) => !refused.some((each) => isOf(claim, each)))',
      'claims: refused.length > 0 ? [] : claims',
    ],
    [
      'a port that is refused at one address is at all',
      'claim.namespace === namespace && claim.host === host && claim.port === port',
      'claim.namespace === namespace && claim.port === port',
    ],
    [
      'a port that is refused to tcp is to udp',
      'claim.namespace === namespace && claim.host === host && claim.port === port',
      'claim.host === host && claim.port === port',
    ],
    [
      'a socket with backends is closed in between',
      'const supplied = granted.map((wish) => asSupplied(step, wish))',
      'const supplied = granted',
    ],
    [
      'what listened once listens for ever',
      'if (supplied.some((wish, at) => wish !== granted[at])) {',
      'if (supplied.length > granted.length) {',
    ],
    [
      'what is behind a new claim is not told',
      '  for (const service of asking) republish(step, service)\n',
      '',
    ],
    [
      'what comes in goes where the old file says',
      '  for (const service of asking) refreshUses(step, service.key)\n',
      '',
    ],
    [
      'a program’s port is never given back',
      "if (held.every(({ claim }) => claim.bind !== 'never' || asked.has(claim.id))) return",
      'if (held.length >= 0 || asked.size > 0) return',
    ],
    [
      'a deployment that is held has no ports yet',
      "const isHeld = service.stage === 'held' && service.listeners.size === 0",
      'const isHeld = false',
    ],
    ['what is only held is bound', "({ ...claim, bind: 'published' })", '({ ...claim })'],
    [
      'a program’s port is free while it runs by an older file',
      'wanted.push(...(replicaOf(state, slot)?.ownPorts ?? []).map(programClaim))',
      '',
    ],
    [
      'a program’s port outlives its service',
      "if (!isHeld && service.stage !== 'leaving') wanted.push",
      'if (!isHeld) wanted.push',
    ],
    [
      'a shutdown goes on taking connections',
      "if (!isOutside || state.phase !== 'draining') found.push(claim)",
      'found.push(claim)',
    ],
    [
      'a shutdown goes on taking connections to mappings',
      "purpose === 'public' || purpose === 'mapping'",
      "purpose === 'public'",
    ],
    [
      'a shutdown closes what others inside still use',
      "purpose === 'public' || purpose === 'mapping'",
      'claim.port >= 0',
    ],
    ['the same conflict is told each time', 'if (!known.includes(text))', 'if (known.length >= 0)'],
    [
      'who waits for a service of its own deployment complains',
      'conflicts.filter(({ owner }) => !owner.startsWith(`${deployment}/`))',
      'conflicts.filter(({ owner }) => owner !== deployment)',
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
    ['every failure of the metrics is told', 'if (isNews && socket.carries', 'if (socket.carries'],
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
      "return isUser ? present : { kind: 'udp', listener: first.id }",
      "return { kind: 'udp', listener: isUser ? first.id : first.id }",
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
  ...mutantsOf('core/node/deploy.ts', [
    [
      'a port is freed by who goes only after who comes was refused it',
      'state.ledger.conflicts([...leaving, ...wishes])',
      'state.ledger.conflicts([...wishes, ...leaving.slice(leaving.length)])',
    ],
    [
      'a port that a replica has is given to a service',
      'if (holder === undefined) continue',
      'if (holder !== undefined || port >= 0) continue',
    ],
    ['new services have no ports before they begin', '  claimPorts(step, arrived)\n', ''],
    [
      'a service that is held keeps the ports of its old file',
      'else claimPorts(step, updated)',
      '',
    ],
  ]),
]
