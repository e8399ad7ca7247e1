import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeDeployment, jsonSchema } from '../../../core/spec/decode.ts'
import type { JsonSchema } from '../../../core/spec/schema/shape.ts'
import { everything } from './everything.ts'
import { endpointWith, fileOf, type Tree, webWith } from './files.ts'

const schema = jsonSchema()
const defs = schema.$defs as Record<string, JsonSchema>

test('it is plain JSON that names its dialect, and every reference leads somewhere', () => {
  expect(JSON.parse(JSON.stringify(schema))).toEqual(schema)
  expect(schema.$schema).toBe('https://json-schema.org/draft/2020-12/schema')
  const references = JSON.stringify(schema).match(/#\/\$defs\/\w+/g) ?? []
  expect(references.length).toBeGreaterThan(50)
  for (const reference of references) expect(defs).toHaveProperty([reference.slice(8)])
})

test('every key is described, and every default is what its own schema allows', () => {
  for (const [name, def] of Object.entries(defs)) {
    for (const [key, property] of Object.entries(
      (def.properties ?? {}) as Record<string, JsonSchema>,
    )) {
      expect(property.description, `${name}.${key}`).toMatch(/^.{3,}\.$/s)
      if ('default' in property)
        expect(faults(property.default, property), `${name}.${key}`).toEqual([])
    }
  }
})

describe('what is accepted fits the schema', () => {
  const health = { check: { type: 'command', command: 'x' }, liveness: true }
  const FILES: readonly [string, Tree][] = [
    ['everything', everything()],
    ['the least', { version: 'v1', deployment: 'abc' }],
    ['a command as a text', webWith({ command: 'a b' })],
    ['a command as a map', webWith({ command: { args: ['a'] } })],
    ['health', webWith({ health })],
    ['tls: true', endpointWith({ protocol: 'tcp', stream: { tls: true } })],
    ['tls: off', endpointWith({ protocol: 'tcp', stream: { tls: 'off' } })],
    ['an affinity', webWith({ affinity: { pin: 'id=2' } })],
    ['a signal', webWith({ stop_signal: ' sigusr2 ' })],
    [
      'an empty timeout',
      fileOf({
        a: { command: 'a' },
        b: { command: 'b', depends: [{ service: 'a', timeout: null }] },
      }),
    ],
    ['networks', webWith({ network_mode: { bridge: { name: 'b' } } })],
    ['a macro', webWith({ rtype: 'cron', schedule: '@daily' })],
    ['durations', webWith({ stop_grace_period: '1d 2h30m' })],
    ['host network', webWith({ host_network: true })],
  ]
  for (const [name, tree] of FILES) {
    test(name, () => {
      expect(decodeDeployment(tree)).toMatchObject({ ok: true })
      expect(faults(tree, schema)).toEqual([])
    })
  }
})

describe('what the schema refuses is refused', () => {
  const FILES: readonly [string, unknown][] = [
    ['an unknown key', webWith({ colour: 'red' })],
    ['a key left out on purpose', webWith({ wasm: {} })],
    ['a missing key', webWith({ endpoints: [{ name: 'a', port: 1 }] })],
    ['a wrong word', endpointWith({ protocol: 'htp' })],
    ['a number too large', endpointWith({ port: 70_000 })],
    ['a duration without a unit', webWith({ stop_grace_period: 30 })],
    ['a service name', fileOf({ 'a.b': { command: 'x' } })],
    ['a list for a map', []],
  ]
  for (const [name, tree] of FILES) {
    test(name, () => {
      expect(faults(tree, schema)).not.toEqual([])
      expect(decodeDeployment(tree)).toMatchObject({ ok: false })
    })
  }
})

test('whatever is put in any place: what is accepted fits the schema', () => {
  const value = fc.oneof(
    fc.jsonValue({ maxDepth: 1 }),
    fc.constantFrom(1, 0, 80, true, false, null, '1s', '1Mi', 'auto', 'http://x/', [], {}, ['a']),
  )
  fc.assert(
    fc.property(fc.nat(), value, (place, replacement) => {
      const tree = everything()
      replace(tree, place, replacement)
      if (decodeDeployment(tree).ok) expect(faults(tree, schema)).toEqual([])
    }),
    { numRuns: 400 },
  )
})

function replace(tree: Tree, place: number, value: unknown): void {
  const places: [Record<string, unknown>, string][] = []
  const walk = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    for (const key of Object.keys(node)) {
      places.push([node as Record<string, unknown>, key])
      walk((node as Record<string, unknown>)[key])
    }
  }
  walk(tree)
  const [holder, key] = places[place % places.length]!
  holder[key] = value
}

/** As much of JSON Schema as the file's needs; an unknown keyword fails the test. */
function faults(value: unknown, against: JsonSchema, at = ''): string[] {
  return Object.entries(against).flatMap(([keyword, argument]) => {
    const check = KEYWORDS[keyword]
    if (check === undefined) return [`${at}: unknown keyword ${keyword}`]
    return check(value, argument as never, at, against)
  })
}

type Check = (value: unknown, argument: never, at: string, against: JsonSchema) => string[]

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
  $ref: (value, name: string, at) => faults(value, defs[name.slice(8)]!, at),
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
  properties: (value, known: Record<string, JsonSchema>, at) =>
    isMap(value)
      ? Object.entries(known).flatMap(([key, property]) =>
          Object.hasOwn(value, key) ? faults(value[key], property, `${at}/${key}`) : [],
        )
      : [],
  additionalProperties: (value, rest: false | JsonSchema, at, against) => {
    if (!isMap(value)) return []
    const known = isMap(against.properties) ? against.properties : {}
    const others = Object.keys(value).filter((key) => !Object.hasOwn(known, key))
    return others.flatMap((key) =>
      rest === false ? [`${at}: unknown ${key}`] : faults(value[key], rest, `${at}/${key}`),
    )
  },
  propertyNames: (value, names: JsonSchema, at) =>
    isMap(value) ? Object.keys(value).flatMap((key) => faults(key, names, `${at}/${key}`)) : [],
  items: (value, item: JsonSchema, at) =>
    Array.isArray(value)
      ? value.flatMap((each, index) => faults(each, item, `${at}/${index}`))
      : [],
  allOf: (value, all: JsonSchema[], at) => all.flatMap((each) => faults(value, each, at)),
  anyOf: (value, ways: JsonSchema[], at) =>
    unless(
      ways.some((way) => faults(value, way, at).length === 0),
      `${at}: none of ${ways.length}`,
    ),
  oneOf: (value, ways: JsonSchema[], at) =>
    unless(
      ways.filter((way) => faults(value, way, at).length === 0).length === 1,
      `${at}: not one`,
    ),
  if: (value, condition: JsonSchema, at, against) =>
    faults(value, condition, at).length > 0 ? [] : faults(value, against.then as JsonSchema, at),
}

function isOfType(value: unknown, type: string): boolean {
  if (type === 'object') return isMap(value)
  if (type === 'array') return Array.isArray(value)
  if (type === 'integer') return Number.isInteger(value)
  return type === 'null' ? value === null : typeof value === type
}
