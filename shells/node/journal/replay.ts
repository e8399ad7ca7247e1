/**
 * Feeds a journal to the machine again and compares the commands, life by life. Whatever the
 * files hold, the answer is a report: nothing here throws.
 */
import fs from 'node:fs'
import path from 'node:path'
import { canonicalJson } from '../../../core/journal/canonical-json.ts'
import { Digest } from '../../../core/journal/digest.ts'
import type { Instant, Machine } from '../../../core/machine.ts'
import type { JsonValue } from '../../../core/spec/deployment.ts'
import {
  commandText,
  decodeRecord,
  type EventRecord,
  type FaultRecord,
  type JournalRecord,
  listJournal,
  messageOf,
  readLines,
  type SnapshotRecord,
} from './format.ts'

/** How a replay makes the machine that the journal was written by. */
export interface ReplaySubject<Event, Command> {
  restore(snapshot: JsonValue, now: Instant): Machine<Event, Command>
  /** Exact, as plain JSON. */
  snapshot(machine: Machine<Event, Command>, now: Instant): JsonValue
}

export interface ReplayReport {
  /**
   * `identical`: every record that is there gives the same commands (gaps and torn tails are in
   * the notes). `different`: see `difference`. `damaged`: records are missing or unreadable, the
   * rest is identical. `empty`: nothing to replay.
   */
  readonly outcome: 'identical' | 'different' | 'damaged' | 'empty'
  readonly files: number
  readonly lives: number
  readonly events: number
  readonly commands: number
  readonly difference?: ReplayDifference
  readonly notes: readonly ReplayNote[]
}

/** The first record that does not give what it gave when it was written. */
export interface ReplayDifference {
  readonly file: string
  readonly line: number
  readonly now: Instant
  readonly event: JsonValue
  /** Digests of all commands of the life so far, or what else was compared. */
  readonly expected: string
  readonly got: string
  /** What the event causes now. */
  readonly commands: readonly unknown[]
}

export interface ReplayNote {
  readonly kind: 'torn' | 'gap' | 'damaged' | 'fault' | 'version'
  readonly file: string
  /** One-based; 0 is the file as a whole. */
  readonly line: number
  readonly text: string
}

export type JournalItem =
  | {
      readonly type: 'record'
      readonly file: string
      readonly line: number
      readonly record: JournalRecord
    }
  | { readonly type: 'note'; readonly note: ReplayNote }

/**
 * Replays one file, a journal directory, or the journal of a state directory. `version` is Weir's
 * own, to name in a note when it differs.
 */
export function replay<Event, Command>(
  where: string,
  subject: ReplaySubject<Event, Command>,
  version: string,
): ReplayReport {
  const run = new Replay(subject, version)
  const files = journalFiles(where)
  if (!files.ok) return run.report(0, { kind: 'damaged', file: where, line: 0, text: files.reason })
  for (const file of files.paths) {
    for (const item of readJournalFile(file))
      if (!run.take(item)) return run.report(files.paths.length)
  }
  return run.report(files.paths.length)
}

/** All records and whatever else is in the way, oldest first; for printing. */
export function* readJournal(where: string): Generator<JournalItem> {
  const files = journalFiles(where)
  if (files.ok) for (const file of files.paths) yield* readJournalFile(file)
  else yield note('damaged', where, 0, files.reason)
}

const counted = (count: number, one: string, many: string): string =>
  `${count} ${count === 1 ? one : many}`

/** A report in plain lines, the verdict first. */
export function replayLines(report: ReplayReport): string[] {
  const { outcome, difference, events, commands, lives, files } = report
  const count = [
    counted(events, 'event', 'events'),
    counted(commands, 'command', 'commands'),
    counted(lives, 'life', 'lives'),
    counted(files, 'file', 'files'),
  ].join(', ')
  const lines = [`${outcome}: ${count}`]
  if (difference !== undefined) {
    const { file, line, now, event, expected, got } = difference
    lines.push(
      `${file}:${line}: the first record that differs, at ${now} ms`,
      `  event    ${canonicalJson(event)}`,
      `  expected ${expected}`,
      `  got      ${got}`,
      ...difference.commands.map((command) => `  command  ${JSON.stringify(command)}`),
    )
  }
  for (const { file, line, kind, text } of report.notes) {
    lines.push(`${line === 0 ? file : `${file}:${line}`}: ${kind}: ${text}`)
  }
  return lines
}

