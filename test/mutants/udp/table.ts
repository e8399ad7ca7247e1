import { mutantsOf } from '../mutant.ts'

/** The table as a whole, and the small steps everything is made of. */
export const table = [
  ...mutantsOf('core/udp/table.ts', [
    [
      'a drain opens a closed table',
      "if (state.phase === 'serving') state.phase = 'draining'",
      "state.phase = 'draining'",
    ],
    [
      'a second close begins the wait anew',
      "if (state.phase !== 'serving' && state.phase !== 'draining') return\n  state.phase = 'closing'",
      "if (state.phase === 'closed' || state.phase === 'emptied') return\n  state.phase = 'closing'",
    ],
    [
      'a close waits for nobody',
      'state.closeAt = now + state.config.lingerMs',
      'state.closeAt = now',
    ],
    [
      'a close does not end before its wait is over',
      "if (state.phase === 'closing' && state.waiting === 0) {",
      "if (state.phase === 'closing' && state.records.live === 0) {",
    ],
    [
      'a close ends whoever waits',
      "if (state.phase === 'closing' && state.waiting === 0) {",
      "if (state.phase === 'closing') {",
    ],
    [
      'the socket is closed before the last flow',
      "if (state.phase === 'ending' && state.records.live === 0) {",
      "if (state.phase === 'ending') {",
    ],
    ['the socket stays', "out.push({ type: 'stop-listening' })", ''],
    [
      'an abort waits for backends',
      '(state.group.servingCount > 0 && !state.isAborted)',
      'state.group.servingCount > 0',
    ],
    [
      'a closed table is emptied though it has backends',
      ' || (state.group.servingCount > 0 && !state.isAborted)',
      '',
    ],
    ['emptied is said again and again', "  state.phase = 'emptied'\n", ''],
    [
      'what is left of a mass close is forgotten',
      'state.goOnAt = isLeft ? now + GO_ON_AFTER_MS : undefined',
      'state.goOnAt = undefined',
    ],
    [
      'what is left of a mass close is due at once',
      'const GO_ON_AFTER_MS = 1',
      'const GO_ON_AFTER_MS = 0',
    ],
    [
      'nobody is woken for a backend that left',
      'for (const until of state.lingering.values()) at = Math.min(at, until)',
      '',
    ],
    [
      'nobody is woken for the end of a close',
      'if (state.closeAt !== undefined) at = Math.min(at, state.closeAt)',
      '',
    ],
    [
      'the end of a close does not count what the tick closed',
      "return left - beginEnding(state, 'drained', now, left, out)",
      "return left - beginEnding(state, 'drained', now, CLOSES_PER_STEP_MAX, out)",
    ],
    [
      'a mass close does not count what the tick closed',
      'left -= closeMany(state, now, left, out)',
      'left -= closeMany(state, now, CLOSES_PER_STEP_MAX, out)',
    ],
    [
      'a close ends a tick late',
      'if (state.closeAt === undefined || state.closeAt > now) return left',
      'if (state.closeAt === undefined || state.closeAt >= now) return left',
    ],
    [
      'the seed of affinity is ignored',
      'affinitySeed: options.affinitySeed ?? HASH_SEED',
      'affinitySeed: HASH_SEED',
    ],
    [
      'an aborted flow says that it was closed',
      "closeFlow(state, slot, 'aborted', now, out)",
      "closeFlow(state, slot, 'closed', now, out)",
    ],
  ]),
  ...mutantsOf('core/udp/state.ts', [
    [
      'serials are not compared',
      'return words[at + SERIAL]! >>> 0 === serialOf(flow) ? slot : -1',
      'return slot',
    ],
    ['deadlines are rounded down', 'Math.ceil(at / UNIT_MS)', 'Math.floor(at / UNIT_MS)'],
    ['deadlines are a unit late', 'Math.ceil(at / UNIT_MS)', 'Math.floor(at / UNIT_MS) + 1'],
    [
      'a deadline may be past when it is set',
      'Math.max(Math.ceil(at / UNIT_MS), unitOf(now) + 1)',
      'Math.ceil(at / UNIT_MS)',
    ],
    [
      'all our addresses are the first one',
      'if (number === undefined) return this.#add(address, text)',
      'if (number === undefined) return this.all.length > 0 ? 0 : this.#add(address, text)',
    ],
    [
      'one address of ours too many',
      'this.all.length === LOCALS_MAX',
      'this.all.length > LOCALS_MAX',
    ],
    [
      'a lifetime ends nothing',
      'return Math.min(now + timeoutMs, admittedAt + config.lifetimeMaxMs)',
      'return now + timeoutMs + 0 * admittedAt',
    ],
    [
      'a deadline that comes nearer is noticed late',
      'if (unit >= armed) return',
      'if (!Number.isNaN(armed)) return',
    ],
    [
      'an opening flow waits for nothing',
      '(words[at + FLAGS]! & PHASE_MASK) === OPENING || words[at + OWED] !== 0',
      'words[at + OWED] !== 0',
    ],
    [
      'a backend is drained as often as nobody waits for it',
      '  state.lingering.delete(member)\n',
      '',
    ],
    ['a drained backend is not forgotten', 'state.group.forget(member)', ''],
    [
      'the last who waits is not noticed',
      'if (state.waitingOn[member.index] === 0 && state.lingering.has(member))',
      'if (state.waitingOn[member.index] === -1)',
    ],
    [
      'the last who waits is noticed though the backend is there',
      'if (state.waitingOn[member.index] === 0 && state.lingering.has(member))',
      'if (state.waitingOn[member.index] === 0)',
    ],
    ['drops count twice', 'counters.dropped[reason] += 1', 'counters.dropped[reason] += 2'],
    [
      'both words of an affinity key are one',
      'low: halfSipHash(words, from, from + last, key1, key0)',
      'low: halfSipHash(words, from, from + last, key0, key1)',
    ],
    [
      'the key of a flow is hashed without its last word',
      'halfSipHash(words, at + KEY, at + KEY + last, hashSeed[0], hashSeed[1])',
      'halfSipHash(words, at + KEY, at + KEY + last - 1, hashSeed[0], hashSeed[1])',
    ],
  ]),
]
