import { describe, expect, test } from 'vitest'
import { type AcmeCause, CAUSES } from '../../../core/acme/causes.ts'
import type { AcmeEvent } from '../../../core/acme/events.ts'
import { Bench, DAY, goodFor, HOUR, issued, MINUTE, orders, report, texts } from './rows.ts'

const failed = (
  attempt: number,
  cause: AcmeCause,
  more: { text?: string; retryAfterMs?: number } = {},
): AcmeEvent => ({ type: 'failed', attempt, cause, text: '', ...more })

describe('which names', () => {
  test('proxy W41: a name without a certificate is ordered as soon as it is known', () => {
    const bench = new Bench()
    expect(bench.names('a.test')).toEqual([{ type: 'look' }])
    expect(bench.step(report(0))).toEqual([{ type: 'order', attempt: 1, name: 'a.test' }])
    expect(bench.step(issued(1, 0))).toEqual([
      { type: 'notice', level: 'info', text: 'acme: a.test has a new certificate' },
    ])
  })

  test('one after the other: who has none first, then what ends first', () => {
    const bench = new Bench()
    bench.names('a.test', 'b.test', 'c.test', 'd.test', 'e.test')
    const certificates = [
      goodFor('a.test', 29 * DAY),
      goodFor('b.test', 2 * DAY),
      goodFor('e.test', 31 * DAY),
    ]
    const order = [bench.step(report(0, ...certificates))]
    for (let attempt = 1; attempt <= 4; attempt++) order.push(bench.step(issued(attempt, 0)))
    expect(order.flatMap(orders)).toEqual(['1 c.test', '2 d.test', '3 b.test', '4 a.test'])
    expect(bench.planner.nameCounts(0)).toEqual({ good: 5, ending: 0, missing: 0 })
  })

  test('none for a name whose wildcard is good, unless it has one of its own', () => {
    const bench = new Bench()
    bench.names('a.b.test', 'b.b.test', 'b.test')
    const wildcard = goodFor('*.b.test', 80 * DAY)
    const commands = bench.step(report(0, wildcard, goodFor('b.b.test', DAY)))
    expect(orders(commands)).toEqual(['1 b.test'])
    expect(orders(bench.step(issued(1, 0)))).toEqual(['2 b.b.test'])
    expect(orders(bench.step(issued(2, 0)))).toEqual([])
  })

  test('nothing at all without names', () => {
    const bench = new Bench()
    expect(bench.names()).toEqual([])
    expect(bench.planner.deadline()).toBeUndefined()
  })

  test('a name that leaves is renewed no more, and its order is given up', () => {
    const bench = new Bench()
    bench.names('a.test', 'b.test')
    bench.step(report(0))
    expect(bench.names('b.test')).toEqual([{ type: 'cancel-order', attempt: 1 }, { type: 'look' }])
    expect(orders(bench.step(report(0)))).toEqual(['2 b.test'])
    // the answer of the one that was given up
    expect(bench.step(issued(1, 0))).toEqual([])
    expect(bench.step(failed(1, 'server'))).toEqual([])
    expect(bench.planner.state.order?.attempt).toBe(2)
  })

  test('more names than there is room for are said once', () => {
    const bench = new Bench({ namesMax: 2 })
    const text = 'warn acme: 1 names are left out: there are 2 already'
    expect(texts(bench.names('c.test', 'a.test', 'b.test'))).toEqual([text])
    expect(texts(bench.names('c.test', 'a.test', 'b.test'))).toEqual([])
    expect([...bench.planner.state.names.keys()]).toEqual(['a.test', 'b.test'])
  })
})

