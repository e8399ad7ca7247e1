/** Shapes of lists, of maps with free keys, and of values that may be written in several ways. */
import type { Path } from '../problem.ts'
import { isMap } from './objects.ts'
import type { Reading } from './reading.ts'
import { mismatch } from './scalars.ts'
import type { JsonSchema, Shape } from './shape.ts'
import { show, subject } from './words.ts'

/** Broken items are reported and left out. */
export function list<T>(item: Shape<T>, what: string, itemsMin = 0): Shape<readonly T[]> {
  return {
    what,
    read(value, path, reading) {
      if (!Array.isArray(value)) return mismatch(what, value, path, reading, 'list')
      if (value.length < itemsMin) {
        reading.report(path, `${subject(path)} is empty; give ${what}`)
        return undefined
      }
      const items: T[] = []
      for (let index = 0; index < value.length; index++) {
        const read = item.read(value[index], [...path, index], reading)
        if (read !== undefined) items.push(read)
      }
      return items
    },
    describe: (defs) => ({
      type: 'array',
      items: item.describe(defs),
      ...(itemsMin === 0 ? {} : { minItems: itemsMin }),
    }),
  }
}

export interface KeyRule {
  readonly pattern: RegExp
  /** What is wrong with this key and what to do. Completes `KEY ...`. */
  readonly fault: (key: string) => string | undefined
}

/** A map from names to things of one kind; a broken name is reported and its thing still read. */
export function record<T>(
  item: Shape<T>,
  what: string,
  key?: KeyRule,
): Shape<Readonly<Record<string, T>>> {
  const faultOf = (name: string): string | undefined =>
    // `record.__proto__ = x` would not add a key: a name nobody needs, refused where it enters
    name === '__proto__' ? 'is a reserved name; choose another' : key?.fault(name)
  return {
    what,
    read(value, path, reading) {
      if (!isMap(value)) return mismatch(what, value, path, reading, 'map')
      const items: [string, T][] = []
      for (const [name, found] of Object.entries(value)) {
        const at = [...path, name]
        const fault = faultOf(name)
        if (fault !== undefined) reading.report(at, `${subject(at)} ${fault}`)
        const read = item.read(found, at, reading)
        if (read !== undefined) items.push([name, read])
      }
      return Object.fromEntries(items)
    },
    describe: (defs) => ({
      type: 'object',
      ...(key === undefined ? {} : { propertyNames: { pattern: key.pattern.source } }),
      additionalProperties: item.describe(defs),
    }),
  }
}

export interface Forms<T> {
  readonly text?: Shape<T>
  readonly number?: Shape<T>
  readonly word?: Shape<T>
  readonly list?: Shape<T>
  readonly map?: Shape<T>
  /** An empty value, where it means something. */
  readonly nothing?: Shape<T>
}

/** One meaning that may be written in several ways, told apart by the kind of value. */
export function forms<T>(what: string, ways: Forms<T>): Shape<T> {
  return {
    what,
    read(value, path, reading) {
      const way = ways[formOf(value)]
      return way === undefined
        ? wrongForm(what, value, path, reading)
        : way.read(value, path, reading)
    },
    describe: (defs) => ({
      anyOf: Object.values(ways).map((way: Shape<T>): JsonSchema => way.describe(defs)),
    }),
  }
}

function formOf(value: unknown): keyof Forms<unknown> {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return 'list'
  if (typeof value === 'object') return 'map'
  return typeof value === 'string' ? 'text' : typeof value === 'number' ? 'number' : 'word'
}

function wrongForm(what: string, value: unknown, path: Path, reading: Reading): undefined {
  if (value === null || value === undefined) return mismatch(what, value, path, reading, 'map')
  reading.report(path, `${subject(path)} must be ${what}, not ${show(value)}`, 'value')
  return undefined
}
