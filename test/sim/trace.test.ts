import { expect, test } from 'vitest'
import { digestOf } from '../../core/journal/digest.ts'
import { replicaId } from '../../core/services/identity.ts'
import { describe, expectedMarks, Trace, type TraceRecord } from '../../sim/trace.ts'

const record = (at: number): TraceRecord => ({
  kind: 'event',
  at,
  event: {
    type: 'replica-started',
    replica: replicaId({ deployment: 'shop', service: 'web', number: 1, incarnation: 2 }),
    attempt: at,
    pid: 71,
  },
})

test('the hash is that of the journal: FNV-1a 64 of the records as JSON', () => {
  const trace = new Trace()
  expect(trace.hash()).toBe(digestOf(''))
  trace.record(record(1))
  trace.record(record(2))
  expect(trace.hash()).toBe(digestOf(JSON.stringify(record(1)) + JSON.stringify(record(2))))
})

test('the newest records are kept, oldest first', () => {
  const trace = new Trace()
  for (let at = 0; at < 1_000; at++) trace.record(record(at))
  expect(trace.newest(3).map((each) => each.at)).toEqual([997, 998, 999])
  expect(trace.newest(100_000).length).toBeLessThan(1_000)
  expect(trace.count).toBe(1_000)
})

test('a sink gets each record as a line of JSON', () => {
  const lines: string[] = []
  const trace = new Trace((line) => lines.push(line))
  trace.record(record(5))
  expect(lines.map((line) => JSON.parse(line))).toEqual([record(5)])
})

test('a record reads as one line', () => {
  expect(describe(record(1_240))).toBe(
    '     1240  event    replica-started replica=shop/web/1#2 attempt=1240 pid=71',
  )
})

test('so does one of the world of a UDP listener', () => {
  const what = 'event upstream-opened 1048576.1'
  expect(describe({ kind: 'udp', at: 1_240, what })).toBe(`     1240  udp      ${what}`)
})

test('kinds, reasons and refusals are counted', () => {
  const trace = new Trace()
  trace.record(record(1))
  trace.record(record(2))
  trace.record({
    kind: 'command',
    at: 2,
    command: { type: 'notice', level: 'info', code: 'listening', text: 'x' },
  })
  trace.record({
    kind: 'command',
    at: 2,
    command: { type: 'reply', request: 1, result: { ok: false, code: 'conflict', text: 'x' } },
  })
  expect([...trace.seen()]).toEqual([
    ['event replica-started', 2],
    ['command notice', 1],
    ['notice listening', 1],
    ['command reply', 1],
    ['refused conflict', 1],
  ])
  for (const [mark] of trace.seen()) expect(expectedMarks()).toContain(mark)
})
