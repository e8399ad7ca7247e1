import { mutantsOf } from '../mutant.ts'

/** Clients, ports and listeners: what they are let do, how long, and how they end. */
export const clients = [
  ...mutantsOf('core/http/ingress/clients/connection.ts', [
    ['a tunnel that both have ended is broken', "isOver ? 'done' : 'client-gone'", "'client-gone'"],
    [
      'what a closing client did not take is not cut',
      'closeClient(state, client, !client.isFinished, out)',
      'closeClient(state, client, false, out)',
    ],
    [
      'an idle tunnel that takes nothing is not cut',
      "isDone ? 'done' : 'idle', isLate, now",
      "isDone ? 'done' : 'idle', false, now",
    ],
    [
      'any number of clients comes',
      'state.clients.size >= state.config.clientsMax',
      'state.clients.size < 0',
    ],
    [
      'one client more comes',
      'state.clients.size >= state.config.clientsMax',
      'state.clients.size > state.config.clientsMax',
    ],
    [
      'a client may say nothing for ever',
      '  setDue(state, client, now + client.port.limits.headTimeoutMs)\n  out.push',
      '  setDue(state, client, now + 1e9)\n  out.push',
    ],
    [
      'bad trailers end a stream',
      "  if (typeof trailers !== 'string') client.trailers = trailers\n",
      '  client.trailers = trailers as never\n',
    ],
    [
      'who had too little time for its head may try again',
      "    client.mustClose = true\n    fail(state, client, 'request-timeout'",
      "    fail(state, client, 'request-timeout'",
    ],
    [
      'a tunnel that is idle is reset',
      "isDone ? 'done' : 'idle', isLate, now",
      "isDone ? 'done' : 'idle', true, now",
    ],
    [
      'who waited too long for a service is told another thing',
      "fail(state, client, 'hold-timeout'",
      "fail(state, client, 'response-timeout'",
    ],
    [
      'a client that takes nothing is its backend’s fault',
      "client.isBlocked ? 'request-timeout' : 'response-timeout', now",
      "client.isBlocked ? 'response-timeout' : 'response-timeout', now",
    ],
    [
      'a body that does not come is its backend’s fault',
      'client.isBlocked || (!isAsked(client) && !upstream!.isBlocked)',
      'client.isBlocked',
    ],
    [
      'a backend that takes nothing is its client’s fault',
      '(!isAsked(client) && !upstream!.isBlocked)',
      '!isAsked(client)',
    ],
    [
      'the time of all is that of a part',
      'const isTotal = now >= client.totalAt',
      'const isTotal = now < 0',
    ],
  ]),
  ...mutantsOf('core/http/ingress/clients/reading.ts', [
    ['a client that takes nothing is read', '      if (client.isBlocked) return at\n', ''],
    [
      'a head has its time anew with each byte',
      "    if (reading === 'more') setDue(state, client, now + limits.headTimeoutMs)\n  }",
      "  }\n  if (reading === 'more') setDue(state, client, now + limits.headTimeoutMs)",
    ],
    [
      'after what cannot be read the next is read',
      '    client.mustClose = true\n    client.fault = reader.fault\n',
      '    client.fault = reader.fault\n',
    ],
    [
      'what comes later of a request that waits weighs nothing',
      '    state.heldBytes += count\n    client.heldBytes += count\n',
      '',
    ],
    [
      'any number of bytes comes while it waits',
      'state.heldBytes + count > state.config.heldBytesMax',
      'state.heldBytes < 0',
    ],
    [
      'a stream sends more than it said',
      "      cutOff(state, client, 'bad-request', true, now, out)\n",
      '',
    ],
    [
      'any number of requests is read ahead',
      'waiting > (isPaused ? 0 : client.config.pipelinedBytesMax)',
      'waiting < 0',
    ],
    [
      'a client is read as soon as there is a little room',
      '(isPaused ? 0 : client.config.pipelinedBytesMax)',
      'client.config.pipelinedBytesMax',
    ],
    [
      'a backend goes on for a client that takes nothing',
      'isBlocked && upstream.isConnected && !upstream.hasEnded',
      'isBlocked && upstream.hasEnded && !upstream.isConnected',
    ],
    ['who left waits on for a service', "    leave(state, client, 'client-gone', now, out)\n", ''],
  ]),
  ...mutantsOf('core/http/ingress/clients/closing.ts', [
    [
      'a client is closed before it has all',
      'client.stage !== CLOSING || !client.isFinished',
      'client.stage !== CLOSING',
    ],
    [
      'a client that sends on is reset',
      'client.hasEnded || client.isStream || !client.lingers',
      'client.id > 0',
    ],
    ['a client that stays silent is waited for', ' || !client.lingers) close', ') close'],
    [
      'a client lingers for ever',
      'setDue(state, client, now + LINGER_MS)',
      'setDue(state, client, now + 1e9)',
    ],
    [
      'a client takes its answer whenever it likes',
      'now + (settings?.bodyTimeoutMs ?? port.limits.headTimeoutMs)',
      'now + 1e9',
    ],
  ]),
  ...mutantsOf('core/http/ingress/control/ports.ts', [
    [
      'new limits are for new ports',
      '  for (const port of state.ports.values()) port.limits = limitsOf(config, port.told)\n',
      '',
    ],
    [
      'who rests on a port that closes rests on',
      'if (!next.done && next.value.stage === READY) endIdle',
      'if (!next.done && next.value.stage < 0) endIdle',
    ],
    ['a port that closes is open', '  port.isClosing = true\n', ''],
    [
      'who asks on a port that closes is cut',
      'next.value.stage === READY)',
      'next.value.stage <= 4)',
    ],
  ]),
  ...mutantsOf('core/http/ingress/control/listeners.ts', [
    [
      'a listener that goes holds who waits',
      "  listener.whenEmpty = 'refuse' // nobody wakes",
      '  // nobody wakes',
    ],
    [
      'who waits does not hear that a listener goes',
      '  if (listener.held.size > 0) freeHeld(state, listener)\n  emptyWhenDone',
      '  emptyWhenDone',
    ],
    [
      'a listener that goes keeps its connections',
      '  for (const target of listener.targets) if (target !== undefined) closePool(state, target)\n  if (listener.held',
      '  if (listener.held',
    ],
    [
      'a cut ends what another backend could answer',
      'if (stage === CONNECTING || stage === ASKING) {',
      'if (stage === CONNECTING) {',
    ],
    [
      'a limit that is new does not hold',
      '  listener.group.limit(config.requestsPerBackendMax)\n',
      '',
    ],
  ]),
  ...mutantsOf('core/http/ingress/control/use.ts', [
    [
      'what is used again is idle to its parent',
      "  listener.idleSaid = false\n  out.push({ type: 'busy', listener: listener.id })\n",
      '  listener.idleSaid = false\n',
    ],
    [
      'who is not let in is a use',
      '  if (wasUse) listener.usedAt = now\n',
      '  listener.usedAt = now\n',
    ],
    [
      'a listener is idle before its time',
      '  if (usedAt + idleAfterMs > now) {\n    setIdleTimer(state, listener, usedAt + idleAfterMs)\n    return\n  }\n',
      '',
    ],
    [
      'a listener is idle while it is used',
      'if (live > 0 || idleAfterMs === 0 || idleSaid) return',
      'if (idleAfterMs === 0 || idleSaid) return',
    ],
    [
      'a listener is over with idle connections',
      'live > 0 || idle > 0 || state',
      'live > 0 || state',
    ],
    [
      'a listener is over before its backends are taken away',
      "  if (phase === 'closed' && group.servingCount > 0) return\n",
      '',
    ],
  ]),
  ...mutantsOf('core/http/ingress/control/chores.ts', [
    [
      'all that ends ends at once',
      'const ENDS_PER_STEP_MAX = 1_024',
      'const ENDS_PER_STEP_MAX = 1_000_000',
    ],
    [
      'who is given more time has none',
      '  if (client.dueAt > now) {',
      '  if (client.dueAt > now + 1e9) {',
    ],
    [
      'a backend that is slow to connect is waited for',
      'client.stage === CONNECTING && now < client.totalAt',
      'client.stage === CONNECTING && now < 0',
    ],
    [
      'a connection that was used is closed for its age',
      'if (upstream.dueAt > now) setIdleDue',
      'if (upstream.dueAt < 0) setIdleDue',
    ],
  ]),
  ...mutantsOf('core/http/ingress/ingress.ts', [
    [
      'a connection that was held back rests for less',
      'if (stage === READY) setDue',
      'if (stage < READY) setDue',
    ],
    [
      'a client that closes and takes has no more time',
      'else if (stage === CLOSING) awaitTaking(state, client, now)\n',
      '',
    ],
    [
      'a tunnel that was held back is idle',
      '  else if (stage === TUNNEL) touch(state, client, now)\n',
      '',
    ],
    [
      'what was held back has no more time',
      '  else if (stage === ASKING || stage === ANSWERING) awaitMore(state, client, now)\n',
      '',
    ],
  ]),
]
