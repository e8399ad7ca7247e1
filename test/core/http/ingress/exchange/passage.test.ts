/** What an exchange makes of its head: what it adds to it, and what it leaves out. */
import { describe, expect, test } from 'vitest'
import type { HttpListenerConfig } from '../../../../../core/http/config.ts'
import { address, bytes, client, OK, type Options, upstream, World, warm } from '../world.ts'

/** All that is written to anybody. */
function written(world: World, event: Parameters<World['raw']>[0]): string {
  return world
    .raw(event)
    .map((command) => ('head' in command ? command.head : ''))
    .join('')
}

const asked = (text: string, options: Options = {}): string =>
  written(warm(options), { type: 'client-data', client: client(1), bytes: bytes(text) })

function answered(host: string, isSecure: boolean, listener: Partial<HttpListenerConfig>): string {
  const world = new World({ listener })
  world.accept(1, '192.0.2.1:1', 'p', isSecure)
  world.send(1, `GET / HTTP/1.1~Host: ${host}~~`)
  world.upstream(1, 'connected')
  return written(world, { type: 'upstream-data', upstream: upstream(1), bytes: bytes(OK) })
}

describe('the path', () => {
  const routes = [{ path: '/api', listener: 'web' }]
  const path = (stripPrefix: boolean): string[] => {
    const world = new World({ routes, listener: { stripPrefix } })
    world.accept(1)
    world.send(1, 'GET /api/x?y HTTP/1.1~Host: a~~')
    return world.upstream(1, 'connected')
  }

  test('keeps the prefix of its route, unless it is to lose it', () => {
    expect(path(false)).toEqual(['u1 < GET /api/x?y'])
    expect(path(true)).toEqual(['u1 < GET /x?y'])
  })
})

describe('a request id', () => {
  const trustedProxies = [{ network: address('192.0.2.0:0'), bits: 120 }]
  const idOf = (id: string, options: Options): string | undefined =>
    /^X-Request-Id: (.*)$/im.exec(
      asked(`GET /x HTTP/1.1~Host: a~X-Request-Id: ${id}~~`, options),
    )?.[1]

  test('of a proxy that is trusted is taken, if it can be written anywhere', () => {
    expect(idOf('abc', { config: { trustedProxies } })).toBe('abc')
    expect(idOf('<a b>', { config: { trustedProxies } })).toMatch(/^[\w-]+$/)
    expect(idOf('abc', {})).not.toBe('abc')
  })
})

test('how a client came says the proxy that it came to, not those behind that', () => {
  const world = new World({
    routes: [{ path: '/', listener: 'web', redirectTo: 443 }],
    config: { trustedProxies: [{ network: address('192.0.2.0:0'), bits: 120 }] },
  })
  world.accept(1)
  const request = (proto: string): string[] =>
    world.send(1, `GET / HTTP/1.1~Host: a~X-Forwarded-Proto: ${proto}~~`)
  expect(request('http, https')[0]).toContain('308')
  expect(request('HTTPS , http')).toEqual(['connect u1 A http1'])
})

test('to be sent to TLS is no use of a service', () => {
  const world = new World({
    routes: [{ path: '/', listener: 'web', redirectTo: 443 }],
    listener: { idleAfterMs: 10_000 },
  })
  world.accept(1)
  world.wait(1_000)
  expect(world.send(1, 'GET / HTTP/1.1~Host: a~~')[0]).toContain('308')
  expect(world.wait(8_999)).not.toContain('idle web')
  expect(world.wait(1)).toContain('idle web')
})

test('what was wrong with a request is not said of the next', () => {
  const world = warm()
  const faults = (text: string) =>
    world
      .raw({ type: 'client-data', client: client(1), bytes: bytes(text) })
      .flatMap((command) => (command.type === 'exchanged' ? [command.exchange.fault] : []))
  expect(faults('GET /x/../y HTTP/1.1~Host: a~~')).toEqual(['target'])
  world.step({ type: 'challenge', token: 't', answer: 't.k' })
  expect(faults('GET /.well-known/acme-challenge/t HTTP/1.1~Host: a~~')).toEqual([undefined])
})

