import { describe, expect, test } from 'vitest'
import { wantsColour } from '../../../../shells/cli/screen/terminal.ts'

describe('colour', () => {
  const rows: readonly [
    situation: string,
    env: Record<string, string>,
    isTerminal: boolean,
    colour: boolean,
  ][] = [
    ['a terminal', { TERM: 'xterm' }, true, true],
    ['a pipe', { TERM: 'xterm' }, false, false],
    ['a terminal that can do nothing', { TERM: 'dumb' }, true, false],
    ['NO_COLOR on a terminal', { NO_COLOR: '1' }, true, false],
    ['an empty NO_COLOR, which means nothing', { NO_COLOR: '' }, true, true],
    ['FORCE_COLOR on a pipe', { FORCE_COLOR: '1' }, false, true],
    ['FORCE_COLOR=0 on a terminal', { FORCE_COLOR: '0' }, true, false],
    ['FORCE_COLOR over NO_COLOR', { FORCE_COLOR: '1', NO_COLOR: '1' }, false, true],
    ['FORCE_COLOR over TERM', { FORCE_COLOR: 'true', TERM: 'dumb' }, false, true],
  ]
  for (const [situation, env, isTerminal, colour] of rows) {
    test(situation, () => expect(wantsColour(env, isTerminal)).toBe(colour))
  }
})
