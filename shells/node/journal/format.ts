/**
 * What a journal looks like on disk. A directory of files `000001.jsonl`, `000002.jsonl`, ...;
 * each line is `{"check":"<16 hex digits>","record":<record>}` where the check is the digest of
 * the record's canonical text. Described for people in docs/journal.md.
 */
import fs from 'node:fs'
import { canonicalJson } from '../../../core/journal/canonical-json.ts'
import { digestOf } from '../../../core/journal/digest.ts'
import type { Instant } from '../../../core/machine.ts'
import type { JsonValue } from '../../../core/spec/deployment.ts'

/** What is the same for one life of a node, from its start to its end. */
export interface Life {
  /** Of Weir. */
  readonly version: string
  /** Different for every life. */
  readonly boot: string
  readonly seed: number
}

export type JournalRecord = SnapshotRecord | EventRecord | FaultRecord

/**
 * Where a replay can begin. `boot` begins a life, `continue` a file in the middle of one, `gap`
 * follows events that could not be written.
 */
export interface SnapshotRecord extends Life {
  readonly type: 'boot' | 'continue' | 'gap'
  /** Counts the records of a life that were written, from 0. */
  readonly n: number
  /** Wall clock, ISO 8601. For people only. */
  readonly at: string
  readonly now: Instant
  /** Of all commands of this life so far. */
  readonly digest: string
  readonly snapshot: JsonValue
  /** Gap only: how many events are missing, and why. */
  readonly lost?: number
  readonly reason?: string
}

export interface EventRecord {
  readonly type: 'event'
  readonly n: number
  readonly now: Instant
  readonly event: JsonValue
  /** Of all commands of this life, those of this event included. */
  readonly digest: string
}

/** An event on which the machine broke one of its invariants; the life ended with it. */
export interface FaultRecord {
  readonly type: 'fault'
  readonly n: number
  readonly now: Instant
  readonly event: JsonValue
  readonly error: string
}

export type Decoded =
  | { readonly ok: true; readonly record: JournalRecord }
  | { readonly ok: false; readonly reason: string }

/** One line with its line feed. */
export function encodeRecord(record: JournalRecord): string {
  const body = canonicalJson(record)
  return `${LINE_START}${digestOf(body)}${LINE_MIDDLE}${body}}\n`
}

/** Reads one line without its line feed. Any text at all is answered with a value. */
export function decodeRecord(line: string): Decoded {
  const bodyAt = LINE_START.length + CHECK_DIGITS + LINE_MIDDLE.length
  const framed =
    line.startsWith(LINE_START) &&
    line.startsWith(LINE_MIDDLE, LINE_START.length + CHECK_DIGITS) &&
    line.endsWith('}')
  if (!framed) return { ok: false, reason: 'not a journal record' }
  const body = line.slice(bodyAt, -1)
  if (digestOf(body) !== line.slice(LINE_START.length, LINE_START.length + CHECK_DIGITS)) {
    return { ok: false, reason: 'the checksum does not match' }
  }
  try {
    const record: unknown = JSON.parse(body)
    if (isRecord(record)) return { ok: true, record }
  } catch {
    // A text that is not JSON under a matching checksum: written by something else.
  }
  return { ok: false, reason: 'a record of an unknown kind' }
}

/** Adds one command to the running digest of a life. */
export const commandText = (command: unknown): string => `${canonicalJson(command)}\n`

/** The journal's files in a directory, oldest first. Throws what reading the directory throws. */
export function listJournal(
  directory: string,
  disk: Pick<typeof fs, 'readdirSync'> = fs,
): { readonly name: string; readonly number: number }[] {
  return disk
    .readdirSync(directory)
    .filter((name) => FILE_NAME.test(name))
    .map((name) => ({ name, number: Number.parseInt(name, 10) }))
    .sort((a, b) => a.number - b.number)
}

export const journalFileName = (number: number): string =>
  `${String(number).padStart(6, '0')}.jsonl`

export type RawLine =
  | { readonly type: 'line'; readonly line: number; readonly text: string }
  /** The file ends without a line feed: the write of this record was cut off. */
  | { readonly type: 'torn'; readonly line: number; readonly bytes: number }
  | { readonly type: 'unreadable'; readonly line: number; readonly reason: string }

/** The lines of a file in pieces, so that a file of any size and content can be looked at. */
export function* readLines(path: string): Generator<RawLine> {
  let fd: number
  try {
    fd = fs.openSync(path, 'r')
  } catch (error) {
    yield { type: 'unreadable', line: 0, reason: messageOf(error) }
    return
  }
  try {
    yield* linesOf(fd)
  } finally {
    fs.closeSync(fd)
  }
}

function* linesOf(fd: number): Generator<RawLine> {
  const chunk = Buffer.allocUnsafe(CHUNK_BYTES)
  let parts: Buffer[] = []
  let pending = 0
  let line = 0
  for (;;) {
    const read = readInto(fd, chunk)
    if (typeof read === 'string') {
      yield { type: 'unreadable', line: line + 1, reason: read }
      return
    }
    if (read === 0) break
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1 && end < read; end = chunk.indexOf(10, from)) {
      parts.push(chunk.subarray(from, end))
      line += 1
      yield { type: 'line', line, text: Buffer.concat(parts).toString('utf8') }
      parts = []
      pending = 0
      from = end + 1
    }
    parts.push(Buffer.from(chunk.subarray(from, read)))
    pending += read - from
    if (pending > LINE_BYTES_MAX) {
      yield { type: 'unreadable', line: line + 1, reason: 'a line without end' }
      return
    }
  }
  if (pending > 0) yield { type: 'torn', line: line + 1, bytes: pending }
}

function readInto(fd: number, chunk: Buffer): number | string {
  try {
    return fs.readSync(fd, chunk, 0, chunk.length, null)
  } catch (error) {
    return messageOf(error)
  }
}

/** Shape only: what a record means is the machine's to judge. */
function isRecord(value: unknown): value is JournalRecord {
  if (typeof value !== 'object' || value === null) return false
  const has = (key: string, type: 'string' | 'number'): boolean =>
    typeof (value as Record<string, unknown>)[key] === type
  if (!has('n', 'number') || !has('now', 'number')) return false
  const { type } = value as { type?: unknown }
  switch (type) {
    case 'event':
      return 'event' in value && has('digest', 'string')
    case 'fault':
      return 'event' in value && has('error', 'string')
    case 'boot':
    case 'continue':
    case 'gap': {
      const life = has('version', 'string') && has('boot', 'string') && has('seed', 'number')
      const gap = type !== 'gap' || (has('lost', 'number') && has('reason', 'string'))
      return life && gap && has('at', 'string') && has('digest', 'string') && 'snapshot' in value
    }
    default:
      return false
  }
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error)

/** The first bytes of every journal file. */
export const LINE_START = '{"check":"'
const LINE_MIDDLE = '","record":'
const CHECK_DIGITS = 16
const FILE_NAME = /^\d{6,15}\.jsonl$/
const CHUNK_BYTES = 1 << 20
/** Far above the snapshot of the largest node, below what would hurt to hold. */
const LINE_BYTES_MAX = 1 << 28
