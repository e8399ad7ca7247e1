/** Shapes of single values: text, numbers, words out of a list, durations and sizes. */
import type { JsonValue } from '../deployment.ts'
import {
  DURATION_PATTERN,
  formatDuration,
  formatSize,
  parseDuration,
  parseSize,
  SIZE_PATTERN,
} from '../grammar/units.ts'
import type { Path } from '../problem.ts'
import type { Reading } from './reading.ts'
import { type JsonSchema, mapped, type Shape } from './shape.ts'
import { alternatives, quote, show, subject } from './words.ts'

// first in the file: shapes are made while it loads
/** Ten years: past this a deadline is a mistake. */
const DURATION_MAX_MS = 3650 * 24 * 60 * 60 * 1000
/** Linux takes no longer word on a command line or in an environment. */
const TEXT_MAX = 128 * 1024 - 1
const JSON_DEPTH_MAX = 16

export interface TextRule {
  /** What the whole text must match; also given to editors. */
  readonly pattern?: RegExp
  /** Says what is wrong with this text and what to do, or nothing. Completes `NAME ...`. */
  readonly fault?: (text: string) => string | undefined
  readonly charactersMax?: number
  /** Whether nothing at all is good text too. */
  readonly empty?: boolean
}

/** Text; not empty unless the rule says so. */
export function text(what: string, rule: TextRule = {}): Shape<string> {
  const { pattern, fault, charactersMax = TEXT_MAX, empty = false } = rule
  const complaint = (value: string): string | undefined => {
    if (value.includes('\0')) return 'contains a NUL character; nothing can be given that'
    if (value.length > charactersMax) return `is longer than ${charactersMax} characters`
    const found = fault?.(value)
    if (found !== undefined) return found
    if (pattern === undefined ? empty || value !== '' : pattern.test(value)) return undefined
    return `must be ${what}, not ${show(value)}`
  }
  return {
    what,
    read(value, path, reading) {
      if (typeof value !== 'string') return mismatch(what, value, path, reading, 'text')
      const found = complaint(value)
      if (found === undefined) return value
      reading.report(path, `${subject(path)} ${found}`, 'value')
      return undefined
    },
    describe: () => ({
      type: 'string',
      ...(pattern !== undefined ? { pattern: pattern.source } : empty ? {} : { minLength: 1 }),
    }),
  }
}

/** Text that may also be empty. */
export const anyText: Shape<string> = text('text', { empty: true })

export function integer(min: number, max: number, what = integerText(min, max)): Shape<number> {
  return {
    what,
    read(value, path, reading) {
      if (typeof value !== 'number') return mismatch(what, value, path, reading, 'number')
      if (Number.isInteger(value) && value >= min && value <= max) return value + 0
      reading.report(path, `${subject(path)} must be ${what}, not ${show(value)}`, 'value')
      return undefined
    },
    describe: () => ({ type: 'integer', minimum: min, maximum: max }),
  }
}

/** A number that may have a fraction; `above` is excluded, `max` is not. */
export function decimal(above: number, max: number, what: string): Shape<number> {
  return {
    what,
    read(value, path, reading) {
      if (typeof value !== 'number') return mismatch(what, value, path, reading, 'number')
      if (value > above && value <= max) return value
      reading.report(path, `${subject(path)} must be ${what}, not ${show(value)}`, 'value')
      return undefined
    },
    describe: () => ({ type: 'number', exclusiveMinimum: above, maximum: max }),
  }
}

export const bool: Shape<boolean> = {
  what: 'true or false',
  read: (value, path, reading) =>
    typeof value === 'boolean' ? value : mismatch('true or false', value, path, reading, 'word'),
  describe: () => ({ type: 'boolean' }),
}

export interface WordRules {
  /** Words of the reference that are left out on purpose. */
  readonly refused?: readonly string[]
  /** What to do instead of a word people try. */
  readonly hints?: Readonly<Record<string, string>>
}

/** One of a few words. */
export function oneOf<const W extends string>(
  words: readonly W[],
  rules: WordRules = {},
): Shape<W> {
  const what = alternatives(words)
  return {
    what,
    read(value, path, reading) {
      const word = words.find((each) => each === value)
      if (word !== undefined) return word
      if (typeof value !== 'string') return mismatch(what, value, path, reading, 'word')
      reading.report(path, `${subject(path)} ${wordFault(value, words, rules, reading)}`, 'value')
      return undefined
    },
    describe: () => (words.length === 1 ? { const: words[0]! } : { enum: [...words] }),
  }
}

/** Why a word is not among those allowed, and what to do. */
export function wordFault(
  word: string,
  words: readonly string[],
  { refused = [], hints = {} }: WordRules,
  reading: Reading,
): string {
  if (refused.includes(word)) return `${show(word)} is not supported here`
  const hint = Object.hasOwn(hints, word)
    ? `; ${hints[word]}`
    : words.length === 1
      ? '' // it is named already
      : reading.didYouMean(word, words)
  return `must be ${alternatives(words)}, not ${show(word)}${hint}`
}

