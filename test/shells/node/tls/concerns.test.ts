import { X509Certificate } from 'node:crypto'
import { expect, test } from 'vitest'
import { expiryConcern, nameConcern } from '../../../../shells/node/tls/concerns.ts'
import { fixture } from './fixtures.ts'

const leaf = (name: string) => new X509Certificate(fixture(`${name}.crt`))

test.each<[now: string, concern: string | undefined]>([
  ['2019-12-31T23:59:59Z', 'valid from 2020-01-01 on, and in use all the same'],
  ['2020-01-01T00:00:00Z', undefined],
  ['2020-12-31T23:59:59Z', undefined],
  ['2021-01-01T00:00:00Z', 'expired on 2021-01-01, and in use all the same'],
])('at %s: %s', (now, concern) => {
  expect(expiryConcern(leaf('old.example'), new Date(now))).toBe(concern)
})

test.each<[name: string, file: string, concern: string | undefined]>([
  ['a.example', 'a.example', undefined],
  ['b.example', 'a.example', 'the certificate is not for this name: DNS:a.example'],
  ['*.wild.example', '_.wild.example', undefined],
  ['b.wild.example', '_.wild.example', undefined],
  ['*.a.example', 'a.example', 'the certificate is not for this name: DNS:a.example'],
  ['ca.example', 'ca', 'the certificate is not for this name: it has no names'],
  ['default', 'a.example', undefined],
])('%s from %s: %s', (name, file, concern) => {
  expect(nameConcern(name, leaf(file))).toBe(concern)
})
