import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decodeDeployment, jsonSchema } from '../../../core/spec/decode.ts'
import type { JsonSchema } from '../../../core/spec/schema/shape.ts'
import { everything } from './everything.ts'
import { endpointWith, fileOf, type Tree, webWith } from './files.ts'
import { faultsBy } from './schema-faults.ts'

const schema = jsonSchema()
const defs = schema.$defs as Record<string, JsonSchema>
const faults = faultsBy(schema)

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
      expect(faults(tree)).toEqual([])
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
      expect(faults(tree)).not.toEqual([])
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
      if (decodeDeployment(tree).ok) expect(faults(tree)).toEqual([])
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
