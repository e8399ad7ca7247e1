/** As much of JSON Schema as the files of Weir need; an unknown keyword is a fault too. */
import type { JsonSchema } from '../../../core/spec/schema/shape.ts'

/** What is wrong with a value by a schema; `defs` are what its references lead to. */
export function faultsBy(schema: JsonSchema): (value: unknown, against?: JsonSchema) => string[] {
  const defs = schema.$defs as Defs
  return (value, against = schema) => faults(value, against, '', defs)
}

type Defs = Readonly<Record<string, JsonSchema>>

function faults(value: unknown, against: JsonSchema, at: string, defs: Defs): string[] {
  return Object.entries(against).flatMap(([keyword, argument]) => {
    const check = KEYWORDS[keyword]
    if (check === undefined) return [`${at}: unknown keyword ${keyword}`]
    return check(value, argument as never, at, { against, defs })
  })
}

/** `against`: the schema that the keyword stands in. */
type Check = (
  value: unknown,
  argument: never,
  at: string,
  context: { readonly against: JsonSchema; readonly defs: Defs },
) => string[]

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const unless = (ok: boolean, message: string): string[] => (ok ? [] : [message])
const quiet: Check = () => []

const KEYWORDS: Readonly<Record<string, Check>> = {
  $schema: quiet,
  $id: quiet,
  $defs: quiet,
  title: quiet,
  description: quiet,
  default: quiet,
  then: quiet,
  $ref: (value, name: string, at, { defs }) => faults(value, defs[name.slice(8)]!, at, defs),
  const: (value, wanted: unknown, at) => unless(value === wanted, `${at}: not ${wanted}`),
  enum: (value, words: unknown[], at) => unless(words.includes(value), `${at}: not in ${words}`),
  type: (value, type: string, at) => unless(isOfType(value, type), `${at}: no ${type}`),
  pattern: (value, source: string, at) =>
    unless(
      typeof value !== 'string' || new RegExp(source, 'u').test(value),
      `${at}: not ${source}`,
    ),
  minLength: (value, least: number, at) =>
    unless(typeof value !== 'string' || value.length >= least, `${at}: too short`),
  minItems: (value, least: number, at) =>
    unless(!Array.isArray(value) || value.length >= least, `${at}: too few`),
  minimum: (value, least: number, at) =>
    unless(typeof value !== 'number' || value >= least, `${at}: below ${least}`),
  exclusiveMinimum: (value, least: number, at) =>
    unless(typeof value !== 'number' || value > least, `${at}: not above ${least}`),
  maximum: (value, most: number, at) =>
    unless(typeof value !== 'number' || value <= most, `${at}: above ${most}`),
  required: (value, keys: string[], at) =>
    isMap(value) ? keys.flatMap((key) => unless(key in value, `${at}: no ${key}`)) : [],
  properties: (value, known: Record<string, JsonSchema>, at, { defs }) =>
    isMap(value)
      ? Object.entries(known).flatMap(([key, property]) =>
          Object.hasOwn(value, key) ? faults(value[key], property, `${at}/${key}`, defs) : [],
        )
      : [],
  additionalProperties: (value, rest: false | JsonSchema, at, { against, defs }) => {
    if (!isMap(value)) return []
    const known = isMap(against.properties) ? against.properties : {}
    const others = Object.keys(value).filter((key) => !Object.hasOwn(known, key))
    return others.flatMap((key) =>
      rest === false ? [`${at}: unknown ${key}`] : faults(value[key], rest, `${at}/${key}`, defs),
    )
  },
  propertyNames: (value, names: JsonSchema, at, { defs }) =>
    isMap(value)
      ? Object.keys(value).flatMap((key) => faults(key, names, `${at}/${key}`, defs))
      : [],
  items: (value, item: JsonSchema, at, { defs }) =>
    Array.isArray(value)
      ? value.flatMap((each, index) => faults(each, item, `${at}/${index}`, defs))
      : [],
  allOf: (value, all: JsonSchema[], at, { defs }) =>
    all.flatMap((each) => faults(value, each, at, defs)),
  anyOf: (value, ways: JsonSchema[], at, { defs }) =>
    unless(
      ways.some((way) => faults(value, way, at, defs).length === 0),
      `${at}: none of ${ways.length}`,
    ),
  oneOf: (value, ways: JsonSchema[], at, { defs }) =>
    unless(
      ways.filter((way) => faults(value, way, at, defs).length === 0).length === 1,
      `${at}: not one`,
    ),
  if: (value, condition: JsonSchema, at, { against, defs }) =>
    faults(value, condition, at, defs).length > 0
      ? []
      : faults(value, against.then as JsonSchema, at, defs),
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'object') return isMap(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  return type === 'null' ? value === null : typeof value === type
}
