/** The tables of the documentation, made from the JSON Schema: one row for each key. */
import { DURATION_PATTERN, SIZE_PATTERN } from '../../../core/spec/grammar/units.ts'
import type { JsonSchema } from '../../../core/spec/schema/shape.ts'

/** The parts of a file by their headings, in the order in which they are met, and their rows. */
export const tablesOf = (schema: JsonSchema): readonly (readonly [string, readonly string[]])[] =>
  Object.entries(schema.$defs as Record<string, JsonSchema>).map(([name, part]) => [
    name.replaceAll('_', ' '),
    rowsOf(part),
  ])

function rowsOf(part: JsonSchema): readonly string[] {
  const { properties = {}, required = [] } = part as {
    properties?: Record<string, JsonSchema>
    required?: readonly string[]
  }
  return Object.entries(properties).map(([key, schema]) => {
    const fallback =
      'default' in schema ? code(schema.default) : required.includes(key) ? 'required' : ''
    return `| \`${key}\` | ${kindOf(schema)} | ${fallback} | ${schema.description} |`
  })
}

const code = (value: unknown): string =>
  `\`${typeof value === 'string' ? value : JSON.stringify(value)}\``

/** What may stand there, for people. */
function kindOf(schema: JsonSchema): string {
  if (typeof schema.$ref === 'string')
    return `[${titleOf(schema)}](#${titleOf(schema).replaceAll(' ', '-')})`
  if (schema.const !== undefined) return code(schema.const)
  if (Array.isArray(schema.enum)) return schema.enum.map(code).join(', ')
  const ways = schema.anyOf ?? schema.oneOf ?? schema.allOf
  if (Array.isArray(ways)) {
    const all = ways.filter((way) => !('if' in way)).map((way) => kindOf(way as JsonSchema))
    return [...new Set(all)].join(' or ')
  }
  if (schema.pattern === DURATION_PATTERN.source) return 'duration'
  if (schema.pattern === SIZE_PATTERN.source) return 'size'
  switch (schema.type) {
    case 'boolean':
      return '`true`, `false`'
    case 'integer':
      return schema.maximum === Number.MAX_SAFE_INTEGER
        ? `number from ${schema.minimum}`
        : `number ${schema.minimum}..${schema.maximum}`
    case 'number':
      return `number above ${schema.exclusiveMinimum}, to ${schema.maximum}`
    case 'array':
      return `list of ${kindOf(schema.items as JsonSchema)}`
    case 'object':
      return `map to ${kindOf(schema.additionalProperties as JsonSchema)}`
    case 'string':
      return 'text'
    case 'null':
      return 'nothing'
    default:
      return 'anything'
  }
}

/** `endpoint` for "an endpoint": the heading of a part's section. */
function titleOf(schema: JsonSchema): string {
  const part = typeof schema.$ref === 'string' ? schema.$ref.slice(8) : ''
  return part.replaceAll('_', ' ')
}