class Replay<Event, Command> {
  readonly #subject: ReplaySubject<Event, Command>
  readonly #version: string
  readonly #notes: ReplayNote[] = []
  #machine: Machine<Event, Command> | undefined
  #digest = Digest.empty()
  #boot = ''
  #next = 0
  #lives = 0
  #events = 0
  #commands = 0
  #notesDropped = 0
  #damaged = false
  #difference: ReplayDifference | undefined

  constructor(subject: ReplaySubject<Event, Command>, version: string) {
    this.#subject = subject
    this.#version = version
  }

  /** False when there is no point in going on. */
  take(item: JournalItem): boolean {
    if (item.type === 'note') this.#note(item.note)
    else if (item.record.type === 'event') this.#onEvent(item, item.record)
    else if (item.record.type === 'fault') this.#onFault(item, item.record)
    else this.#onSnapshot(item, item.record)
    return this.#difference === undefined
  }

  report(files: number, last?: ReplayNote): ReplayReport {
    if (last !== undefined) this.#note(last)
    const { outcome, notes } = { outcome: this.#outcome(), notes: [...this.#notes] }
    if (this.#notesDropped > 0) {
      const text = `and ${this.#notesDropped} more like these`
      notes.push({ kind: 'damaged', file: notes.at(-1)!.file, line: 0, text })
    }
    const counts = { lives: this.#lives, events: this.#events, commands: this.#commands }
    const difference = this.#difference === undefined ? {} : { difference: this.#difference }
    return { outcome, files, ...counts, ...difference, notes }
  }

  #outcome(): ReplayReport['outcome'] {
    if (this.#difference !== undefined) return 'different'
    if (this.#damaged) return 'damaged'
    return this.#lives === 0 ? 'empty' : 'identical'
  }

  #onSnapshot(at: Place, record: SnapshotRecord): void {
    const known = this.#machine !== undefined && record.boot === this.#boot
    if (record.boot !== this.#boot) this.#lives += 1
    const follows = known && this.#checkNumber(at, record.n)
    if (follows && record.type === 'continue') this.#compareSnapshot(at, record)
    if (this.#difference !== undefined) return
    if (record.type === 'gap') {
      const text = `${record.lost} events were not written (${record.reason})`
      this.#note({ kind: 'gap', ...place(at), text })
    }
    if (record.version !== this.#version && record.boot !== this.#boot) {
      const text = `written by version ${record.version}, replayed by ${this.#version}`
      this.#note({ kind: 'version', ...place(at), text })
    }
    this.#boot = record.boot
    this.#next = record.n + 1
    this.#digest = Digest.parse(record.digest) ?? Digest.empty()
    this.#machine = undefined
    try {
      this.#machine = this.#subject.restore(record.snapshot, record.now)
    } catch (error) {
      this.#damage(at, `the snapshot cannot be restored: ${messageOf(error)}`)
    }
  }

  /** The machine replayed so far is the one that was written down: snapshots are exact. */
  #compareSnapshot(at: Place, record: SnapshotRecord): void {
    const machine = this.#machine!
    const got = this.#attempt(() => canonicalJson(this.#subject.snapshot(machine, record.now)))
    const expected = canonicalJson(record.snapshot)
    if (got.value === expected) return
    const [want, have] = differingParts(expected, got.value ?? got.error)
    this.#differ(at, { ...record, event: 'snapshot' }, `snapshot ${want}`, `snapshot ${have}`, [])
  }

  #onEvent(at: Place, record: EventRecord): void {
    if (this.#machine === undefined) return // its snapshot is missing, which has been noted
    if (!this.#checkNumber(at, record.n)) return
    const machine = this.#machine
    const out: Command[] = []
    const digest = this.#attempt(() => {
      machine.step(record.event as Event, record.now, out)
      for (const command of out) this.#digest.text(commandText(command))
      return this.#digest.hex()
    })
    const got = digest.value ?? `throws ${digest.error}`
    if (got !== record.digest) return this.#differ(at, record, record.digest, got, out)
    this.#events += 1
    this.#commands += out.length
  }

  #onFault(at: Place, record: FaultRecord): void {
    if (this.#machine === undefined || !this.#checkNumber(at, record.n)) return
    const machine = this.#machine
    const out: Command[] = []
    const step = this.#attempt(() => machine.step(record.event as Event, record.now, out))
    const got = step.error === '' ? 'no error' : step.error
    if (got !== record.error) return this.#differ(at, record, record.error, got, out)
    this.#machine = undefined
    this.#note({ kind: 'fault', ...place(at), text: `the machine fails again: ${record.error}` })
  }

  /** Records follow each other without a hole, or the machine is not where the next one begins. */
  #checkNumber(at: Place, n: number): boolean {
    const expected = this.#next
    this.#next = n + 1
    if (n === expected) return true
    this.#damage(at, `record ${n} follows, where record ${expected} belongs`)
    return false
  }

  #differ(
    at: Place,
    record: { now: Instant; event: JsonValue },
    expected: string,
    got: string,
    commands: readonly unknown[],
  ): void {
    const { now, event } = record
    this.#difference = { ...place(at), now, event, expected, got, commands }
  }

