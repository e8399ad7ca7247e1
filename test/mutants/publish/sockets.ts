import { mutantsOf } from '../mutant.ts'

/** Sockets from the bind to the answer that says they are closed, and across a restart. */
export const publishSockets = [
  ...mutantsOf('core/publish/ports/plan.ts', [
    ['a claim that wants no socket has one', '[...claims].filter(isWanted)', '[...claims]'],
    [
      'what rides comes before what decides',
      'if (key === record.reach.key) socket.carries.push(record)',
      'if (key) socket.carries.push(record)',
    ],
    [
      'what rides is not in the order of width',
      '  covered.sort(([, a], [, b]) => WIDTHS[a.reach.width] - WIDTHS[b.reach.width])\n',
      '',
    ],
    ['a picked port stays where it is claimed', 'isClaimed(port, socket.reach)) {', 'false) {'],
    [
      'a picked port that is being closed gives way again',
      "socket.asked === 0 && socket.state !== 'releasing' && isClaimed",
      'socket.asked === 0 && isClaimed',
    ],
    [
      'a socket passes to another owner',
      'plan !== undefined && goesOn(socket, plan)',
      'plan !== undefined',
    ],
    [
      'a socket that loses one of its tenants is closed',
      'plan.carries.some(({ owner }) => owners.has(owner))',
      'plan.carries.every(({ owner }) => owners.has(owner))',
    ],
    ['a socket not wanted stays', '    else release(step, socket)\n', ''],
    [
      'a picked port is closed by the claims beside it',
      "if (socket.asked === 0 || socket.state === 'releasing') continue",
      "if (socket.state === 'releasing') continue",
    ],
    [
      'a socket being closed does for its successor',
      "if (socket.asked === 0 || socket.state === 'releasing') continue",
      'if (socket.asked === 0) continue',
    ],
    [
      'a claim not wanted keeps its socket',
      '  for (const record of port.claims) record.socket = undefined\n',
      '',
    ],
    ['what should listen does not', '  for (const socket of made) bindOrWait(step, socket)\n', ''],
    ['a port nobody has is kept', '  dropPortIfEmpty(step.state, port)\n', ''],
    ['a picked port is bound again and again', '  if (socket !== undefined) return\n', ''],
    ['a picked port not wanted stays', '    if (socket !== undefined) release(step, socket)\n', ''],
  ]),
  ...mutantsOf('core/publish/ports/sockets.ts', [
    ['what a socket carries is never said', 'if (!isSame) carriesOthers(step, socket)', ''],
    [
      'what a socket carries is said always',
      'if (!isSame) carriesOthers(step, socket)',
      'carriesOthers(step, socket)',
    ],
    [
      'what is not bound is said to carry',
      "if (state === 'binding' || state === 'listening') step.out.push",
      'step.out.push',
    ],
    [
      'who begins to mind waits',
      "  if (state === 'absent' && !mayBeAbsent(socket)) bindOrWait(step, socket)\n",
      '',
    ],
    [
      'a bind does not wait for the socket in its way',
      'if (isObstructed(state, socket)) {',
      'if (false) {',
    ],
    [
      'a bind leaves its timer',
      '  state.timers.cancel(id)\n  if (isObstructed',
      '  if (isObstructed',
    ],
    [
      'a bind has the number of the one before',
      "  enter(socket, 'binding')\n  socket.attempt += 1\n",
      "  enter(socket, 'binding')\n  socket.attempt ||= 1\n",
    ],
    [':: takes IPv4', "const isV6Only = reach.width !== 'all'", 'const isV6Only = false'],
    [':: never takes IPv4', "const isV6Only = reach.width !== 'all'", 'const isV6Only = true'],
    [
      'anything at the port is in the way',
      ' && overlaps(other.reach, socket.reach)) return true',
      ') return true',
    ],
    [
      'an answer is not compared with its attempt',
      'return record?.attempt === attempt ? record : undefined',
      'return record',
    ],
    [
      'a late bound listens',
      "if (socket?.state !== 'binding') return stale(state)\n  if (socket.asked === 0) {",
      'if (socket === undefined) return stale(state)\n  if (socket.asked === 0) {',
    ],
    [
      'a late failure is tried again',
      "if (socket?.state !== 'binding') return stale(state)\n  state.counters.bindsFailed",
      'if (socket === undefined) return stale(state)\n  state.counters.bindsFailed',
    ],
    [
      'unbound before the unbind is free',
      "if (socket?.state !== 'releasing') return stale(state)",
      'if (socket === undefined) return stale(state)',
    ],
    ['late answers are not counted', '  counters.staleAnswers += 1\n', ''],
    [
      'a picked port is not known',
      '    addInOrder(port.sockets, socket)\n',
      '    if (port) port.sockets.add(socket)\n',
    ],
    [
      'a picked port is kept where it is claimed',
      '    if (isClaimed(port, socket.reach)) {\n      return',
      '    if (false) {\n      return',
    ],
    [
      'failures are never forgotten',
      "  enter(socket, 'listening')\n  socket.failures = 0\n",
      "  enter(socket, 'listening')\n",
    ],
    [
      'the reason outlives the failure',
      "  socket.failures = 0\n  socket.reason = ''\n",
      '  socket.failures = 0\n',
    ],
    ['who holds the port is not said', ', held by ${event.holder}', ''],
    [
      'what a machine lacks nobody minds',
      'event.isMissing === true && mayBeAbsent(socket)',
      'event.isMissing === true',
    ],
    [
      'a port that is taken is missing',
      'event.isMissing === true && mayBeAbsent(socket)',
      'mayBeAbsent(socket)',
    ],
    [
      'nobody minds when one of them does not',
      'carries.every(({ claim }) => claim.isOptional === true)',
      'carries.some(({ claim }) => claim.isOptional === true)',
    ],
    [
      'every failure is news',
      'const isNews = reason !== socket.reason || as !== socket.failedAs',
      'const isNews = true',
    ],
    ['a failure that somebody minds now is no news', ' || as !== socket.failedAs', ''],
    ['pauses do not grow', '  socket.failures += 1\n', ''],
    [
      'pauses grow without end',
      'Math.min(retryFirstMs * 2 ** (socket.failures - 1), retryMaxMs)',
      'retryFirstMs * 2 ** (socket.failures - 1)',
    ],
    [
      'what is absent is tried like any other',
      "now + (as === 'absent' ? retryAbsentMs : pauseMs)",
      'now + pauseMs',
    ],
    [
      'a tick binds without end',
      'for (let left = BINDS_PER_TICK_MAX; left > 0; left--)',
      'for (;;)',
    ],
    [
      'what is left of a tick is due at once',
      'const GO_ON_AFTER_MS = 1',
      'const GO_ON_AFTER_MS = 0',
    ],
    [
      'an early tick goes on',
      '  if (state.goOnAt !== undefined && state.goOnAt > now) return\n',
      '',
    ],
    ['what is left of a tick is due for ever', '  state.goOnAt = undefined\n', ''],
    [
      'the kernel that insists is asked at once',
      'if (reason === undefined) return bindOrWait(step, next)',
      'if (reason !== next.reason) return bindOrWait(step, next)',
    ],
    [
      'the kernel that insists is asked every time as if it were the first',
      '  next.failures = failures\n',
      '  next.failures = Math.min(0, failures)\n',
    ],
    ['who gives way closes nothing', '  release(step, socket)\n  const next', '  const next'],
    [
      'what was never bound is closed',
      '  if (!isBound) return forget({ state, out }, socket)\n',
      '',
    ],
    [
      'nobody leaves a socket',
      '  for (const owner of owners) ownerRecord(state, owner).leaving.add(socket)\n',
      '',
    ],
    [
      'an unbind has the number of the bind',
      "  enter(socket, 'releasing')\n  socket.attempt += 1\n",
      "  enter(socket, 'releasing')\n",
    ],
    [
      'a close is forgotten at once',
      "  out.push({ type: 'unbind', socket: socket.id, attempt: socket.attempt })\n",
      "  out.push({ type: 'unbind', socket: socket.id, attempt: socket.attempt })\n  forget({ state, out }, socket)\n",
    ],
    [
      'who waits is not told',
      "if (other.state === 'waiting' && overlaps(other.reach, socket.reach)) bindOrWait(step, other)",
      '',
    ],
    [
      'what is gone keeps its timer',
      '  state.timers.cancel(id)\n  state.sockets.delete(id)\n',
      '  state.sockets.delete(id)\n',
    ],
    [
      'what is gone stays at its port',
      'if (port?.sockets.delete(socket)) dropPortIfEmpty(state, port)',
      '',
    ],
    [
      'what is gone is still left by its owners',
      '    state.owners.get(owner)?.leaving.delete(socket)\n',
      '',
    ],
    ['the last to leave is kept', '    dropOwnerIfEmpty(state, owner)\n', ''],
  ]),
  ...mutantsOf('core/publish/ports/state.ts', [
    [
      'a socket needs no backend',
      "(claim.bind === 'published' && backends.size > 0)",
      "claim.bind === 'published'",
    ],
    [
      'tcp and udp are one',
      'string => `${namespace}:${port}`',
      "string => `${namespace && 'tcp'}:${port}`",
    ],
  ]),
  ...mutantsOf('core/publish/ports/views.ts', [
    ['a socket serves before it listens', "state === 'listening' && carries.some", 'carries.some'],
    [
      'a socket serves without a backend',
      ' && carries.some(({ backends }) => backends.size > 0)',
      '',
    ],
    ['a claim is confirmed before it is', "if (socket.state !== 'listening') return 'binding'", ''],
  ]),
  ...mutantsOf('core/publish/snapshot.ts', [
    ['instants survive the clock', '[id, at - now] as const', '[id, at] as const'],
    ['numbers begin anew', '  state.socketLast = snapshot.socketLast\n', ''],
    ['claims are as old as they come', '  state.orderLast = snapshot.orderLast\n', ''],
    ['counters begin anew', '  Object.assign(state.counters, snapshot.counters)\n', ''],
    [
      'what was being closed goes on being closed after a crash',
      "    else if (each.state === 'releasing') state.counters.freed += 1\n",
      '',
    ],
    [
      'nobody counts what a crash closed',
      "if (each.state === 'releasing') state.counters.freed += 1\n",
      "if (each.state === 'releasing') continue\n",
    ],
    [
      'what listened is taken to listen after a crash',
      'restoreSocket(state, lost(each))',
      'restoreSocket(state, each)',
    ],
    [
      'nothing is bound after a crash',
      '    for (const id of state.sockets.keys()) state.timers.set(id, now)\n',
      '',
    ],
    ['a picked port survives a crash', '  port: socket.asked,\n', ''],
    ['failures survive a crash', '  failures: 0,\n', ''],
    [
      'attempts begin anew after a crash',
      "  state: 'waiting',\n",
      "  state: 'waiting',\n  attempt: 0,\n",
    ],
    [
      'what is left of a tick is lost',
      '  if (snapshot.goOnMs !== undefined) state.goOnAt = now + snapshot.goOnMs\n',
      '',
    ],
    [
      'timers are lost',
      '  for (const [id, ms] of snapshot.timers) state.timers.set(id, now + ms)\n',
      '',
    ],
    [
      'leavers are lost',
      '  for (const owner of leavers) ownerRecord(state, owner).leaving.add(socket)\n',
      '',
    ],
    ['the socket of a picked port is lost', ' ? { socket: socket.id } : {}', ' ? {} : {}'],
    ['claims are in the order of their owners', '.sort((a, b) => a.order - b.order)', ''],
    ['backends are lost', 'new Map(snapshot.backends.map((each) => [each.id, each]))', 'new Map()'],
    [
      'the configuration is lost',
      '    config: state.config,\n',
      '    config: { ...state.config, retryFirstMs: 250 },\n',
    ],
    [
      'what was announced is forgotten',
      '    failedAs,\n',
      '    failedAs: failedAs && undefined,\n',
    ],
    ['owners are in the order of their coming', '.sort(([a], [b]) => (a < b ? -1 : 1))', ''],
  ]),
]
