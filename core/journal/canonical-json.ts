/**
 * One text for one value: JSON without blanks, keys sorted by UTF-16 code units, numbers and
 * strings as JSON.stringify writes them (so -0 is 0, and a lone surrogate is escaped). Source:
 * RFC 8785. What JSON cannot hold is refused rather than bent: a value that changes on its way
 * through the journal would be replayed as another one.
 */
import { InvariantError } from '../machine.ts'

/** Throws {@link InvariantError} naming the path for anything but plain JSON. */
export function canonicalJson(value: unknown): string {
  return write(value, '$', 0)
}

function write(value: unknown, path: string, depth: number): string {
  switch (typeof value) {
    case 'string':
      return JSON.stringify(value)
    case 'boolean':
      return value ? 'true' : 'false'
    case 'number':
      if (!Number.isFinite(value)) refuse(path, String(value))
      return JSON.stringify(value)
    case 'object':
      if (value === null) return 'null'
      if (depth >= DEPTH_MAX) refuse(path, 'nesting without end')
      return Array.isArray(value)
        ? writeList(value, path, depth + 1)
        : writeRecord(value, path, depth + 1)
    default:
      return refuse(path, typeof value)
  }
}

function writeList(list: readonly unknown[], path: string, depth: number): string {
  let text = '['
  for (let index = 0; index < list.length; index++) {
    if (index > 0) text += ','
    text += write(list[index], `${path}[${index}]`, depth)
  }
  return `${text}]`
}

function writeRecord(record: object, path: string, depth: number): string {
  const prototype: unknown = Object.getPrototypeOf(record)
  if (prototype !== Object.prototype && prototype !== null) refuse(path, 'an object with a class')
  let text = '{'
  for (const key of Object.keys(record).sort()) {
    if (text.length > 1) text += ','
    const member = (record as Readonly<Record<string, unknown>>)[key]
    text += `${JSON.stringify(key)}:${write(member, `${path}.${key}`, depth)}`
  }
  return `${text}}`
}

function refuse(path: string, what: string): never {
  throw new InvariantError(`not JSON at ${path}: ${what}`)
}

/** Deeper than any event or snapshot, shallow enough to name a cycle before the stack ends. */
const DEPTH_MAX = 200
