/**
 * UDP: what a datagram costs the flow table by its number of flows, and what goes through Weir's
 * two shells beside nginx, the least that can be written with `dgram`, and no proxy at all.
 */
import { fork } from 'node:child_process'
import type { Bench, BenchRow } from './run.ts'
import { reportShells } from './udp/shells.ts'
import type { TableCosts } from './udp/table-process.ts'

const bench: Bench = {
  name: 'udp: the flow table, and datagrams through the shells',
  async rows(report) {
    for (const flows of SIZES) reportTable(flows, await measureTable(flows), report)
    await reportShells(report)
  },
}
export default bench

function measureTable(flows: number): Promise<TableCosts> {
  return new Promise((resolve, reject) => {
    const program = new URL('./udp/table-process.ts', import.meta.url)
    const execArgv = ['--no-warnings', '--expose-gc']
    const child = fork(program, [String(flows)], { execArgv })
    child.once('message', (costs) => resolve(costs as TableCosts))
    child.once('exit', (code) => reject(new Error(`the table's process ended with ${code}`)))
  })
}

function reportTable(flows: number, costs: TableCosts, report: (row: BenchRow) => void): void {
  const row = (what: string, value: number, unit: string, note: string): void =>
    report({ what: `${what}, ${count(flows)} flows`, value: `${count(value)} ${unit}`, note })
  const { forward: goal, churn = '' } = GOALS[flows] ?? {}
  const original = ORIGINAL[flows]
  const notes = [
    ...(goal === undefined ? [] : [`goal ${goal} ns`]),
    ...(original === undefined ? [] : [`the original ${count(original)} ns`]),
  ]
  row('forward a datagram', costs.forward, 'ns', notes.join(', '))
  row('return an answer', costs.answer, 'ns', '')
  row('admit a client', costs.admit, 'ns', churn)
  row('its socket opened', costs.open, 'ns', 'and the datagram held sent on')
  row('close a flow', costs.close, 'ns', churn)
  const note = `goal 160; ${count(costs.processBytes)} of the process`
  row('memory of a flow', costs.bytes, 'bytes', flows < 1_000 ? 'one page of each kind' : note)
}

const count = (value: number): string => Math.round(value).toLocaleString('en')

const SIZES = [10, 1_000, 10_000, 100_000, 1_000_000]

/** Nanoseconds a datagram, of the compiled original. */
const ORIGINAL: Readonly<Record<number, number>> = { 10: 54, 1000: 1_080, 10000: 12_749 }

/** Nanoseconds. */
const GOALS: Readonly<Record<number, { forward: number; churn?: string }>> = {
  10000: { forward: 300 },
  1000000: { forward: 600, churn: 'goal 1,500 ns' },
}
