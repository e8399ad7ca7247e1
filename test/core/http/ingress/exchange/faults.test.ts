import { describe, expect, test } from 'vitest'
import type { IngressCommand } from '../../../../../core/http/commands.ts'
import { address, bytes, client, World, warm } from '../world.ts'

const said = (commands: readonly IngressCommand[]) => {
  const record = commands.find((command) => command.type === 'exchanged')!.exchange
  const text = commands.map((command) => ('head' in command ? command.head : '')).join('')
  const { detail } = JSON.parse(text.slice(text.indexOf('{')))
  return [record.status, record.fault, detail]
}
const send = (text: string) =>
  ({ type: 'client-data', client: client(1), bytes: bytes(text) }) as const

describe('a request that cannot be read is told why, and so is the log', () => {
  for (const [text, ...then] of [
    ['GET / HTTP/1.1~Host: a~Host: b~~', 400, 'host', 'Refused: no Host, two, or a bad one.'],
    ['\x16\x03\x01\x02~~', 400, 'method', 'Refused: bad method, or no HTTP at all.'],
    ['GET /../x HTTP/1.1~Host: a~~', 400, 'target', 'Refused: target.'],
    [`GET / HTTP/1.1~Host: a~X: ${'x'.repeat(5_000)}~~`, 431, 'head-too-large', expect.any(String)],
    [
      `GET / HTTP/1.1~Host: a~Connection: ${Array.from({ length: 200 }, (_, n) => `h${n}`)}~~`,
      ...[400, 'connection', 'Refused: Connection lists too much.'],
    ],
  ] as const) {
    test(`${text.slice(0, 40)}: ${then[1]}`, () => {
      expect(said(warm({ routes: [{ path: '/x', listener: 'web' }] }).raw(send(text)))).toEqual(
        then,
      )
    })
  }

  test('the same option many times is one', () => {
    const text = `GET / HTTP/1.1~Host: a~Connection: ${'close, x, '.repeat(150)}close~X: 1~~`
    expect(warm().send(1, text)).toEqual(['u1 < GET /'])
  })

  test('in chunks, and behind them', () => {
    const world = warm()
    world.send(1, 'POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~')
    expect(said(world.raw(send(`0~X: ${'x'.repeat(9_000)}~~`)))).toEqual([
      ...[431, 'line-too-long', 'Refused: line too long.'],
    ])
    const other = warm()
    other.send(1, 'POST / HTTP/1.1~Host: a~Transfer-Encoding: chunked~~')
    expect(said(other.raw(send('x~')))).toEqual([400, 'chunk-size', 'Refused: chunk size.'])
  })

  test('of a stream', () => {
    const world = new World()
    const peers = { source: address('192.0.2.1:40000'), destination: address('192.0.2.9:80') }
    const head = { method: 'GET', scheme: 'http', authority: 'a', path: '/' }
    const fields = ['te', 'gzip']
    expect(
      said(
        world.raw({
          ...{ type: 'stream-opened', client: client(1), port: 'p', peers },
          head: { ...head, fields },
          isLast: true,
        }),
      ),
    ).toEqual([400, 'connection-field', 'Refused: a field that HTTP/2 does not have.'])
  })

  test('and nothing of it is said of the next', () => {
    const world = warm({ routes: [{ path: '/x', listener: 'web' }] })
    world.send(1, 'GET /../x HTTP/1.1~Host: a~~')
    expect(said(world.raw(send('GET /y HTTP/1.1~Host: a~~')))).toEqual([
      ...[404, undefined, 'Nothing is served here.'],
    ])
  })
})

describe('a redirecting route', () => {
  const routes = [{ path: '/', listener: 'web', redirectTo: 443 }]

  test('is of its listener, and no use of that', () => {
    const world = warm({ routes })
    const [, exchanged] = world.raw(send('GET / HTTP/1.1~Host: a.test~~'))
    expect(exchanged).toMatchObject({ exchange: { outcome: 'redirected', listener: 'web' } })
    expect(world.ingress.counts('web').requests).toBe(0)
    expect(world.ingress.listenerCounters('web')!.outcomes.redirected).toBe(2)
  })

  for (const [proto, isLed] of [
    ['https', true],
    ['https, http', true],
    ['HTTPS ,https', true],
    ['http, https', false],
    ['httpsx', false],
  ] as const) {
    test(`behind proxies that say ${proto}`, () => {
      const trustedProxies = [{ network: address('192.0.2.0:0'), bits: 120 }]
      const world = new World({ routes, config: { trustedProxies } })
      world.accept(1)
      const lines = world.send(1, `GET / HTTP/1.1~Host: a.test~X-Forwarded-Proto: ${proto}~~`)
      expect(lines[0]?.startsWith('connect')).toBe(isLed)
    })
  }
})

describe('Max-Forwards', () => {
  test('of 0 ends here', () => {
    const world = warm()
    expect(world.send(1, 'OPTIONS / HTTP/1.1~Host: a~Max-Forwards: 0~~')).toEqual([
      '1 < 204 No Content',
      '(1 OPTIONS done 204 0/0)',
    ])
    expect(world.send(1, 'TRACE / HTTP/1.1~Host: a~Max-Forwards: 0~~')).toEqual([
      '1 < 501 Not Implemented | own',
      '(1 TRACE bad-request 501 0/own)',
    ])
    expect(world.send(1, 'GET / HTTP/1.1~Host: a~Max-Forwards: 0~~')).toEqual(['u1 < GET /'])
  })
})
