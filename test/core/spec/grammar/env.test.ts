import { describe, expect, test } from 'vitest'
import { type EnvValue, parseEnvValue } from '../../../../core/spec/grammar/env.ts'

const secret = (parts: object): EnvValue => ({ type: 'secret', secret: parts as never })

describe('values that are understood', () => {
  const ROWS: readonly [string, EnvValue][] = [
    ['', { type: 'text' }],
    ['plain $HOME ${PORT} $5', { type: 'text' }],
    ['$E', { type: 'text' }],
    ['$E:HOME', { type: 'host', variable: 'HOME' }],
    ['$E:_x1', { type: 'host', variable: '_x1' }],
    ['$S:token', secret({ name: 'token' })],
    ['$S:db-main/user', secret({ name: 'db-main', field: 'user' })],
    ['$S:@web/token', secret({ name: 'token', scope: { type: 'service', service: 'web' } })],
    [
      '$S:@web/token/key',
      secret({ name: 'token', field: 'key', scope: { type: 'service', service: 'web' } }),
    ],
    [
      '$S::prod/token',
      secret({ name: 'token', scope: { type: 'environment', environment: 'prod' } }),
    ],
    [
      '$S:shop:prod/token/key',
      secret({
        name: 'token',
        field: 'key',
        scope: { type: 'environment', project: 'shop', environment: 'prod' },
      }),
    ],
  ]
  for (const [text, value] of ROWS) {
    test(JSON.stringify(text), () => expect(parseEnvValue(text)).toEqual(value))
  }
})

describe('references that are none', () => {
  const ROWS: readonly [string, RegExp][] = [
    ['$E:', /write \$E:NAME and nothing else/],
    ['$E:A B', /nothing else/],
    ['$E:1A', /nothing else/],
    ['$S:', /the forms are/],
    ['$S:1token', /the forms are/],
    ['$S:a/b/c', /the forms are/],
    ['$S:@web', /the forms are/],
    ['$S::prod', /the forms are/],
    ['$S:a b', /the forms are/],
  ]
  for (const [text, reason] of ROWS) {
    test(JSON.stringify(text), () => {
      expect(parseEnvValue(text)).toEqual({ type: 'fault', reason: expect.stringMatching(reason) })
    })
  }

  test('services W73: text before a reference is explained, not handed on as it stands', () => {
    for (const text of ['postgres://$E:USER', ' $E:HOME', 'x$S:token']) {
      expect(parseEnvValue(text)).toEqual({
        type: 'fault',
        reason: expect.stringMatching(
          /has text before \$[ES]:; a reference must be the whole value/,
        ),
      })
    }
  })
})
