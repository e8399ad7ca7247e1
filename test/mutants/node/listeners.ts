import { mutantsOf } from '../mutant.ts'

/** Listeners, and the backends they are sent. */
export const listeners = mutantsOf('core/node/service/listeners.ts', [
  ['a listener that closes is used again', '      if (isClosing(listener)) continue\n', ''],
  [
    'what is on a listener that was replaced is cut',
    'listener.isReplaced = wanted.has(listener.endpoint.name)',
    'listener.isReplaced = wanted.size < 0',
  ],
  [
    'what is on a listener that is gone is never cut',
    'listener.isReplaced = wanted.has(listener.endpoint.name)',
    'listener.isReplaced = true',
  ],
  [
    'a socket of flows is handed to another listener',
    "if (listener.endpoint.protocol === 'udp') ended.push(listener)",
    '',
  ],
  [
    'a listener never hears of its new settings',
    'if (differs) out.push',
    'if (differs && false) out.push',
  ],
  ['a listener is told the settings it has', 'if (differs) out.push', 'out.push'],
  [
    'a service that is removed goes on listening',
    '  claimPorts(step, [service])\n  for (const listener of open) letGo',
    '  for (const listener of open) letGo',
  ],
  [
    'a listener is closed while sockets lead to it',
    "if (listener.state !== 'closing' || listener.sockets.size > 0) return",
    "if (listener.state !== 'closing') return",
  ],
  [
    'a listener keeps its backends when it is closed',
    '  state.toApply.add(listener.id)\n  state.toPlan.add(listener.service)\n',
    '  state.toPlan.add(listener.service)\n',
  ],
  ['a drain after a close has no end', '  if (!listener.isReplaced) armCut(step, listener)\n', ''],
  [
    'a udp listener is opened anew in a shutdown',
    'if (listener.isReplaced) openListener',
    'openListener',
  ],
  [
    'any set that holds is the last one',
    'if (event.version !== listener.sentVersion) return\n',
    '',
  ],
  [
    'a backend that failed is not asked how it is',
    "driveMonitor(step, replica, { type: 'hurry' })",
    '',
  ],
  [
    'a connection that failed says nothing',
    'return onBackendFailed(step, replica, listener.target, event.reason)',
    'return',
  ],
  [
    'an old word that a backend drained counts',
    'if (left === 0 || version < left) return',
    'if (left === 0) return',
  ],
  [
    'a backend that is in again has drained',
    'if (left === 0 || version < left) return',
    'if (version < left) return',
  ],
  [
    'a listener with connections is forgotten',
    "if (listener.state !== 'closed' || listener.holding.size > 0) return",
    "if (listener.state !== 'closed') return",
  ],
  [
    'a set is sent before the last one holds',
    '  if (listener.sentVersion !== listener.appliedVersion) return\n  const isOpen',
    '  const isOpen',
  ],
  [
    'a backend that left has no connections',
    'for (const id of before.keys()) if (!listener.sent.has(id)) listener.holding.set(id, version)',
    'for (const id of before.keys()) if (!listener.sent.has(id)) listener.holding.delete(id)',
  ],
  ['no backend is published', '  publish(step, listener)\n}\n\n', '}\n\n'],
  [
    'a backend that left stays published',
    "    for (const backend of recorded) driveLedger(step, { type: 'withdraw', owner, backend, claim })\n",
    '',
  ],
  [
    'a backend that leaves one listener is off all',
    "driveLedger(step, { type: 'withdraw', owner, backend, claim })",
    "driveLedger(step, { type: 'withdraw', owner, backend })",
  ],
  [
    'a replica takes part in every role',
    'endpoint.targetRole === undefined || replica.role === endpoint.targetRole',
    'endpoint.targetRole === undefined || replica.role',
  ],
  [
    'a replica that leaves takes part',
    'if (replica === undefined || !takesPart(replica.state)) continue',
    'if (replica === undefined) continue',
  ],
  [
    'a mapping leads to the first endpoint',
    "const port = 'port' in target ? target.port : ports[target.endpoint]",
    "const port = 'port' in target ? target.port : Object.values(ports)[0]",
  ],
  ['a verdict is told with the next replica', ' && down.has(each.id) === (each.down ?? false)', ''],
  [
    'a cut is made once',
    '  step.state.timers.set(`listener ${listener.id}`, step.now + CUT_AGAIN_MS)\n',
    '',
  ],
  [
    'a listener leaves published what the one before it did',
    'else if (listener.sentVersion === 0) publish(step, listener)',
    '',
  ],
  [
    'a listener that was replaced is never cut, not even when its endpoint goes',
    'if (!wanted.has(listener.endpoint.name)) beginPatience(step, listener)',
    '',
  ],
  [
    'a listener that was replaced is never cut, not even when its service leaves',
    'for (const listener of listenersOf(step, service)) beginPatience(step, listener)',
    '',
  ],
  [
    'another strategy is for the next listener',
    'stream, balance: balanceOf(balance), ',
    "stream, balance: balanceOf({ ...balance, strategy: 'round_robin' }), ",
  ],
])
