import { describe, expect, test } from 'vitest'
import { replicaId } from '../../../../core/services/identity.ts'
import { programEnvironment } from '../../../../shells/node/process/program-env.ts'

const replica = replicaId({ deployment: 'hello', service: 'db', number: 2, incarnation: 3 })
const identity = { nodeId: '0123456789abcdef', replica }
const MARKS = { WEIR_NODE: '0123456789abcdef', WEIR_INSTANCE: 'hello/db/2#3' }
const HOST = {
  PATH: '/bin',
  HOME: '/root',
  USER: 'root',
  LANG: 'C.UTF-8',
  LC_ALL: 'C',
  LC_TIME: 'de_DE',
  TZ: 'UTC',
  TMPDIR: '/tmp',
  SHELL: '/bin/sh',
  SECRET: 's3',
  TERM: 'xterm',
}

const build = (env: Record<string, string>, envInherit: true | string[] = [], host = HOST) =>
  programEnvironment({ env, envInherit }, identity, host)

test('the basic variables of the host, and no others', () => {
  const { SECRET: _secret, TERM: _term, ...basic } = HOST
  expect(build({})).toEqual({ ok: true, env: { ...basic, ...MARKS }, notices: [] })
})

test('what is inherited by name, or all of it', () => {
  const { TERM: _term, ...named } = HOST
  expect(build({}, ['SECRET', 'ABSENT'])).toMatchObject({ env: { ...named, ...MARKS } })
  expect(build({}, true)).toMatchObject({ env: { ...HOST, ...MARKS } })
})

test('what the file sets wins over the host, and our marks over both', () => {
  const env = { PATH: '/opt', WEIR_NODE: 'x', WEIR_INSTANCE: 'y', PLAIN: 'a$E:SECRET' }
  const built = build(env, true, { ...HOST, WEIR_NODE: 'outer' } as typeof HOST)
  expect(built).toMatchObject({ env: { PATH: '/opt', PLAIN: 'a$E:SECRET', ...MARKS } })
})

test('whole values from the host', () => {
  expect(build({ DB: '$E:SECRET' })).toMatchObject({ ok: true, env: { DB: 's3' }, notices: [] })
})

test('an empty one is worth a notice', () => {
  const built = build({ DB: '$E:NONE' }, [], { ...HOST, NONE: '' } as typeof HOST)
  expect(built).toMatchObject({
    env: { DB: '' },
    notices: ['variable DB of service hello/db: NONE is empty in the environment of weir'],
  })
})

describe('what cannot be resolved names the variable and the service, never a value', () => {
  const ROWS = [
    { value: '$E:GONE', reason: 'GONE is not set in the environment of weir' },
    { value: '$E:', reason: ' is not set in the environment of weir' },
    { value: '$E:BAD', reason: 'BAD in the environment of weir is not UTF-8' },
    { value: '$S:db/password', reason: 'there is no secrets provider for $S:db/password' },
  ]
  for (const { value, reason } of ROWS) {
    test(value, () => {
      const built = build({ DB: value }, [], { ...HOST, BAD: 'a\uFFFDb' } as typeof HOST)
      const what = value === '$E:' ? ' is' : reason
      expect(built).toMatchObject({ ok: false })
      expect('reason' in built && built.reason).toContain('variable DB of service hello/db: ')
      expect('reason' in built && built.reason).toContain(what)
    })
  }
})
