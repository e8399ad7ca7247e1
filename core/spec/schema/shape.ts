/**
 * A shape reads one kind of value out of a plain tree and describes the same kind as JSON Schema:
 * one source for the decoder and for editors.
 *
 * Why not Effect's Schema: the messages are the product here (what, where, what to do, one problem
 * for one mistake, the key or the value at fault), the file's form differs from the typed one
 * (durations, defaults that depend on neighbours), and a browser-sized core should not carry it.
 */
import type { JsonValue } from '../deployment.ts'
import type { Path } from '../problem.ts'
import type { Reading } from './reading.ts'

/** A fragment of JSON Schema, draft 2020-12. */
export interface JsonSchema {
  [keyword: string]: JsonValue
}

export interface Shape<out T> {
  /** Completes `must be ...`: `a duration such as 30s`. */
  readonly what: string
  /** Reports every problem inside; undefined when what is there cannot be used. */
  read(value: unknown, path: Path, reading: Reading): T | undefined
  /** Named parts are put into `defs` once and referred to. */
  describe(defs: Record<string, JsonSchema>): JsonSchema
}

/** The typed form of what a shape reads; `convert` may report problems of its own. */
export function mapped<T, U>(
  shape: Shape<T>,
  convert: (value: T, path: Path, reading: Reading) => U | undefined,
): Shape<U> {
  return {
    what: shape.what,
    read(value, path, reading) {
      const read = shape.read(value, path, reading)
      return read === undefined ? undefined : convert(read, path, reading)
    },
    describe: (defs) => shape.describe(defs),
  }
}

/** Remembers the place of everything it reads, for rules that report about it later. */
export const placed = <T extends object>(shape: Shape<T>): Shape<T> =>
  mapped(shape, (value, path, reading) => reading.placed(value, path))

/** Drops what was not given: an absent property is absent, `undefined` is never stored. */
export function given<T extends object>(
  properties: T,
): { [K in keyof T]?: Exclude<T[K], undefined> } {
  const entries = Object.entries(properties).filter(([, value]) => value !== undefined)
  return Object.fromEntries(entries) as { [K in keyof T]?: Exclude<T[K], undefined> }
}
