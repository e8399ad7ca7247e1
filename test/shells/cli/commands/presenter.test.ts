import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { livePresenter, plainPresenter } from '../../../../shells/cli/commands/presenter.ts'
import { SAMPLE_VIEW, service } from '../sample-view.ts'
import { FakeScreen } from '../screen/fake-screen.ts'

const notice = (level: 'info' | 'warn' | 'error', text: string) => ({
  at: new Date(2026, 0, 2, 3, 4, 5).toISOString(),
  level,
  text,
})

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

describe('plain lines', () => {
  test('for a person the time is as short as in the table', () => {
    const written: string[] = []
    plainPresenter({ write: (text) => written.push(text) }, false, true).notice(notice('info', 'x'))
    expect(written).toEqual(['03:04:05 x\n'])
  })

  test('a line for each notice, with its time and its weight', () => {
    const written: string[] = []
    const presenter = plainPresenter({ write: (text) => written.push(text) }, false)
    presenter.notice({ ...notice('info', 'web-1 is healthy'), at: '2026-01-02T03:04:05.678Z' })
    presenter.notice({ ...notice('warn', 'two\nlines'), at: '2026-01-02T03:04:05.679Z' })
    presenter.notice({ ...notice('error', 'web-1 \x1b[2Jgone'), at: '2026-01-02T03:04:05.680Z' })
    presenter.say('ready', 'green')
    presenter.changed()
    presenter.close()
    expect(written.join('').split('\n')).toEqual([
      '2026-01-02T03:04:05.678Z web-1 is healthy',
      '2026-01-02T03:04:05.679Z warning: two lines',
      '2026-01-02T03:04:05.680Z error: web-1 gone',
      'ready',
      '',
    ])
  })

  test('what is waited for is said now and then, when it has changed', () => {
    const written: string[] = []
    const presenter = plainPresenter({ write: (text) => written.push(text) }, false)
    const texts = ['one left', 'one left', 'none left', '']
    presenter.status(() => texts.shift() ?? '')
    vi.advanceTimersByTime(30_000)
    presenter.close()
    expect(written.join('')).toBe('one left\nnone left\n')
    expect(vi.getTimerCount()).toBe(0)
  })
})

describe('plain lines of what has news', () => {
  test('are written when there is some, else every five seconds', () => {
    const written: string[] = []
    const presenter = plainPresenter({ write: (text) => written.push(text) }, false)
    let gist = 'two'
    let looks = 0
    presenter.status(
      () => `${gist} left, look ${looks}`,
      () => {
        looks += 1
        return gist
      },
    )
    vi.advanceTimersByTime(2_500)
    expect(written).toEqual([]) // whoever began it has said so
    gist = 'one'
    vi.advanceTimersByTime(8_000)
    expect(written).toEqual(['one left, look 4\n', 'one left, look 9\n'])
    presenter.status(() => '')
    vi.advanceTimersByTime(60_000)
    presenter.close()
    expect([written.length, vi.getTimerCount()]).toEqual([2, 0])
  })
})

function live(over: { busy?: boolean } = {}) {
  const screen = new FakeScreen(60)
  const output = {
    busy: false,
    writes: 0,
    write(text: string) {
      output.writes += 1
      screen.write(text)
    },
    ...over,
  }
  let view = { ...SAMPLE_VIEW, services: [service('web', { state: 'starting' })] }
  const terminal = { colour: false, columns: () => 60, rows: () => 24 }
  return {
    screen,
    output,
    presenter: livePresenter(output, terminal, () => view, true),
    healthy: () => {
      view = { ...SAMPLE_VIEW, services: [service('web')] }
    },
  }
}

describe('a live table', () => {
  const TITLE = 'SERVICE  READY  STATE     RESTARTS'

  test('is redrawn in place, notices scroll above it', () => {
    const { screen, presenter, healthy } = live()
    presenter.status(() => 'starting')
    presenter.changed()
    vi.advanceTimersByTime(100)
    expect(screen.lines()).toEqual([TITLE, 'web        1/1  starting         0', '⠋ starting', ''])
    expect(screen.cursorHidden).toBe(true)

    healthy()
    presenter.notice(notice('info', 'web-1 is healthy'))
    presenter.status(() => '')
    presenter.say('ready')
    vi.advanceTimersByTime(100)
    expect(screen.lines()).toEqual([
      '03:04:05 web-1 is healthy',
      'ready',
      'SERVICE  READY  STATE    RESTARTS',
      'web        1/1  healthy         0',
      '',
    ])
    presenter.close()
    expect(screen.lines()).toHaveLength(5)
    expect([screen.cursorHidden, vi.getTimerCount()]).toEqual([false, 0])
  })

  test('is drawn ten times a second at most, and not at all when nothing happens', () => {
    const { output, presenter } = live()
    for (let change = 0; change < 1_000; change++) {
      presenter.changed()
      vi.advanceTimersByTime(1)
    }
    expect(output.writes).toBeLessThanOrEqual(1 + 10)
    vi.advanceTimersByTime(1_000)
    const before = output.writes
    vi.advanceTimersByTime(60_000)
    expect(output.writes).toBe(before)
  })

  test('waits for a terminal that does not take the last frame yet', () => {
    const { output, presenter } = live({ busy: true })
    presenter.changed()
    vi.advanceTimersByTime(5_000)
    expect(output.writes).toBe(1) // the cursor
    output.busy = false
    vi.advanceTimersByTime(100)
    expect(output.writes).toBe(2)
  })

  test('what is said after the end is still said', () => {
    const { screen, presenter } = live()
    presenter.close()
    presenter.notice(notice('error', 'the journal cannot be closed'))
    presenter.close()
    expect(screen.lines().slice(-2)).toEqual(['03:04:05 error: the journal cannot be closed', ''])
  })

  test('a flood of notices is bounded', () => {
    const { output, presenter } = live({ busy: true })
    let longest = 0
    output.write = (text) => {
      longest = Math.max(longest, text.length)
    }
    for (let each = 0; each < 10_000; each++) presenter.notice(notice('info', 'x'.repeat(1_000)))
    output.busy = false
    vi.advanceTimersByTime(100)
    expect(longest).toBeGreaterThan(50_000)
    expect(longest).toBeLessThan(200_000)
  })
})
