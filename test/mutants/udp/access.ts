import { mutantsOf } from '../mutant.ts'

/** Who may come, and whether a table is used. */
export const access = [
  ...mutantsOf('core/udp/life/admission.ts', [
    [
      'network policies are not looked at',
      'if (config.access.length > 0 && isForbidden',
      'if (config.access.length > 9 && isForbidden',
    ],
    [
      'a refused datagram keeps the turn it took',
      '    if (given !== undefined) state.group.release(given)\n    // One',
      '    // One',
    ],
    [
      'a flow goes on though its client may not',
      "    if (slot !== NONE && state.keyOf === undefined) closeFlow(state, slot, 'forbidden', now, out)\n",
      '',
    ],
    [
      'a flow that others share ends with one of them',
      'if (slot !== NONE && state.keyOf === undefined) closeFlow',
      'if (slot !== NONE) closeFlow',
    ],
    ['who may not come is not counted', "    return drop(state, 'forbidden')\n", '    return\n'],
    [
      'a proxy counts as its client',
      'isForbidden(state, slot, announced?.source ?? from)',
      'isForbidden(state, slot, from)',
    ],
    [
      'who shares a flow may always send',
      'if (slot === NONE || state.keyOf !== undefined) return',
      'if (slot === NONE) return',
    ],
    [
      'a flow has what it had',
      'if (words[records.offset(slot) + CONFIG] === configNumber) return false',
      'if (words) return false',
    ],
    [
      'a flow is judged by its socket',
      '!admits(config.access, clientOf(state, slot))',
      '!admits(config.access, sender)',
    ],
    [
      'nobody hears that it is used again',
      "  if (state.use.begin()) out.push({ type: 'busy' })\n",
      '  state.use.begin()\n',
    ],
    [
      'what is used goes on being unused',
      "  if (state.use.begin()) out.push({ type: 'busy' })\n",
      '',
    ],
  ]),
  ...mutantsOf('core/udp/table.ts', [
    [
      'a table is never idle',
      "state.use.tick(now)) out.push({ type: 'idle' })",
      'now < 0) return 0',
    ],
    [
      'nobody wakes it when it is idle',
      "    if (state.phase === 'serving') at = Math.min(at, state.use.next() ?? at)\n",
      '',
    ],
    [
      'a table that drains is idle',
      "  if (state.phase === 'serving' && state.use.tick(now))",
      '  if (state.use.tick(now))',
    ],
  ]),
  ...mutantsOf('core/udp/life/teardown.ts', [
    ['a table is used for ever', '  if (records.live === 0) state.use.end(now)\n', ''],
    [
      'the first flow to end is the last',
      '  if (records.live === 0) state.use.end(now)\n',
      '  state.use.end(now)\n',
    ],
  ]),
  ...mutantsOf('core/udp/life/backends.ts', [
    [
      'one that got backends is not unused',
      '  const inForce = group.version\n  if (records.live === 0) use.end(now)\n',
      '  const inForce = group.version\n',
    ],
    [
      'one that was configured is not unused',
      '  state.config = checkedConfig(config)\n  if (records.live === 0) use.end(now)\n',
      '  state.config = checkedConfig(config)\n',
    ],
    ['it is not told how long', '  use.configure(config.idleAfterMs, now)\n', ''],
  ]),
  ...mutantsOf('core/udp/snapshot.ts', [
    ['restored: nobody knows how long', '  state.use.afterMs = state.config.idleAfterMs\n', ''],
    ['restored: what was said is said again', "  state.use.isIdle = unused === 'idle'\n", ''],
    [
      'restored: since when it is unused',
      "  if (typeof unused === 'number') state.use.unusedSince = now - unused\n",
      '',
    ],
    ['restored: settings of today', '{ ...defaultUdpConfig, ...config }', 'config'],
    [
      'restored: reasons of today',
      '{ ...NOTHING.dropped, ...counters.dropped }',
      '{ ...counters.dropped }',
    ],
    [
      'restored: ends of today',
      '{ ...NOTHING.closed, ...counters.closed }',
      '{ ...counters.closed }',
    ],
  ]),
]
