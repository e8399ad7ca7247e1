/**
 * `weir sim`: the simulator's command line. The only file of `sim/` that knows it runs in Node.
 *
 *   --seeds A..B [--steps N]      a sweep, both ends included
 *   --seed S [--steps N]          one run, with all there is to say about it
 *   --seed S --trace [FILE]       every record of it as a line of JSON
 *   --only node|udp|http          one of the three worlds of a run
 *   --json                        results as JSON, one line each
 *
 * Exit codes: 0 nothing was found, 1 something happened that must never happen, 2 the call was
 * wrong, 3 something that must happen did not, 4 an exception.
 */
import { closeSync, openSync, writeSync } from 'node:fs'
import { type FailureClass, type RunResult, simulate, type WorldName } from './simulate.ts'
import { describe, expectedMarks } from './trace.ts'

interface Call {
  readonly from: number
  readonly to: number
  readonly steps: number
  readonly single: boolean
  /** `-` is the standard output. */
  readonly trace: string | undefined
  readonly json: boolean
  readonly only: WorldName | undefined
}

/** Runs what the words ask for, prints what came of it, and returns the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const call = parseCall(argv)
  if (typeof call === 'string') {
    process.stderr.write(`weir sim: ${call}\n`)
    return EXIT_USAGE
  }
  return call.single ? runOne(call) : sweep(call)
}

function runOne(call: Call): number {
  const file = call.trace === undefined ? undefined : openTrace(call.trace)
  if (file instanceof Error) {
    process.stderr.write(`weir sim: cannot write ${call.trace}: ${file.message}\n`)
    return EXIT_USAGE
  }
  const sink = file === undefined ? {} : { sink: file.line }
  const result = simulate(call.from, call.steps, { ...sink, ...onlyOf(call) })
  file?.close()
  if (call.json) print(JSON.stringify(plain(result)))
  else if (call.trace !== '-') print(report(result))
  else process.stderr.write(`${report(result)}\n`)
  return exitCode(result.failure?.class)
}

function sweep(call: Call): number {
  const started = performance.now()
  const seen = new Map<string, number>()
  const failures: RunResult[] = []
  let steps = 0
  let excused = 0
  let seed = call.from
  for (; seed <= call.to && failures.length < FAILURES_MAX; seed++) {
    const result = simulate(seed, call.steps, onlyOf(call))
    steps += result.steps
    if (result.excuses.length > 0) excused += 1
    for (const [mark, count] of result.seen) seen.set(mark, (seen.get(mark) ?? 0) + count)
    if (result.failure !== undefined) {
      failures.push(result)
      progress('')
      if (call.json) print(JSON.stringify(plain(result)))
      else print(failures.length <= FULL_REPORTS ? `${report(result)}\n` : oneLine(result))
    }
    const share = `${seed - call.from + 1} of ${call.to - call.from + 1} seeds`
    progress(`${share}, ${steps} steps, ${failures.length} failures`)
  }
  progress('')
  const seconds = (performance.now() - started) / 1000
  const unseen = expectedMarks(call.only).filter((mark) => !seen.has(mark))
  const summary = { seeds: seed - call.from, steps, seconds, excused, failures: failures.length }
  if (call.json) {
    print(JSON.stringify({ type: 'summary', ...summary, seen: sorted(seen), unseen }))
  } else {
    print(summarise(summary, seen, unseen))
  }
  return exitCode(worst(failures))
}

// Words

function parseCall(argv: readonly string[]): Call | string {
  let range: { from: number; to: number; single: boolean } | undefined
  let steps = STEPS_DEFAULT
  let trace: string | undefined
  let json = false
  let only: Call['only']
  for (let at = 0; at < argv.length; at++) {
    const [word = '', inline] = splitWord(argv[at] ?? '')
    const takeValue = (): string => inline ?? argv[++at] ?? ''
    switch (word) {
      case '--seeds': {
        const value = takeValue()
        const [, from, to] = /^(\d+)\.\.(\d+)$/.exec(value) ?? []
        if (from === undefined || Number(to) < Number(from)) {
          return `--seeds takes A..B with A not above B, not "${value}"`
        }
        range = { from: Number(from), to: Number(to), single: false }
        break
      }
      case '--seed':
      case '--steps': {
        const value = takeValue()
        if (!/^\d{1,15}$/.test(value)) return `${word} takes a whole number, not "${value}"`
        if (word === '--steps') steps = Number(value)
        else range = { from: Number(value), to: Number(value), single: true }
        break
      }
      case '--trace': {
        const next = argv[at + 1]
        const hasFile = inline === undefined && next !== undefined && !next.startsWith('--')
        trace = inline ?? (hasFile ? takeValue() : '-')
        break
      }
      case '--only': {
        const value = takeValue()
        if (value !== 'node' && value !== 'udp' && value !== 'http') {
          return `--only takes node, udp or http, not "${value}"`
        }
        only = value
        break
      }
      case '--json':
        json = true
        break
      default:
        return `unknown word "${word}"; see weir sim --help`
    }
  }
  range ??= { from: 0, to: SEEDS_DEFAULT - 1, single: false }
  if (trace !== undefined && !range.single) return '--trace needs --seed: one run at a time'
  return { ...range, steps, trace, json, only }
}

function splitWord(word: string): [string, string | undefined] {
  const equals = word.indexOf('=')
  return equals < 0 ? [word, undefined] : [word.slice(0, equals), word.slice(equals + 1)]
}

// What is said

function report(result: RunResult): string {
  const { options, failure, steps, hash, excuses, only } = result
  const shown = only === 'udp' ? options.udp : only === 'http' ? options.http : options
  const lines = [`seed ${options.seed}: ${JSON.stringify(shown)}`]
  if (failure === undefined) {
    for (const excuse of excuses) lines.push(`excused: ${excuse}`)
    lines.push(`ok: ${steps} steps, trace ${hash}`)
    return lines.join('\n')
  }
  lines.push('the last that happened:')
  for (const record of result.last) lines.push(describe(record))
  if (failure.stack !== undefined) lines.push(failure.stack)
  lines.push(oneLine(result))
  lines.push(`replay: ${replayOf(result)}`)
  return lines.join('\n')
}

function oneLine({ options, failure }: RunResult): string {
  if (failure === undefined) return `seed ${options.seed}: ok`
  const { checker, message, step } = failure
  return `seed ${options.seed}: ${failure.class}, checker ${checker}, step ${step}: ${message}`
}

function summarise(
  summary: {
    readonly seeds: number
    readonly steps: number
    readonly seconds: number
    readonly excused: number
    readonly failures: number
  },
  seen: ReadonlyMap<string, number>,
  unseen: readonly string[],
): string {
  const { seeds, steps, seconds, excused, failures } = summary
  const pace = Math.round(steps / seconds)
  const reasons = sorted(seen).filter(([mark]) =>
    /^(notice|refused|client|close|entrance|socket|udp close|udp drop|http outcome) /.test(mark),
  )
  return [
    `reasons seen: ${reasons.map(([mark, count]) => `${mark} ${count}`).join(', ')}`,
    unseen.length === 0 ? 'every reason was seen' : `never seen: ${unseen.join(', ')}`,
    `${seeds} seeds, ${steps} steps in ${seconds.toFixed(1)} s (${pace} steps/s), ` +
      `${excused} with excused stalls, ${failures} failures`,
  ].join('\n')
}

/** A result as JSON: the tally sorted, the trace left out unless it failed. */
function plain(result: RunResult): object {
  const { options, steps, hash, failure, excuses, last } = result
  const { seed } = options
  const common = { type: 'run', seed, ok: failure === undefined, steps, hash, excuses, options }
  if (failure === undefined) return common
  return { ...common, failure, replay: replayOf(result), last }
}

