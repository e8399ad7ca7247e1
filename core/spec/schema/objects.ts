/** Shapes of maps with known keys. The list of keys exists once: for reading and for editors. */
import type { JsonValue } from '../deployment.ts'
import { type Path, type Problem, pathKey } from '../problem.ts'
import { Reading } from './reading.ts'
import { mismatch, type WordRules, wordFault } from './scalars.ts'
import type { JsonSchema, Shape } from './shape.ts'
import { alternatives, showKey, subject } from './words.ts'

export type Presence = 'required' | 'default' | 'optional' | 'refused'

export interface Field<out T, out P extends Presence = Presence> {
  readonly shape: Shape<T>
  /** One or two sentences for operators. */
  readonly doc: string
  readonly presence: P
  /** The default as the file would write it. */
  readonly written?: JsonValue
  /** Read instead of a broken value, so that the rest can still be checked. */
  readonly standIn?: T
  /** Another name for the same key. */
  readonly alias?: string
}

export type Fields = Readonly<Record<string, Field<unknown>>>

type Keys<F extends Fields, P extends Presence> = {
  [K in keyof F]: F[K]['presence'] extends P ? K : never
}[keyof F]
type Value<F> = F extends Field<infer T> ? T : never

/** What reading an object gives: its keys as the file spells them, defaults filled in. */
export type Read<F extends Fields> = {
  readonly [K in Keys<F, 'required' | 'default'>]: Value<F[K]>
} & { readonly [K in Keys<F, 'optional'>]?: Value<F[K]> }

export const required = <T>(shape: Shape<T>, doc: string, standIn?: T): Field<T, 'required'> => ({
  shape,
  doc,
  presence: 'required',
  ...(standIn === undefined ? {} : { standIn }),
})

/** The default is read through the shape, so that what the file may say is all there is. */
export function byDefault<T>(
  shape: Shape<T>,
  written: JsonValue,
  doc: string,
): Field<T, 'default'> {
  const standIn = shape.read(written, [], new Reading())
  if (standIn === undefined) throw new TypeError(`not a valid default: ${JSON.stringify(written)}`)
  return { shape, doc, presence: 'default', written, standIn }
}

/** `written` is for readers only: what happens without the key, when that is one value. */
export const optional = <T>(
  shape: Shape<T>,
  doc: string,
  { written, alias }: { written?: JsonValue; alias?: string } = {},
): Field<T, 'optional'> => ({
  shape,
  doc,
  presence: 'optional',
  ...(written === undefined ? {} : { written }),
  ...(alias === undefined ? {} : { alias }),
})

const refusedAs = (why: string): Field<never, 'refused'> => ({
  shape: {
    what: 'absent',
    read(_value, path, reading) {
      reading.report(path, `${subject(path)} is ${why}; remove it`)
      return undefined
    },
    describe: () => false as never,
  },
  doc: `${why[0]!.toUpperCase()}${why.slice(1)}.`,
  presence: 'refused',
})

/** A key of the reference's format that Weir leaves out on purpose. */
export const refused = refusedAs('not supported here')

/** A key whose work is to come, where leaving it out would change what the file means. */
export const notBuilt = refusedAs('not built yet')

/**
 * A map with exactly these keys. `id` names it among the definitions of the JSON Schema, `what`
 * for people; `hints` say what to write instead of keys people try.
 */
export function object<F extends Fields>(
  id: string,
  what: string,
  fields: F,
  hints: Readonly<Record<string, string>> = {},
): Shape<Read<F>> {
  const entries = Object.entries(fields)
  const names = entries.flatMap(([name, { presence, alias }]) =>
    presence === 'refused' ? [] : alias === undefined ? [name] : [name, alias],
  )
  const form = formOf(entries, names)
  const known = new Set(entries.flatMap(([name, { alias }]) => [name, ...(alias ? [alias] : [])]))
  return {
    what,
    read(value, path, reading) {
      if (!isMap(value)) return mismatch(what, value, path, reading, 'map', form)
      const read: Record<string, unknown> = {}
      let usable = true
      for (const [name, field] of entries) {
        const found = readField(value, name, field, what, path, reading)
        if (found !== undefined) read[name] = found
        else if (field.presence === 'required') usable = false
      }
      for (const key of Object.keys(value)) {
        if (!known.has(key)) reportUnknown(key, what, names, hints, path, reading)
      }
      return usable ? (read as Read<F>) : undefined
    },
    describe(defs) {
      if (!(id in defs)) {
        defs[id] = {} // a shape that contains itself refers to this entry
        defs[id] = describeFields(what, entries, defs)
      }
      return { $ref: `#/$defs/${id}` }
    },
  }
}

