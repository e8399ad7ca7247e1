/** Steps that must succeed before a replica starts. */
import type { InitStepSpec } from '../deployment.ts'
import { byDefault, object, optional, required } from '../schema/objects.ts'
import { duration, integer, json, oneOf, port, text } from '../schema/scalars.ts'
import { given, type JsonSchema, type Shape } from '../schema/shape.ts'

const seconds = (fallback: number) =>
  byDefault(integer(1, 86_400, 'a whole number of seconds'), fallback, 'Seconds to wait.')

const parameters = {
  'init.wait_tcp': object('wait_tcp', 'the parameters of init.wait_tcp', {
    host: required(text('a host'), 'Where to connect.'),
    port: required(port, 'Where to connect.'),
    timeout: seconds(30),
  }),
  'init.wait_http': object('wait_http', 'the parameters of init.wait_http', {
    url: required(text('a URL', { pattern: /^https?:\/\/\S+$/ }), 'What to ask for.'),
    expect_status: optional(integer(100, 599), 'The status to wait for; any 2xx when not said.'),
    timeout: seconds(30),
  }),
  'init.run': object('run', 'the parameters of init.run', {
    command: required(text('one text for sh -c'), 'Must end with 0.'),
    timeout: seconds(300),
  }),
}
const actions = Object.keys(parameters) as (keyof typeof parameters)[]

const stepFields = {
  id: required(text('a name'), 'For messages.'),
  uses: required(
    oneOf(actions, {
      refused: ['init.s3_push', 'init.s3_pull'],
      hints: { 'init.exec': 'write init.run', run: 'write init.run' },
    }),
    'What to do.',
  ),
  with: byDefault(json, {}, 'Parameters of the action.'),
  retry: optional(json, 'Accepted, and not used: on_init_failure says what is tried again.'),
  timeout: byDefault(duration(1), '300s', 'How long the step may take.'),
  on_failure: byDefault(
    oneOf(['fail', 'warn', 'continue']),
    'fail',
    'Whether the next step runs when this one failed.',
  ),
}
const step = object('init_step', 'an init step', stepFields)

export const initStep: Shape<InitStepSpec> = {
  what: step.what,
  read(value, path, reading) {
    const read = step.read(value, path, reading)
    if (read === undefined) return undefined
    const checked = parameters[read.uses].read(read.with, [...path, 'with'], reading)
    return (
      checked && {
        id: read.id,
        uses: read.uses,
        with: checked as InitStepSpec['with'],
        ...given({ retry: read.retry }),
        timeoutMs: read.timeout,
        onFailure: read.on_failure,
      }
    )
  },
  describe: (defs) => ({ allOf: [step.describe(defs), ...actions.map((use) => when(use, defs))] }),
}

const when = (use: keyof typeof parameters, defs: Record<string, JsonSchema>): JsonSchema => ({
  if: { properties: { uses: { const: use } } },
  then: { properties: { with: parameters[use].describe(defs) } },
})
