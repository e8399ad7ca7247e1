import { mutantsOf } from '../mutant.ts'

/** What operators ask for that concerns ports: the end of a node above all. */
export const shutdown = [
  ...mutantsOf('core/node/operator.ts', [
    [
      'who leaves listens at a new internal address',
      "[...state.services.values()].filter((each) => each.stage !== 'leaving')",
      '[...state.services.values()]',
    ],
    [
      'internal endpoints stay where they were',
      "  if (state.phase === 'running') convergeListeners(step, services)\n",
      "  if (state.phase === 'running') return\n",
    ],
    [
      'who is held does not hold a new internal address',
      '  else if (!isStopping(step)) claimPorts(step, services)\n',
      '',
    ],
    [
      'nothing is held when leftovers are gone',
      "    if (service.stage === 'held') beginService(step, service)\n",
      "    if (service.stage === 'held' && service.listeners.size > 0) beginService(step, service)\n",
    ],
    [
      'a drain lasts as long as its endpoints say',
      'state.drainEndsAt = step.now + state.config.drainTimeoutMs',
      'state.drainEndsAt = step.now + 10 * state.config.drainTimeoutMs',
    ],
    ['a drain has no end', "    state.timers.set('shutdown', state.drainEndsAt)\n", ''],
    [
      'public sockets close in the turn of their service',
      '    claimPorts(step, [...state.services.values()])\n',
      '',
    ],
    [
      'a second shutdown begins anew',
      '  if (!isStopping(step)) {\n    state.phase',
      '  if (state.phase) {\n    state.phase',
    ],
    ['an abort has patience', '    state.drainEndsAt = step.now\n', ''],
    [
      'an abort leaves the end of the drain standing',
      "    state.drainEndsAt = step.now\n    state.timers.cancel('shutdown')\n",
      '    state.drainEndsAt = step.now\n',
    ],
    [
      'an abort leaves connections',
      '      for (const listener of listenersOf(step, service)) cutListener(step, listener)\n',
      '',
    ],
    [
      'an abort leaves programs',
      '    for (const replica of [...state.replicas.values()]) abortReplica(step, replica)\n',
      '',
    ],
    [
      'replicas that drain are not stopped when the drain is over',
      "  for (const replica of replicas) replicaStep(step, replica, 'timeout')\n",
      '',
    ],
    [
      'connections are not cut when the drain is over',
      '  for (const listener of state.listeners.values()) cutListener(step, listener, done)\n',
      '',
    ],
    ['a node stops before its sockets are closed', '  if (!state.ledger.isEmpty) return\n', ''],
    [
      'the metrics go first',
      '  if (!isStopping(step) || state.deployments.size > 0) return\n',
      '  if (!isStopping(step)) return\n',
    ],
    [
      'a node that stopped has a timer left',
      "  state.timers.cancel('shutdown')\n  const owners",
      '  const owners',
    ],
    [
      'a node stops twice',
      "  if (state.phase === 'stopped') return\n  state.phase = 'stopped'\n",
      "  state.phase = 'stopped'\n",
    ],
    [
      'metrics are listened for when a service is',
      "  if (wishes.length > 0) driveLedger(step, { type: 'claim', wishes })\n",
      '',
    ],
  ]),
  ...mutantsOf('core/node/service/replicas.ts', [
    [
      'a drain begun late in a shutdown has its whole time',
      "state.phase === 'draining' ? Math.max(0, Math.min(ms, state.drainEndsAt - now)) : ms",
      'state.phase ? ms : now',
    ],
  ]),
]
