import { mutantsOf } from '../mutant.ts'

/** The way in: who it is from, what it asks for, and which route takes it. */
export const entrance = [
  ...mutantsOf('core/stream/entrance/greeting.ts', [
    [
      'everybody is a trusted proxy',
      'const isTrusted = peers !== undefined && isTrustedProxy(door.config, peers)',
      'const isTrusted = peers !== undefined && door.config.trustedProxies.length > 0',
    ],
    [
      'a proxy is trusted in all networks or in none',
      'trustedProxies.some((prefix)',
      'trustedProxies.every((prefix)',
    ],
    [
      'who was contacted is trusted',
      '{ trustedProxies }: EntranceConfig, { source }: Peers',
      '{ trustedProxies }: EntranceConfig, { destination: source }: Peers',
    ],
    [
      'a plain socket is a way in like any other',
      "  if (!isTrusted && door.only?.tls === 'off') {\n    return",
      "  if (!isTrusted && door.only?.tls === 'off' && greetings.size < 0) {\n    return",
    ],
    [
      'one too many is on its way in',
      'greetings.size >= door.config.greetingsMax',
      'greetings.size > door.config.greetingsMax',
    ],
    [
      'a greeting has all the time in the world',
      'now + door.config.greetingTimeoutMs',
      'now + 10 * door.config.greetingTimeoutMs',
    ],
    [
      'a proxy is not read',
      "  enterStage(greeting, { type: 'header' })\n  out.push({ type: 'read', connection })\n",
      "  enterStage(greeting, { type: 'header' })\n",
    ],
    [
      'who comes after the close is let in',
      "  if (state.phase === 'closed') return refuse(state, greeting, 'closing', out)\n  const isTrusted",
      '  const isTrusted',
    ],
    [
      'who speaks after the close is let in',
      "  if (state.phase === 'closed') return refuse(state, greeting, 'closing', out)\n  append",
      '  append',
    ],
    [
      'who is secured after the close is let in',
      "  if (state.phase === 'closed') return refuse(state, greeting, 'closing', out)\n  state.counters.secured",
      '  state.counters.secured',
    ],
    [
      'nobody is told which name is not here',
      "reason === 'no-route' ? UNRECOGNIZED_NAME : NOTHING",
      'reason ? NOTHING : UNRECOGNIZED_NAME',
    ],
    [
      'who asks for another name is reset before it hears',
      "'no-route': false,\n",
      "'no-route': true,\n",
    ],
    [
      'a handshake that fails takes its alert with it',
      '  handshake: false,\n',
      '  handshake: true,\n',
    ],
    ['what came before is overwritten', '    greeting.bytes.set(bytes.subarray(0, length))\n', ''],
    [
      'what comes byte by byte is copied for each',
      'Math.max(greeting.length, 2 * length, ROOM_BYTES_MIN)',
      'greeting.length',
    ],
    [
      'a proxy that speaks for itself hides who it is',
      'greeting.peers = header.announced ?? greeting.peers',
      'greeting.peers = header.announced',
    ],
    [
      'a proxy is taken for its client',
      'greeting.peers = header.announced ?? greeting.peers',
      'greeting.peers = greeting.peers ?? header.announced',
    ],
    [
      'a header is handed on as data',
      'afterHeader(state, greeting, header.length, out)',
      'afterHeader(state, greeting, 0, out)',
    ],
    ['headers are not counted', '  state.counters.proxyHeaders += 1\n', ''],
    [
      'a proxy that sends no header is waited for',
      "return line === 'none' ? 'malformed' : line",
      "return line === 'none' ? 'partial' : line",
    ],
    [
      'a header may be as long as it says',
      "  if (length > PROXY_HEADER_BYTES_MAX) return 'malformed'\n",
      '',
    ],
    ['a header that is not whole is none', "  if (length > bytes.length) return 'partial'\n", ''],
    [
      'a header of datagrams is one of streams',
      " || header.transport === 'dgram' ? 'malformed' : header",
      " ? 'malformed' : header",
    ],
    ['a client is read twice', 'if (!isRead(greeting)) out.push', 'out.push'],
    [
      'a hello behind a header is looked for in the header',
      'new ClientHelloReader(from)',
      'new ClientHelloReader(0 * from)',
    ],
    [
      'a hello that was read is not handed on',
      'takeRoute(state, greeting, route, stage.from, hello.serverName, out)',
      'takeRoute(state, greeting, route, length, hello.serverName, out)',
    ],
    [
      'a connection goes by the newest configuration',
      'routeFor(door, hello.serverName)',
      'routeFor(door && state.door, hello.serverName)',
    ],
    [
      'room behind the bytes is handed on',
      'greeting.bytes.subarray(from, length)',
      'greeting.bytes.subarray(from)',
    ],
    [
      'a client is read on while nobody takes it',
      "  if (isRead(greeting)) out.push({ type: 'hold', connection })\n",
      '',
    ],
    [
      'TLS that goes through ends here',
      "if (route.tls !== 'terminate') return admit",
      "if (route.tls === 'off') return admit",
    ],
    [
      'what the shell has is kept',
      "  greeting.bytes = NOTHING // they are the shell's now\n  greeting.length = 0\n",
      '',
    ],
    [
      'the listener is not told who it is',
      "if (peers === undefined) out.push({ type: 'admit'",
      "if (out) out.push({ type: 'admit'",
    ],
    ['who is through may time out', '  state.timers.cancel(greeting.id)\n', ''],
  ]),
  ...mutantsOf('core/stream/entrance/routes.ts', [
    [
      'names are of one case',
      "route.serverName?.toLowerCase().replace(/\\.$/, '')",
      'route.serverName',
    ],
    [
      'a star is a label of its own',
      "name.startsWith('*.') ? [wildcard, name.slice(1)]",
      "name.startsWith('*!') ? [wildcard, name.slice(1)]",
    ],
    ['of two routes for one name the last counts', 'if (!names.has(key)) names.set', 'names.set'],
    [
      'a lone name is everybody’s',
      "tls === 'off' || (tls === 'terminate' && serverName === undefined)",
      "tls === 'off' || tls === 'terminate' || serverName === ''",
    ],
    [
      'a lone route that goes through is not read',
      "tls === 'off' || (tls === 'terminate' && serverName === undefined)",
      "tls === 'off' || serverName === undefined",
    ],
    [
      'a star is any number of labels',
      "const dot = serverName.indexOf('.')",
      "const dot = serverName.lastIndexOf('.', serverName.lastIndexOf('.') - 1)",
    ],
    [
      'a star is before a name',
      'door.exact.get(serverName) ?? parent ?? door.nameless',
      'parent ?? door.exact.get(serverName) ?? door.nameless',
    ],
    [
      'a name that nobody has is refused',
      'door.exact.get(serverName) ?? parent ?? door.nameless',
      'door.exact.get(serverName) ?? parent',
    ],
    [
      'who asks for no name is refused',
      'if (serverName === undefined) return door.nameless',
      'if (serverName === undefined) return undefined',
    ],
  ]),
  ...mutantsOf('core/stream/entrance/entrance.ts', [
    ['a configuration is not taken', '        state.door = doorOf(event.config)\n', ''],
    [
      'a close leaves those on their way in',
      "        state.phase = 'closed'\n        endMany(state, now, out)\n",
      "        state.phase = 'closed'\n",
    ],
    [
      'a mass end has no bound',
      'const ENDS_PER_STEP_MAX = 1_024',
      'const ENDS_PER_STEP_MAX = 1_000_000',
    ],
    [
      'what is left of a mass end is left',
      '  if (state.greetings.size > 0) state.goOnAt = now + GO_ON_AFTER_MS\n',
      '',
    ],
    [
      'who is late is refused as closing',
      "refuse(state, greeting, 'greeting-timeout', out)",
      "refuse(state, greeting, 'closing', out)",
    ],
    [
      'an early tick goes on',
      '  if (state.goOnAt !== undefined && now < state.goOnAt) return // spurious\n',
      '',
    ],
  ]),
]