/** Milliseconds, written with units. */
export function duration(minMs: number, maxMs = DURATION_MAX_MS): Shape<number> {
  const what = 'a duration such as 500ms, 30s or 1h 30m'
  return {
    what,
    read(value, path, reading) {
      if (typeof value === 'number') {
        reading.report(path, `${subject(path)} needs a unit: ${durationHint(value)}`, 'value')
        return undefined
      }
      if (typeof value !== 'string') return mismatch(what, value, path, reading, 'text')
      const ms = parseDuration(value)
      if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms
      const range =
        ms === undefined
          ? `must be ${what}, not ${show(value)}`
          : ms < minMs
            ? `must be at least ${formatDuration(minMs)}, not ${show(value)}`
            : `must be at most ${formatDuration(maxMs)}, not ${show(value)}`
      reading.report(path, `${subject(path)} ${range}`, 'value')
      return undefined
    },
    describe: () => ({ type: 'string', pattern: DURATION_PATTERN.source }),
  }
}

/** Bytes, written with a binary suffix. */
export const size: Shape<number> = {
  what: 'a size such as 256Mi or 2Gi',
  read(value, path, reading) {
    if (typeof value !== 'string' && typeof value !== 'number') {
      return mismatch(size.what, value, path, reading, 'text')
    }
    const bytes = parseSize(String(value))
    if (bytes !== undefined) return bytes
    const hint = 'a whole number above 0 with Ki, Mi, Gi or Ti'
    reading.report(
      path,
      `${subject(path)} must be ${size.what} (${hint}), not ${show(value)}`,
      'value',
    )
    return undefined
  },
  describe: () => ({ type: 'string', pattern: SIZE_PATTERN.source }),
}

/** A size that is neither too small nor too large to be meant. */
export const sizeWithin = (bytesMin: number, bytesMax: number): Shape<number> =>
  mapped(size, (bytes, path, reading) => {
    if (bytes >= bytesMin && bytes <= bytesMax) return bytes
    const range = `from ${formatSize(bytesMin)} to ${formatSize(bytesMax)}`
    reading.report(path, `${subject(path)} must be ${range}, not ${formatSize(bytes)}`, 'value')
    return undefined
  })

/** Replaces a shape's words for people: `an endpoint's port, 1-65535`. */
export const called = <T>(what: string, shape: Shape<T>): Shape<T> => ({
  ...mapped(shape, (value) => value),
  what,
})

/** The same values, with a better description for editors. */
export const describedAs = <T>(shape: Shape<T>, schema: JsonSchema): Shape<T> => ({
  ...mapped(shape, (value) => value),
  describe: () => schema,
})

export const port = integer(1, 65535, 'a number from 1 to 65535')

/** Reports a value of the wrong type, with what to write instead (`form`) where that is plain. */
export function mismatch(
  what: string,
  value: unknown,
  path: Path,
  reading: Reading,
  wanted: 'text' | 'number' | 'word' | 'list' | 'map',
  form?: string,
): undefined {
  const name = subject(path)
  if (value === null || value === undefined) {
    reading.report(path, `${name} is empty; give ${what}, or remove the key`)
    return undefined
  }
  const scalar = typeof value !== 'object'
  let hint = form === undefined ? '' : `; write ${form}`
  if (wanted === 'text' && scalar) hint = `; write it in quotes: ${quote(String(value))}`
  if (wanted === 'number' && typeof value === 'string' && isNumber(value)) {
    hint = '; write it without quotes'
  }
  if (wanted === 'list' && !Array.isArray(value)) hint = '; write each item after a "- "'
  reading.report(path, `${name} must be ${what}, not ${show(value)}${hint}`, 'value')
  return undefined
}

/** JSON as it stands, up to a depth nobody writes by hand. */
export const json: Shape<JsonValue> = {
  what: 'any value',
  read(value, path, reading) {
    const copied = copyJson(value, JSON_DEPTH_MAX)
    if (copied === undefined) {
      reading.report(path, `${subject(path)} is nested too deeply, or holds no plain value`)
    }
    return copied
  },
  describe: () => ({}),
}

function copyJson(value: unknown, depthLeft: number): JsonValue | undefined {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return value
  if (typeof value === 'number') return Number.isFinite(value) ? value + 0 : undefined
  if (typeof value !== 'object' || depthLeft === 0) return undefined
  if (Array.isArray(value)) {
    const items = value.map((item) => copyJson(item, depthLeft - 1))
    return items.includes(undefined) ? undefined : (items as JsonValue[])
  }
  const entries = Object.entries(value).map(
    ([key, item]) => [key, copyJson(item, depthLeft - 1)] as const,
  )
  if (entries.some(([, item]) => item === undefined)) return undefined
  return Object.fromEntries(entries) as { [key: string]: JsonValue }
}

const isNumber = (written: string): boolean => /^-?\d+(\.\d+)?$/.test(written)

function durationHint(value: number): string {
  if (!Number.isFinite(value) || value < 0) return 'write 30s or 500ms'
  return Number.isInteger(value) ? `write ${value}s or ${value}ms` : `write ${value * 1000}ms`
}

const integerText = (min: number, max: number): string =>
  max === Number.MAX_SAFE_INTEGER
    ? `a whole number, ${min} or more`
    : `a whole number from ${min} to ${max}`