  #damage(at: Place, text: string): void {
    this.#note({ kind: 'damaged', ...place(at), text })
  }

  #note(note: ReplayNote): void {
    if (note.kind === 'damaged') {
      this.#damaged = true
      this.#machine = undefined // until the next snapshot
    }
    if (this.#notes.length < NOTES_MAX) this.#notes.push(note)
    else this.#notesDropped += 1
  }

  #attempt<A>(run: () => A): { value?: A; error: string } {
    try {
      return { value: run(), error: '' }
    } catch (error) {
      return { error: messageOf(error) || 'an error without a message' }
    }
  }
}

interface Place {
  readonly file: string
  readonly line: number
}

const place = ({ file, line }: Place): Place => ({ file, line })

function* readJournalFile(file: string): Generator<JournalItem> {
  for (const raw of readLines(file)) {
    if (raw.type === 'unreadable') yield note('damaged', file, raw.line, raw.reason)
    else if (raw.type === 'torn') {
      yield note('torn', file, raw.line, `a torn record of ${raw.bytes} bytes at the end`)
    } else {
      const decoded = decodeRecord(raw.text)
      if (decoded.ok) yield { type: 'record', file, line: raw.line, record: decoded.record }
      else yield note('damaged', file, raw.line, decoded.reason)
    }
  }
}

const note = (kind: ReplayNote['kind'], file: string, line: number, text: string): JournalItem => ({
  type: 'note',
  note: { kind, file, line, text },
})

function journalFiles(
  where: string,
): { ok: true; paths: readonly string[] } | { ok: false; reason: string } {
  try {
    if (!fs.statSync(where).isDirectory()) return { ok: true, paths: [where] }
    const inside = path.join(where, 'journal')
    const isState = fs.statSync(inside, { throwIfNoEntry: false })?.isDirectory() === true
    const directory = isState ? inside : where
    return { ok: true, paths: listJournal(directory).map(({ name }) => path.join(directory, name)) }
  } catch (error) {
    return { ok: false, reason: messageOf(error) }
  }
}

/** Two long texts, shortened to where they part. */
function differingParts(a: string, b: string): [string, string] {
  let from = 0
  while (from < a.length && a[from] === b[from]) from += 1
  const start = Math.max(0, from - CONTEXT_CHARACTERS)
  const cut = (text: string): string =>
    `${start > 0 ? '...' : ''}${text.slice(start, from + CONTEXT_CHARACTERS)}`
  return [cut(a), cut(b)]
}

const CONTEXT_CHARACTERS = 80
/** A file of garbage has a problem on every line; the first ones say enough. */
const NOTES_MAX = 100
