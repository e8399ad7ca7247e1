import { mutantsOf } from '../mutant.ts'

/** A listener as a whole: sets, cuts, mass ends; how many connections a backend has. */
export const listener = [
  ...mutantsOf('core/stream/listener.ts', [
    [
      'how many a backend may have holds from the first change on',
      '    this.state.group.limit(config.connectionsPerBackendMax)\n  }',
      '  }',
    ],
    [
      'how many a backend may have never changes',
      '        state.group.limit(event.config.connectionsPerBackendMax)\n',
      '',
    ],
    [
      'another strategy is for another listener',
      '        state.group.rebalance(event.balance)\n',
      '',
    ],
    ['a configuration is taken for later', '        state.config = event.config\n', ''],
    ['a set is not answered', "  out.push({ type: 'backends-applied', version: inForce })\n", ''],
    [
      'an older set is answered with its own version',
      'const inForce = state.group.version',
      'const inForce = version',
    ],
    ['a backend with connections has drained', "    if (member.state !== 'gone') continue\n", ''],
    [
      'a backend without connections never drains',
      "    if (member.state !== 'gone') continue\n",
      "    if (member.state !== 'draining') continue\n",
    ],
    [
      'a cut ends who is not connected yet',
      'if (!isConnecting(pair)) {\n    closePair',
      'if (pair) {\n    closePair',
    ],
    [
      'a cut leaves the attempt its socket',
      "  out.push({ type: 'abandon-upstream', connection: pair.id, attempt: pair.link.attempt })\n",
      '',
    ],
    [
      'a cut is orderly',
      "closePair(state, pair, 'cut', true, out)",
      "closePair(state, pair, 'cut', false, out)",
    ],
    [
      'an idle connection is reset',
      "closePair(state, pair, 'idle', false, out)",
      "closePair(state, pair, 'idle', true, out)",
    ],
    [
      'who does not answer in time is idle',
      "if (isConnecting(pair)) onConnectTimeout(state, pair, now, out)\n    else if (pair.link.type === 'held')",
      "if (pair.link.type === 'held')",
    ],
    ['a cut is never over', '    state.cutting.delete(member)\n', ''],
    [
      'a mass end has no bound',
      'const ENDS_PER_STEP_MAX = 1024',
      'const ENDS_PER_STEP_MAX = 1_000_000',
    ],
    [
      'what is left of a mass end is left',
      'state.goOnAt = isLeft ? now + GO_ON_AFTER_MS : undefined',
      'state.goOnAt = undefined',
    ],
    [
      'an early tick goes on',
      '  if (state.goOnAt !== undefined && now < state.goOnAt) return // spurious\n',
      '',
    ],
    [
      'an abort is taken back by a close',
      "if (state.phase !== 'emptied' && state.phase !== 'aborting') state.phase = phase",
      "if (state.phase !== 'emptied') state.phase = phase",
    ],
    [
      'a closed listener is empty while its parent has backends there',
      "  if (state.phase === 'closed' && state.group.servingCount > 0) return\n",
      '',
    ],
    [
      'an abort waits for its parent',
      "if (state.phase === 'closed' && state.group.servingCount > 0) return",
      'if (state.group.servingCount > 0) return',
    ],
    ['a listener is emptied again and again', "  state.phase = 'emptied'\n", ''],
  ]),
  ...mutantsOf('core/stream/affinity.ts', [
    [
      'clients of one network are one',
      'for (let at = 0; at < 16; at++)',
      'for (let at = 0; at < 12; at++)',
    ],
    ['an octet is taken four times', 'words[at >> 2]! >> (8 * (at & 3))', 'words[at >> 2]!'],
  ]),
  ...mutantsOf('core/balance/group.ts', [
    [
      'a backend has one connection too many',
      'member.live >= state.livesMax',
      'member.live > state.livesMax',
    ],
    ['no limit is a limit', 'state.livesMax > 0 && member.live', 'member.live'],
    [
      'a lower limit holds for those who come later',
      'for (const member of state.members) if (member !== undefined) this.#weigh(member)',
      '',
    ],
    [
      'who has room again is passed over',
      '    this.#weigh(member)\n    if (member.live > 0 ||',
      '    if (member.live > 0 ||',
    ],
    [
      'who is not chosen counts as full',
      'if (member.isCandidate) state.fullCount +=',
      'state.fullCount +=',
    ],
    [
      'how many are full is not known after a set',
      '    state.fullCount = state.candidates.filter(({ isFull }) => isFull).length\n',
      '',
    ],
    ['restored: who is full has room', '        group.#weigh(member)\n', ''],
    [
      'who is kept does not count',
      '    this.#give(member)\n  }\n\n  /** Ends',
      '  }\n\n  /** Ends',
    ],
  ]),
  ...mutantsOf('core/balance/strategy.ts', [['who is full is chosen', 'member.isFull ||', '']]),
  ...mutantsOf('core/balance/power-of-two.ts', [
    [
      'the lighter of two may be full',
      'if (chosen?.isFull !== true) return chosen',
      'return chosen',
    ],
  ]),
]
