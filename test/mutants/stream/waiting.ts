import { mutantsOf } from '../mutant.ts'

/** Who may come, who waits for a backend, and whether a listener is used. */
export const waiting = [
  ...mutantsOf('core/stream/pair.ts', [
    [
      'network policies are not looked at',
      "  if (!isAdmitted(config, peers)) return 'forbidden'\n",
      '',
    ],
    [
      'who may not come is told that there is no backend',
      "  if (!isAdmitted(config, peers)) return 'forbidden'\n  const isEmpty = group.candidateCount === 0\n  if (isEmpty && (whenEmpty === 'refuse' || config.holdTimeoutMs === 0)) return 'no-backend'\n",
      "  const isEmpty = group.candidateCount === 0\n  if (isEmpty && (whenEmpty === 'refuse' || config.holdTimeoutMs === 0)) return 'no-backend'\n  if (!isAdmitted(config, peers)) return 'forbidden'\n",
    ],
    [
      'who nobody knows may come',
      'access.length === 0 || (peers !== undefined && admits',
      'access.length === 0 || peers === undefined || (admits',
    ],
    [
      'nobody waits',
      "if (isEmpty && (whenEmpty === 'refuse' || config.holdTimeoutMs === 0))",
      'if (isEmpty)',
    ],
    [
      'who is not to wait does',
      "(whenEmpty === 'refuse' || config.holdTimeoutMs === 0)",
      "whenEmpty === 'refuse'",
    ],
    ['one too many waits', 'held.size >= config.heldMax ?', 'held.size > config.heldMax ?'],
    [
      'who is turned away wakes nobody',
      "    if (refusal === 'no-backend' || refusal === 'held-max') sayWanted(state, out)\n",
      '',
    ],
    [
      'who lost its backend does not wait',
      '  if (mayTry && pair.config.holdTimeoutMs > 0 && mayHold(state)) return hold(state, pair, now, out)\n',
      '  if (pair.tried.length === 0 && mayHold(state)) return hold(state, pair, now, out)\n',
    ],
    [
      'who lost its backend waits without an attempt left',
      'if (mayTry && pair.config',
      'if (pair.config',
    ],
    [
      'who lost its backend waits though it is not to',
      'mayTry && pair.config.holdTimeoutMs > 0 &&',
      'mayTry &&',
    ],
    [
      'who lost its backend finds room where there is none',
      ' && held.size < config.heldMax\n',
      '\n',
    ],
    [
      'there is no end to waiting',
      '  state.timers.set(pair.id, now + pair.config.holdTimeoutMs)\n',
      '',
    ],
    ['how many wait is not counted', '  state.counters.held += 1\n', ''],
    ['the shell is not told who waits', "  out.push({ type: 'hold', connection: pair.id })\n", ''],
    [
      'it is wanted for each who waits',
      "  if (state.isWanted || state.whenEmpty === 'refuse') return\n",
      "  if (state.whenEmpty === 'refuse') return\n",
    ],
    [
      'it is wanted where nobody can be woken',
      "if (state.isWanted || state.whenEmpty === 'refuse') return",
      'if (state.isWanted) return',
    ],
    ['what was said is forgotten', '  state.isWanted = true\n', ''],
    [
      'who waited gets an orderly end',
      "closePair(state, pair, 'hold-refused', true, out)",
      "closePair(state, pair, 'hold-refused', false, out)",
    ],
    ['who goes on waits as well', '  state.held.delete(pair)\n  enterLink', '  enterLink'],
    ['who left still waits', "  if (link.type === 'held') state.held.delete(pair)\n", ''],
    [
      'failures of a backend are not counted',
      '  state.failures.set(member, (state.failures.get(member) ?? 0) + 1)\n',
      '',
    ],
  ]),
  ...mutantsOf('core/stream/listener.ts', [
    [
      'a close leaves who waits waiting',
      "        onClose(state, 'closed')\n        if (state.held.size > 0) endMany(state, now, out)\n",
      "        onClose(state, 'closed')\n",
    ],
    [
      'a closed listener holds who lost its backend',
      "  state.whenEmpty = 'refuse' // nobody",
      '  // nobody',
    ],
    [
      'a set makes a closed listener hold',
      "state.phase === 'accepting' ? whenEmpty : 'refuse'",
      'whenEmpty',
    ],
    [
      'another strategy lets nobody go on',
      '        state.group.rebalance(event.balance)\n        if (state.held.size > 0) endMany(state, now, out)\n',
      '        state.group.rebalance(event.balance)\n',
    ],
    ['an older set says who waits', '  if (!isNews) return\n', ''],
    ['it is wanted once for ever', '  state.isWanted = false\n', ''],
    [
      'a set that keeps them waiting is not told so',
      '  if (isHolding(state)) sayWanted(state, out)\n  else endMany',
      '  if (!isHolding(state)) endMany',
    ],
    ['those who waited do not go on', '  else endMany(state, now, out)\n', ''],
    [
      'who waits is idle',
      "    else if (pair.link.type === 'held') closePair(state, pair, 'hold-timeout', true, out)\n",
      '',
    ],
    [
      'who waited long enough gets an orderly end',
      "closePair(state, pair, 'hold-timeout', true, out)",
      "closePair(state, pair, 'hold-timeout', false, out)",
    ],
    [
      'those who wait go on in one step',
      '  for (const pair of state.held) {\n    if (left === 0) return 0\n',
      '  for (const pair of state.held) {\n',
    ],
    ['those who wait are ended with everything else', '  if (isHolding(state)) return left\n', ''],
    [
      'a listener is never idle',
      "state.use.tick(now)) out.push({ type: 'idle' })",
      'now < 0) return',
    ],
    [
      'nobody wakes it when it is idle',
      "phase === 'accepting' ? use.next() : undefined",
      'undefined',
    ],
    [
      'a closed listener is idle',
      "  if (state.phase === 'accepting' && state.use.tick(now))",
      '  if (state.use.tick(now))',
    ],
    ['it is not told how long', '        state.use.configure(event.config.idleAfterMs, now)\n', ''],
    [
      'nobody hears that it is used again',
      "  else if (use.begin()) out.push({ type: 'busy' })\n",
      '  else use.begin()\n',
    ],
    ['it is used for ever', '  if (pairs.size === 0) use.end(now)\n  else if', '  if'],
  ]),
  ...mutantsOf('core/time/use-timer.ts', [
    [
      'the first limit counts from before',
      '    if (this.afterMs === 0 && this.unusedSince !== undefined) this.unusedSince = now\n',
      '',
    ],
    ['the end of a use is its last word', 'this.unusedSince ??= now', 'this.unusedSince = now'],
    ['it is idle and unused', '    if (!this.isIdle) this.unusedSince', '    this.unusedSince'],
    ['without a limit it is idle at once', 'afterMs === 0 || unusedSince', 'unusedSince'],
    ['it is idle a moment late', 'at > now) return false', 'at >= now) return false'],
    [
      'it is idle again and again',
      '    this.isIdle = true\n    this.unusedSince = undefined\n',
      '',
    ],
  ]),
]
