import { stripVTControlCharacters } from 'node:util'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FrameLook, frameLines, repaint } from '../../../../shells/cli/screen/live-table.ts'
import { widthOf } from '../../../../shells/cli/screen/width.ts'
import { SAMPLE_VIEW, service } from '../sample-view.ts'
import { FakeScreen } from './fake-screen.ts'

const LOOK: FrameLook = {
  columns: 80,
  rows: 24,
  colour: false,
  status: '',
  turn: undefined,
  unicode: true,
}

describe('a frame', () => {
  test('is the table of services', () => {
    expect(frameLines(SAMPLE_VIEW, LOOK)).toEqual([
      'SERVICE  READY  STATE     RESTARTS  ENDPOINTS              DETAIL',
      'db         1/1  starting         0                         waiting for its firs…',
      'web        2/2  healthy          3  http://127.0.0.1:8080',
    ])
  })

  test('ends with what goes on, behind a sign that turns', () => {
    const look = { ...LOOK, status: 'starting', turn: 11 }
    expect(frameLines(SAMPLE_VIEW, look).at(-1)).toBe('⠙ starting')
    expect(frameLines(SAMPLE_VIEW, { ...look, unicode: false }).at(-1)).toBe('\\ starting')
    expect(frameLines(SAMPLE_VIEW, { ...look, colour: true }).at(-1)).toBe(
      '\x1b[36m⠙\x1b[39m starting',
    )
  })

  test('says how many services a low terminal hides', () => {
    const services = Array.from({ length: 10 }, (_, index) => service(`s${index}`))
    expect(frameLines({ ...SAMPLE_VIEW, services }, { ...LOOK, rows: 6, status: 'x' })).toEqual([
      'SERVICE  READY  STATE    RESTARTS',
      's0         1/1  healthy         0',
      's1         1/1  healthy         0',
      'and 8 more: see weir status',
      'x',
    ])
  })

  test('fits the terminal, whatever its size and whatever the names', () => {
    const names = fc.array(fc.string({ unit: 'binary', maxLength: 30 }), { maxLength: 12 })
    const size = fc.record({
      columns: fc.integer({ min: 1, max: 50 }),
      rows: fc.integer({ min: 2, max: 10 }),
      status: fc.string({ unit: 'binary' }),
      turn: fc.option(fc.nat(), { nil: undefined }),
      colour: fc.boolean(),
    })
    fc.assert(
      fc.property(names, size, (each, look) => {
        const services = each.map((name) => service(name, { detail: name, endpoints: [name] }))
        const lines = frameLines({ ...SAMPLE_VIEW, services }, { ...LOOK, ...look })
        expect(lines.length).toBeLessThanOrEqual(look.rows - 1)
        for (const line of lines) {
          expect(widthOf(stripVTControlCharacters(line))).toBeLessThanOrEqual(look.columns)
        }
      }),
    )
  })
})

describe('repainting', () => {
  test('the new lines take the place of the old ones; what is above stays', () => {
    const screen = new FakeScreen(20)
    screen.write('$ weir up\n')
    screen.write(repaint([], 20, '', ['A 0/1', 'B 0/1']))
    screen.write(repaint(['A 0/1', 'B 0/1'], 20, 'a started\n', ['A 1/1']))
    expect(screen.lines()).toEqual(['$ weir up', 'a started', 'A 1/1', ''])
  })

  test('the echo of Ctrl-C is wiped', () => {
    const screen = new FakeScreen(20)
    screen.write(repaint([], 20, '', ['A']))
    screen.write('^C')
    screen.write(repaint(['A'], 20, '', ['A']))
    expect(screen.lines()).toEqual(['A', ''])
  })

  test('lines that a narrower terminal has wrapped are found again', () => {
    const screen = new FakeScreen(20)
    const shown = ['twelve chars', '日本語日本語']
    screen.write('above\n')
    screen.write(repaint([], 20, '', shown))
    screen.resize(8)
    screen.write(repaint(shown, 8, '', ['short']))
    expect(screen.lines()).toEqual(['above', 'short', ''])
  })

  test('after any number of frames the screen shows what was kept, and the last frame', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'b', ' ', '日'), maxLength: 10 })
    const frame = fc.record({
      above: fc.array(line, { maxLength: 3 }),
      next: fc.array(line, { maxLength: 4 }),
    })
    fc.assert(
      fc.property(fc.array(frame, { maxLength: 8 }), (frames) => {
        const screen = new FakeScreen(20)
        let shown: readonly string[] = []
        for (const { above, next } of frames) {
          screen.write(repaint(shown, 20, above.map((each) => `${each}\n`).join(''), next))
          shown = next
        }
        const kept = frames.flatMap(({ above }) => above)
        expect(screen.lines()).toEqual([...kept, ...shown, ''].map((each) => each.trimEnd()))
      }),
    )
  })
})
