import fc from 'fast-check'
import { expect, test } from 'vitest'
import { clientOf } from '../../../../core/http/forward/client.ts'
import { requestFields, requestHead } from '../../../../core/http/forward/request.ts'
import { CHUNKED } from '../../../../core/http/head/meaning.ts'
import {
  addressOf,
  CLIENT,
  linesOf,
  networks,
  PROXY,
  passageOf,
  requestFrom,
  streamFrom,
} from './heads.ts'

const OURS: Readonly<Record<string, string>> = {
  'x-forwarded-for': CLIENT,
  'x-forwarded-proto': 'http',
  'x-forwarded-host': 'shop.example',
  'x-real-ip': CLIENT,
  forwarded: `for=${CLIENT};host=shop.example;proto=http`,
  'x-request-id': 'r1',
}
const CLAIMS = ['X-Forwarded-Port', 'X-Forwarded-Prefix', 'CF-Connecting-IP', 'True-Client-IP']
const OF_CONNECTION = [
  'Keep-Alive',
  'Proxy-Connection',
  'Proxy-Authorization',
  'TE',
  'HTTP2-Settings',
]

const named = fc.constantFrom(...Object.keys(OURS), ...CLAIMS, ...OF_CONNECTION, 'Accept', 'X-Own')
/** A name as it is, in another case, or with other characters for its dashes. */
const name = fc.oneof(
  named,
  named.map((text) => text.toUpperCase()),
  fc
    .tuple(named, fc.constantFrom('_', '.', '~', '!'))
    .map(([text, by]) => text.replaceAll('-', by)),
)
const value = fc.constantFrom(
  '127.0.0.1',
  'for="[::1]"',
  '"',
  ',',
  ';',
  '',
  'trailers',
  'a, b',
  '\xff',
)
const options = fc.array(
  fc.oneof(named, fc.constantFrom('close', 'host', 'content-length', 'upgrade')),
  {
    minLength: 1,
  },
)
const line = fc.oneof(
  { weight: 4, arbitrary: fc.tuple(name, value).map(([key, text]) => `${key}: ${text}`) },
  { weight: 1, arbitrary: options.map((list) => `Connection: ${list.join(', ')}`) },
)

/** As CGI has it (RFC 3875, 4.1.18), or what is more lenient still. */
const folded = (field: string): string => field.toLowerCase().replace(/[^a-z\d]/g, '-')

const pairsOf = (lines: readonly string[]): [string, string][] =>
  lines.map((each) => {
    const colon = each.indexOf(':')
    return [each.slice(0, colon), each.slice(colon + 2)]
  })

const FOREIGN = new Set([...CLAIMS, ...OF_CONNECTION].map(folded))
FOREIGN.delete('te')

/** What a backend may believe: what we say, once, and nothing else of the kind. */
const believed = (pairs: readonly [string, string][]): Record<string, string[]> => {
  const found: Record<string, string[]> = {}
  for (const [name, text] of pairs) {
    const key = folded(name)
    if (key in OURS || FOREIGN.has(key)) found[key] = [...(found[key] ?? []), text]
  }
  return found
}

const SAID = Object.fromEntries(Object.entries(OURS).map(([name, text]) => [name, [text]]))

test('proxy W44: no field list of an untrusted client forges or deletes what is said of it', () => {
  fc.assert(
    fc.property(fc.array(line, { maxLength: 12 }), fc.nat(12), (lines, at) => {
      const framed = ['Host: shop.example', 'Content-Length: 3']
      const given = [...lines.slice(0, at), ...framed, ...lines.slice(at)]
      const head = requestFrom('POST / HTTP/1.1', ...given)
      const [, ...written] = linesOf(requestHead(head, passageOf({ requestBody: 3 })))
      const pairs = pairsOf(written)
      expect(believed(pairs)).toEqual(SAID)
      expect(written.filter((each) => /^(?:host|content.length)\b/i.test(each))).toEqual(framed)
      // what is left of Connection is ours
      const left = pairs.filter(([key]) => /^(?:connection|te)$/i.test(key))
      expect([
        [],
        [
          ['Connection', 'TE'],
          ['TE', 'trailers'],
        ],
      ]).toContainEqual(left)
      expect(believed(pairsOfFields(requestFields(head, passageOf())))).toEqual(SAID)
    }),
    { numRuns: 1_000 },
  )
})

test('proxy W44: nor one of a stream', () => {
  const pair = fc.tuple(
    name
      .map((text) => text.toLowerCase())
      .filter((text) => !/^(?:te|keep-alive|proxy-con|http2)/.test(text)),
    value,
  )
  fc.assert(
    fc.property(fc.array(pair, { maxLength: 12 }), (pairs) => {
      const head = streamFrom('POST', pairs.flat(), { isLast: false })
      const [, ...lines] = linesOf(requestHead(head, passageOf({ requestBody: CHUNKED })))
      expect(believed(pairsOf(lines))).toEqual(SAID)
      expect(believed(pairsOfFields(requestFields(head, passageOf())))).toEqual(SAID)
    }),
    { numRuns: 500 },
  )
})

test('proxy W44: what a client puts into the lists of a trusted proxy never changes who it is', () => {
  const trusted = networks('10.0.0.0/8')
  const peer = addressOf(PROXY)
  const entry = fc.constantFrom(
    '127.0.0.1',
    '10.0.0.9',
    '',
    '"',
    'unknown',
    '_x',
    '[::1]:80',
    'for=1',
  )
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), fc.boolean(), (forged, isForwarded) => {
      const own = isForwarded ? `for=${CLIENT}` : CLIENT
      const field = isForwarded ? 'Forwarded' : 'X-Forwarded-For'
      const made = forged.map((each) => (isForwarded ? `for=${each}` : each))
      const head = requestFrom(
        'GET / HTTP/1.1',
        'Host: shop.example',
        // the one it cannot write to is not looked at
        ...(isForwarded ? [] : [`Forwarded: for=${forged.join(', ')}`]),
        `${field}: ${[...made, own].join(', ')}`,
      )
      const origin = clientOf(peer, head.fields, trusted)
      expect(origin.address).toEqual(addressOf(CLIENT))
      if (!isForwarded)
        expect(origin.forwarded).toBe(`for=${forged.join(', ')}` === `for=${CLIENT}` ? own : '')
    }),
    { numRuns: 1_000 },
  )
})

function pairsOfFields(fields: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let at = 0; at < fields.length; at += 2) pairs.push([fields[at]!, fields[at + 1]!])
  return pairs
}