describe('that TLS is to stay', () => {
  const said = 'Strict-Transport-Security'

  test('is said over TLS, of names, where it is wanted', () => {
    expect(answered('a.example', true, {})).toContain(said)
    expect(answered('a.example', false, {})).not.toContain(said)
    expect(answered('a.example', true, { hsts: false })).not.toContain(said)
    expect(answered('localhost', true, {})).not.toContain(said)
  })
})

test('a challenge has the path of challenges, not only the end of it', () => {
  const world = new World({ routes: [] })
  world.accept(1)
  world.step({ type: 'challenge', token: 't0', answer: 't0.key' })
  expect(world.send(1, `GET /${'x'.repeat(27)}t0 HTTP/1.1~Host: a~~`)).toEqual([
    '1 < 404 Not Found | own',
    '(1 GET no-route 404 0/own)',
  ])
})

test('a challenge is read, and nothing else is done with it', () => {
  const world = new World()
  world.accept(1)
  world.step({ type: 'challenge', token: 't0', answer: 't0.key' })
  const path = '/.well-known/acme-challenge/t0'
  expect(world.send(1, `POST ${path} HTTP/1.1~Host: a~~`)).toEqual(['connect u1 A http1'])
})

describe('a change of protocol', () => {
  test('is not offered to a backend of HTTP/2', () => {
    const world = new World({ listener: { backend: 'h2c' } })
    world.accept(1)
    world.send(1, 'GET /chat HTTP/1.1~Host: a~Connection: upgrade~Upgrade: websocket~~')
    expect(world.upstream(1, 'connected')).toEqual(['u1 < :method: GET :path: /chat last'])
  })

  test('of a stream is not there before its backend says 101', () => {
    const world = warm()
    world.open(2, { method: 'CONNECT', path: '/chat', protocol: 'websocket' }, false)
    expect(world.reply(1, 'HTTP/1.1 200 OK~Connection: upgrade~Upgrade: websocket~~')).toEqual([
      'reset u1',
      '2 < 502 own',
      '2 < own',
      'end 2',
      '(2 CONNECT bad-response 502 A 0/own)',
    ])
  })
})

test('trailers of a stream that are not valid are left out', () => {
  const world = warm()
  world.open(2, { method: 'POST' }, false)
  world.send(2, 'hello')
  expect(
    world.step({ type: 'client-trailers', client: client(2), fields: ['Upper-Case', '1'] }),
  ).toEqual(['u1 < 0~~'])
})

test('a client that took all at last has its whole time to close', () => {
  const world = warm()
  world.send(1, 'GET / HTTP/1.1~Host: a~Connection: close~~')
  expect(world.reply(1, OK)).toContain('end 1')
  world.client(1, 'blocked')
  expect(world.wait(2_000)).toEqual([])
  world.client(1, 'writable')
  expect(world.wait(2_000)).toEqual([])
  world.send(1, 'more')
  world.client(1, 'finished')
  expect(world.wait(4_999).filter((line) => !line.endsWith('u1'))).toEqual([])
  expect(world.wait(1)).toEqual(['close 1'])
})

describe('a client that was held back and takes again', () => {
  const blocked = (fields: string): World => {
    const world = warm()
    world.send(1, `GET / HTTP/1.1~Host: a~${fields}~`)
    world.reply(1, OK)
    world.client(1, 'blocked')
    world.wait(2_000)
    world.client(1, 'writable')
    return world
  }

  test('rests for as long as any other', () => {
    const world = blocked('')
    expect(world.wait(7_999)).toEqual(['close u1'])
    expect(world.wait(1)).toEqual(['end 1'])
  })

  test('has as long for the end of its answer as it had for the rest', () => {
    const world = blocked('Connection: close~')
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toContain('reset 1')
  })
})
