/** What it costs to have an event on disk before its commands run, and to replay it. */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Digest } from '../../core/journal/digest.ts'
import { Journal } from '../../shells/node/journal/journal.ts'
import { replay } from '../../shells/node/journal/replay.ts'
import type { BenchRow } from './run.ts'

const EVENTS = 50_000

const EVENT = {
  type: 'probe-result',
  replica: 'hello/web/1#12',
  attempt: 1234,
  ok: true,
  reason: '',
}
const COMMANDS = [
  {
    type: 'probe',
    replica: 'hello/web/1#12',
    attempt: 1235,
    target: { type: 'tcp', host: '127.0.0.1', port: 20_001 },
    timeoutMs: 1_000,
  },
]

const bench = {
  name: 'journal',
  async rows(report: (row: BenchRow) => void): Promise<void> {
    for (const batch of [1, 8, 64]) {
      const { micros, worst } = record(batch)
      report({
        what: `write, ${batch} events a turn`,
        value: `${micros.toFixed(1)} µs an event`,
        note: `99 of 100 turns within ${worst.toFixed(0)} µs`,
      })
    }
    report({ what: 'replay', value: `${replayed().toFixed(1)} µs an event` })
    report({ what: 'hash', value: `${hashed().toFixed(0)} MB/s` })
  },
}

export default bench

function inDirectory<A>(run: (directory: string) => A): A {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'weir-bench-'))
  try {
    return run(directory)
  } finally {
    fs.rmSync(directory, { recursive: true })
  }
}

function fill(directory: string, batch: number): number[] {
  const journal = new Journal({
    directory,
    life: { version: '1', boot: 'bench', seed: 1 },
    snapshot: () => ({}),
    log: () => {},
    wallClock: () => '',
  })
  journal.begin(0)
  const turns: number[] = []
  for (let now = 0; now < EVENTS / batch; now++) {
    const from = performance.now()
    journal.ready(now)
    for (let each = 0; each < batch; each++) journal.record(now, EVENT, COMMANDS)
    journal.flush(now)
    turns.push(performance.now() - from)
  }
  journal.close(EVENTS)
  return turns
}

function record(batch: number): { micros: number; worst: number } {
  const turns = inDirectory((directory) => fill(directory, batch)).sort((a, b) => a - b)
  const total = turns.reduce((sum, each) => sum + each, 0)
  const worst = turns[Math.floor(turns.length * 0.99)] ?? 0
  return { micros: (total * 1_000) / EVENTS, worst: worst * 1_000 }
}

function replayed(): number {
  return inDirectory((directory) => {
    fill(directory, 64)
    const machine = {
      step: (_event: unknown, _now: number, out: unknown[]) => void out.push(...COMMANDS),
      deadline: () => undefined,
    }
    const from = performance.now()
    const { outcome, events } = replay(
      directory,
      { restore: () => machine, snapshot: () => ({}) },
      '1',
    )
    if (outcome !== 'identical') throw new Error(`the replay is ${outcome}`)
    return ((performance.now() - from) * 1_000) / events
  })
}

function hashed(): number {
  const text = 'x'.repeat(1_000_000)
  const digest = Digest.empty()
  const from = performance.now()
  for (let each = 0; each < 20; each++) digest.text(text)
  return 20_000 / (performance.now() - from)
}