describe('proxy W41: renewal', () => {
  test('when a certificate is good for renewBefore and no longer, to the moment', () => {
    const bench = new Bench()
    bench.names('a.test')
    const certificate = goodFor('a.test', 40 * DAY)
    expect(bench.step(report(0, certificate))).toEqual([])
    let commands = bench.tick()
    while (orders(commands).length === 0) {
      expect(commands).toEqual([{ type: 'look' }]) // every 12 hours
      bench.step(report(bench.now, certificate))
      commands = bench.tick()
    }
    expect(bench.now).toBe(10 * DAY)
  })

  test('never before half of its time is over, however long renewBefore is', () => {
    const bench = new Bench({ renewBeforeMs: 30 * DAY })
    bench.names('a.test')
    const sixDays = { name: 'a.test', ...spanOf(6 * DAY) }
    expect(bench.step(report(0, sixDays))).toEqual([])
    const commands = []
    while (commands.length === 0) commands.push(...orders(look(bench, sixDays)))
    expect(bench.now).toBe(3 * DAY)
  })

  test('what is in use is looked at with each deploy and every 12 hours', () => {
    const bench = new Bench()
    bench.names('a.test')
    bench.step(report(0, goodFor('a.test', 80 * DAY)))
    expect(bench.tick()).toEqual([{ type: 'look' }])
    expect(bench.now).toBe(12 * HOUR)
    // somebody removed it
    expect(orders(bench.step(report(bench.now)))).toEqual(['1 a.test'])
    expect(bench.names('a.test')).toEqual([{ type: 'look' }])
  })

  test('a clock that was set is seen with the next look', () => {
    const bench = new Bench()
    bench.names('a.test')
    const certificate = goodFor('a.test', 80 * DAY)
    bench.step(report(0, certificate))
    expect(orders(bench.step(report(70 * DAY, certificate)))).toEqual(['1 a.test'])
  })
})