/** How such a map is written: with what it cannot be without, or with the few keys it may have. */
function formOf(
  entries: readonly (readonly [string, Field<unknown>])[],
  names: readonly string[],
): string | undefined {
  const needed = entries.filter(([, { presence }]) => presence === 'required')
  if (needed.length > 0) return `a map with ${needed.map(([name]) => name).join(', ')}`
  return names.length > LISTED_MAX ? undefined : `a map with ${alternatives(names)}`
}

function readField(
  map: Readonly<Record<string, unknown>>,
  name: string,
  { shape, presence, alias, standIn }: Field<unknown>,
  what: string,
  path: Path,
  reading: Reading,
): unknown {
  let key = name
  if (alias !== undefined && Object.hasOwn(map, alias)) {
    if (Object.hasOwn(map, name)) {
      reading.report([...path, alias], `${alias} is another name for ${name}; keep one of them`)
    } else key = alias
  }
  if (Object.hasOwn(map, key)) return shape.read(map[key], [...path, key], reading) ?? standIn
  if (presence === 'required') {
    reading.report(path, `missing key ${name} in ${what}`)
  }
  return standIn
}

function reportUnknown(
  key: string,
  what: string,
  names: readonly string[],
  hints: Readonly<Record<string, string>>,
  path: Path,
  reading: Reading,
): void {
  const at = [...path, key]
  const nearest = Object.hasOwn(hints, key) ? undefined : reading.nearest(key, names)
  if (nearest !== undefined) reading.spoil([...path, nearest])
  const advice = Object.hasOwn(hints, key)
    ? `; ${hints[key]}`
    : nearest !== undefined
      ? `; did you mean ${nearest}?`
      : names.length <= LISTED_MAX
        ? `; the keys are ${names.join(', ')}`
        : ''
  reading.report(at, `unknown key ${showKey(key)} in ${what}${advice}`)
}

function describeFields(
  what: string,
  entries: readonly (readonly [string, Field<unknown>])[],
  defs: Record<string, JsonSchema>,
): JsonSchema {
  const properties: Record<string, JsonValue> = {}
  for (const [name, { shape, doc, presence, written, alias }] of entries) {
    if (presence === 'refused') continue
    const described: JsonSchema = { description: doc, ...shape.describe(defs) }
    if (written !== undefined) described.default = written
    properties[name] = described
    if (alias !== undefined) properties[alias] = described
  }
  const needed = entries.filter(([, field]) => field.presence === 'required').map(([name]) => name)
  return {
    title: what,
    type: 'object',
    properties,
    ...(needed.length === 0 ? {} : { required: needed }),
    additionalProperties: false,
  }
}

/**
 * A map whose `tag` key says which of several shapes it has. Each variant must list the tag among
 * its own keys. With a word that is none of them, what is wrong in any case is still told.
 */
export function tagged<V extends Readonly<Record<string, Shape<unknown>>>>(
  tag: string,
  what: string,
  variants: V,
  rules: TagRules = {},
): Shape<V[keyof V] extends Shape<infer T> ? T : never> {
  type Result = V[keyof V] extends Shape<infer T> ? T : never
  const words = Object.keys(variants)
  return {
    what,
    read(value, path, reading) {
      if (!isMap(value)) {
        return mismatch(what, value, path, reading, 'map', rules.example?.(value))
      }
      const word = Object.hasOwn(value, tag) ? value[tag] : undefined
      const at = [...path, tag]
      if (word === undefined) {
        const choice = alternatives(words)
        reading.report(path, `missing key ${tag} in ${what}: ${choice}`)
        return undefined
      }
      if (typeof word !== 'string') return mismatch(alternatives(words), word, at, reading, 'word')
      if (Object.hasOwn(variants, word)) {
        return variants[word]!.read(value, path, reading) as Result | undefined
      }
      reading.report(at, `${tag} ${wordFault(word, words, rules, reading)}`, 'value')
      const meant = reading.nearest(word, words)
      if (rules.refused?.includes(word)) return undefined
      const trials = (meant === undefined ? words : [meant]).map((each) => {
        const trial = reading.trial()
        variants[each]!.read({ ...value, [tag]: each }, path, trial)
        return trial.problems
      })
      for (const { path, message, at } of commonTo(trials)) reading.report(path, message, at)
      return undefined
    },
    describe: (defs) => ({ oneOf: words.map((word) => variants[word]!.describe(defs)) }),
  }
}

export interface TagRules extends WordRules {
  /** How it is written, for somebody who gave this value instead of a map. */
  readonly example?: (value: unknown) => string
}

function commonTo([first = [], ...others]: readonly (readonly Problem[])[]): readonly Problem[] {
  const keyOf = ({ path, message }: Problem): string => `${pathKey(path)} ${message}`
  const rest = others.map((problems) => new Set(problems.map(keyOf)))
  return first.filter((problem) => rest.every((keys) => keys.has(keyOf(problem))))
}

export const isMap = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** A list of this many keys still helps; a longer one is what the documentation is for. */
const LISTED_MAX = 8