const replayOf = ({ options, only }: RunResult): string =>
  `weir sim --seed ${options.seed} --steps ${options.steps}${only === undefined ? '' : ` --only ${only}`}`

const onlyOf = ({ only }: Call): { only?: WorldName } => (only === undefined ? {} : { only })

const sorted = (marks: ReadonlyMap<string, number>): [string, number][] =>
  [...marks].sort(([a], [b]) => (a < b ? -1 : 1))

function exitCode(failure: FailureClass | undefined): number {
  switch (failure) {
    case undefined:
      return 0
    case 'safety':
      return 1
    case 'liveness':
      return 3
    case 'crash':
      return 4
  }
}

const worst = (failures: readonly RunResult[]): FailureClass | undefined =>
  (['crash', 'safety', 'liveness'] as const).find((each) =>
    failures.some(({ failure }) => failure?.class === each),
  )

// Where it goes

function print(text: string): void {
  process.stdout.write(`${text}\n`)
}

let shownAt = 0

/** One line on a terminal that overwrites itself; nothing anywhere else. */
function progress(text: string): void {
  if (process.stderr.isTTY !== true) return
  const now = performance.now()
  if (text !== '' && now - shownAt < PROGRESS_EVERY_MS) return
  shownAt = now
  process.stderr.write(`\r\u001b[K${text}`)
}

function openTrace(path: string): { line: (line: string) => void; close: () => void } | Error {
  try {
    const descriptor = path === '-' ? 1 : openSync(path, 'w', 0o644)
    const waiting: string[] = []
    const flush = (): void => {
      const text = waiting.splice(0).join('')
      for (let bytes = Buffer.from(text); bytes.byteLength > 0; ) {
        bytes = bytes.subarray(writeSync(descriptor, bytes))
      }
    }
    return {
      line: (line) => {
        waiting.push(`${line}\n`)
        if (waiting.length >= TRACE_LINES_HELD) flush()
      },
      close: () => {
        flush()
        if (path !== '-') closeSync(descriptor)
      },
    }
  } catch (thrown) {
    return thrown instanceof Error ? thrown : new Error(String(thrown))
  }
}

const SEEDS_DEFAULT = 100
const STEPS_DEFAULT = 500
/** After so many failing seeds a sweep has made its point. */
const FAILURES_MAX = 50
const FULL_REPORTS = 3
const PROGRESS_EVERY_MS = 200
const TRACE_LINES_HELD = 256
const EXIT_USAGE = 2