describe('failures', () => {
  test('of a name: once in a minute, two, four, up to 12 hours and a quarter more; said once', () => {
    const bench = new Bench()
    bench.names('a.test')
    let commands = bench.step(report(0))
    const pauses: number[] = []
    const said: string[] = []
    for (let attempt = 1; attempt <= 14; attempt++) {
      expect(orders(commands)).toEqual([`${attempt} a.test`])
      const at = bench.now
      said.push(...texts(bench.step(failed(attempt, 'connection', { text: 'refused' }))))
      commands = []
      while (orders(commands).length === 0) commands = look(bench)
      pauses.push((bench.now - at) / MINUTE)
    }
    for (const [index, pause] of pauses.entries()) {
      const least = Math.min(2 ** index, 720)
      expect(pause).toBeGreaterThanOrEqual(least)
      expect(pause).toBeLessThanOrEqual(least * 1.25)
    }
    expect(new Set(pauses.map((pause, index) => pause / 2 ** index)).size).toBeGreaterThan(5)
    expect(said).toEqual([
      'warn acme: no new certificate for a.test: the server could not reach it: refused; port 80 of ' +
        'that name must lead to this node, also through firewalls and NAT; next attempt in about 1 minute',
    ])
  })

  test('do not keep other names back, and another cause is said', () => {
    const bench = new Bench()
    bench.names('a.test', 'b.test')
    bench.step(report(0))
    expect(orders(bench.step(failed(1, 'dns')))).toEqual(['2 b.test'])
    bench.step(issued(2, 0))
    const taken = goodFor('b.test', 90 * DAY)
    let commands = look(bench, taken)
    while (orders(commands).length === 0) commands = look(bench, taken)
    expect(orders(commands)).toEqual(['3 a.test'])
    expect(texts(bench.step(failed(3, 'caa')))[0]).toContain('a CAA record forbids it')
    expect(bench.planner.counters.failed).toMatchObject({ dns: 1, caa: 1, connection: 0 })
  })

  test.each(Object.keys(CAUSES) as AcmeCause[])('%s pauses whom it concerns', (cause) => {
    const bench = new Bench()
    bench.names('a.test', 'b.test')
    bench.step(report(0))
    const next = orders(bench.step(failed(1, cause)))
    expect(next).toEqual(CAUSES[cause].concerns === 'name' ? ['2 b.test'] : [])
    expect(bench.planner.counters.failed[cause]).toBe(1)
  })

  test('of the server: one pause for all, said once, doubled, and over with the first success', () => {
    const bench = new Bench()
    bench.names('a.test', 'b.test', 'c.test')
    let commands = bench.step(report(0))
    const tried: string[] = []
    for (let attempt = 1; attempt <= 4; attempt++) {
      tried.push(...orders(commands))
      const said = texts(bench.step(failed(attempt, 'unreachable', { text: 'ECONNREFUSED' })))
      expect(said.length).toBe(attempt === 1 ? 1 : 0)
      commands = bench.tick()
    }
    expect(tried).toEqual(['1 a.test', '2 b.test', '3 c.test', '4 a.test'])
    expect(bench.now).toBeGreaterThanOrEqual(15 * MINUTE)
    expect(bench.now).toBeLessThanOrEqual(15 * 1.25 * MINUTE)
    expect(orders(bench.step(issued(5, bench.now)))).toEqual(['6 c.test'])
  })

  test('Retry-After holds for the name, and for an hour for the others', () => {
    const bench = new Bench()
    bench.names('a.test', 'b.test')
    bench.step(report(0))
    expect(bench.step(failed(1, 'rate-limited', { retryAfterMs: 34 * HOUR }))).toEqual([
      {
        type: 'notice',
        level: 'warn',
        text:
          'acme: no new certificate for a.test: too much was asked of the server lately; wait; try ' +
          'with directory: staging; next attempt in about 34 hours',
      },
    ])
    expect(orders(bench.tick())).toEqual(['2 b.test'])
    expect(bench.now).toBe(HOUR)
    const taken = goodFor('b.test', 90 * DAY, bench.now)
    bench.step(issued(2, bench.now))
    let commands = look(bench, taken)
    while (orders(commands).length === 0) commands = look(bench, taken)
    expect(orders(commands)).toEqual(['3 a.test'])
    expect(bench.now).toBe(34 * HOUR)
  })

  test('an order without an answer is given up after two minutes', () => {
    const bench = new Bench()
    bench.names('a.test')
    bench.step(report(0))
    const commands = bench.tick()
    expect(bench.now).toBe(2 * MINUTE)
    expect(commands[0]).toEqual({ type: 'cancel-order', attempt: 1 })
    expect(texts(commands)[0]).toContain('the order took too long: after 120 s')
  })

  test('of a renewal: it says that the one before stays', () => {
    const bench = new Bench()
    bench.names('a.test')
    bench.step(report(0, goodFor('a.test', DAY)))
    expect(texts(bench.step(failed(1, 'server', { text: '500' })))[0]).toMatch(
      /; the one before stays in use$/,
    )
  })

  test('a pair that nobody uses is not got again and again', () => {
    const bench = new Bench()
    bench.names('a.test')
    bench.step(report(0))
    bench.step(issued(1, 0))
    // the directory was not read yet
    expect(bench.names('a.test')).toEqual([{ type: 'look' }])
    expect(bench.step(report(0))).toEqual([])
    const commands = look(bench)
    expect(bench.now).toBeGreaterThanOrEqual(MINUTE)
    expect(texts(commands)[0]).toContain('one was got, and another is in use')
    expect(orders(commands)).toEqual([])
    expect(bench.planner.counters.failed.unused).toBe(1)
    while (orders(look(bench)).length === 0) {}
    expect(bench.now).toBeGreaterThanOrEqual(12 * HOUR)
  })

  test('a certificate that is over when it comes does not make the next order', () => {
    const bench = new Bench()
    bench.names('a.test')
    bench.step(report(0))
    expect(orders(bench.step(issued(1, 0, -DAY)))).toEqual([])
    expect(orders(bench.tick())).toEqual([])
  })
})

/** At the deadline; what it looks at is answered. */
function look(bench: Bench, ...certificates: Parameters<typeof report>[1][]) {
  const commands = bench.tick()
  if (!commands.some(({ type }) => type === 'look')) return commands
  return [...commands, ...bench.step(report(bench.now, ...certificates))]
}

const spanOf = (ms: number) => {
  const { validToMs } = goodFor('', ms)
  return { validFromMs: validToMs - ms, validToMs }
}
