import { describe, expect, test } from 'vitest'
import { address, GET, OK, PEERS, World, warm } from '../world.ts'

const close = { type: 'close-port', port: 'p' } as const

describe('where a request goes', () => {
  const ROUTES = [
    { host: 'app.example.com', path: '/', listener: 'app' },
    { host: 'app.example.com', path: '/api', listener: 'web' },
  ]
  const world = () => {
    const made = new World({ routes: ROUTES })
    made.listener('app')
    made.backends('C', 'refuse', 'app')
    made.accept(1)
    return made
  }

  test('proxy W12: by its host, whatever its case and port, and its path', () => {
    expect(world().send(1, 'GET / HTTP/1.1~Host: App.Example.com:8080~~')).toEqual([
      'connect u1 C http1',
    ])
    expect(world().send(1, 'GET /api/x HTTP/1.1~Host: app.example.com~~')).toEqual([
      'connect u1 A http1',
    ])
    expect(world().send(1, 'GET /apix HTTP/1.1~Host: app.example.com~~')).toEqual([
      'connect u1 C http1',
    ])
    expect(world().send(1, 'GET / HTTP/1.1~Host: example.com~~')).toEqual([
      '1 < 404 Not Found | own',
      '(1 GET no-route 404 0/own)',
    ])
  })

  test('a path that means another one to some: 400', () => {
    expect(world().send(1, 'GET /x/../api HTTP/1.1~Host: app.example.com~~')).toEqual([
      '1 < 400 Bad Request | own',
      '(1 GET bad-request 400 0/own)',
    ])
  })

  test('proxy W11: routes are those of the port', () => {
    const made = world()
    made.step({
      type: 'apply-routes',
      port: 'q',
      number: 81,
      routes: [{ path: '/', listener: 'app' }],
    })
    made.accept(2, '192.0.2.1:1', 'q')
    expect(made.send(2, GET)).toEqual(['connect u1 C http1'])
    expect(made.send(1, GET)).toEqual(['1 < 404 Not Found | own', '(1 GET no-route 404 0/own)'])
  })

  test('new routes hold for requests that begin from now on', () => {
    const made = world()
    made.send(1, 'GET / HTTP/1.1~Host: app.example.com~~')
    made.upstream(1, 'connected')
    made.step({ type: 'apply-routes', port: 'p', number: 80, routes: [] })
    expect(made.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 C 0/2)',
    ])
    expect(made.send(1, 'GET / HTTP/1.1~Host: app.example.com~~')).toEqual([
      '1 < 404 Not Found | own',
      '(1 GET no-route 404 0/own)',
    ])
  })

  test('a route that leads nowhere any more is none', () => {
    const made = world()
    made.step({ type: 'abort-listener', listener: 'app' })
    expect(made.send(1, 'GET / HTTP/1.1~Host: app.example.com~~')).toEqual([
      '1 < 404 Not Found | own',
      '(1 GET no-route 404 0/own)',
    ])
  })

  test('without the prefix of the route, where backends want none', () => {
    const made = world()
    made.listener('web', { stripPrefix: true })
    expect(made.send(1, 'GET /api/x?y HTTP/1.1~Host: app.example.com~~')).toEqual([
      'connect u1 A http1',
    ])
    expect(made.upstream(1, 'connected')).toEqual(['u1 < GET /x?y'])
  })

  test('to https, where it has to be', () => {
    const made = new World({ routes: [{ path: '/', listener: 'web', redirectTo: 8443 }] })
    made.accept(1)
    expect(made.send(1, 'GET /x?y HTTP/1.1~Host: a.example:80~~')).toEqual([
      '1 < 308 Permanent Redirect location: https://a.example:8443/x?y content-length: 0',
      '(1 GET redirected 308 0/0)',
    ])
    made.accept(2, '192.0.2.1:1', 'p', true)
    expect(made.send(2, GET)).toEqual(['connect u1 A http1'])
  })

  test('also where a proxy that is trusted says that it was not', () => {
    const trustedProxies = [{ network: address('192.0.2.0:0'), bits: 120 }]
    const made = new World({
      routes: [{ path: '/', listener: 'web', redirectTo: 443 }],
      config: { trustedProxies },
    })
    made.accept(1)
    expect(made.send(1, 'GET / HTTP/1.1~Host: a~X-Forwarded-Proto: http~~')).toEqual([
      '1 < 308 Permanent Redirect location: https://a/ content-length: 0',
      '(1 GET redirected 308 0/0)',
    ])
    expect(made.send(1, 'GET / HTTP/1.1~Host: a~X-Forwarded-Proto: https~~')).toEqual([
      'connect u1 A http1',
    ])
    made.accept(2, '198.51.100.1:1')
    expect(made.send(2, 'GET / HTTP/1.1~Host: a~X-Forwarded-Proto: https~~')).toEqual([
      '2 < 308 Permanent Redirect location: https://a/ content-length: 0',
      '(2 GET redirected 308 0/0)',
    ])
  })

  test('a CONNECT that is no WebSocket goes nowhere', () => {
    expect(warm().send(1, 'CONNECT a:443 HTTP/1.1~Host: a:443~~')).toEqual([
      '1 < 501 Not Implemented | own',
      '(1 CONNECT bad-request 501 0/own)',
    ])
    expect(warm().open(2, { method: 'CONNECT', path: '', authority: 'a:443' }, false)).toEqual([
      '2 < 501 own',
      '2 < own',
      'end 2',
      '(2 CONNECT bad-request 501 0/own)',
    ])
  })
})

describe('proxy W41: challenges of ACME', () => {
  const CHALLENGE = 'GET /.well-known/acme-challenge/t0 HTTP/1.1~Host: a~~'
  test('are answered before all routes, for as long as they are there', () => {
    const world = new World({ routes: [] })
    world.accept(1)
    world.step({ type: 'challenge', token: 't0', answer: 't0.key' })
    expect(world.send(1, CHALLENGE)).toEqual([
      '1 < 200 OK content-length: 6 | t0.key',
      '(1 GET challenge 200 0/6)',
    ])
    expect(world.send(1, CHALLENGE.replace('t0', 't1'))).toEqual([
      '1 < 404 Not Found | own',
      '(1 GET no-route 404 0/own)',
    ])
    world.step({ type: 'challenge', token: 't0' })
    expect(world.send(1, CHALLENGE)).toEqual([
      '1 < 404 Not Found | own',
      '(1 GET no-route 404 0/own)',
    ])
  })
})

describe('proxy W15: network policies', () => {
  const access = [
    { sources: [{ network: address('198.51.100.0:0'), bits: 120 }], verdict: 'deny' as const },
  ]

  test('refuse those they are for, and nobody is told who asked', () => {
    const world = new World({ listener: { access }, backends: '', whenEmpty: 'hold' })
    world.accept(1, '198.51.100.1:1')
    expect(world.send(1, GET)).toEqual(['1 < 403 Forbidden | own', '(1 GET forbidden 403 0/own)'])
    world.accept(2)
    expect(world.send(2, GET)).toEqual(['wanted web'])
  })

  test('see the client, not the proxy it comes through', () => {
    const trustedProxies = [{ network: address('192.0.2.0:0'), bits: 120 }]
    const world = new World({ listener: { access }, config: { trustedProxies } })
    world.accept(1)
    expect(world.send(1, 'GET / HTTP/1.1~Host: a~X-Forwarded-For: 198.51.100.7~~')).toEqual([
      '1 < 403 Forbidden | own',
      '(1 GET forbidden 403 0/own)',
    ])
    expect(world.send(1, GET)).toEqual(['connect u1 A http1'])
    world.accept(2, '203.0.113.1:1')
    expect(world.send(2, 'GET / HTTP/1.1~Host: a~X-Forwarded-For: 198.51.100.7~~')).toEqual([
      'connect u2 A http1',
    ])
  })
})

describe('a port that is closed', () => {
  test('its connections end with their exchanges, idle ones at once', () => {
    const world = warm()
    for (const id of [2, 3, 4]) world.accept(id)
    world.send(2, GET)
    world.send(4, 'GET / HT')
    expect(world.step(close)).toEqual(['end 1', 'close 3'])
    expect(world.reply(1, OK)).toEqual([
      '2 < 200 OK Content-Length: 2 Connection: close | ok',
      '(2 GET done 200 A 0/2)',
      'end 2',
    ])
    expect(world.send(4, 'TP/1.1~Host: a~~')).toEqual(['u1 < GET /'])
    expect(world.accept(5)).toEqual(['reset 5'])
    expect(world.open(6)).toEqual(['reset 6'])
    expect(world.ingress.counters.refused['not-accepting']).toBe(2)
  })

  test('an answer that was begun without saying so is followed by the end', () => {
    const world = warm()
    world.send(1, GET + GET)
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 4~~he')
    expect(world.step(close)).toEqual([])
    expect(world.reply(1, 'll')).toEqual(['1 < ll', '(1 GET done 200 A 0/4)', 'end 1'])
  })

  test('a request that was led somewhere stays there, pipelined ones are answered by nobody', () => {
    const world = warm()
    world.send(1, GET + GET)
    world.step(close)
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 Connection: close | ok',
      '(1 GET done 200 A 0/2)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.client(1, 'ended')).toEqual(['close 1'])
  })

  test('opened again it is another one', () => {
    const world = warm()
    world.send(1, GET)
    world.step(close)
    world.step({
      type: 'apply-routes',
      port: 'p',
      number: 80,
      routes: [{ path: '/', listener: 'web' }],
    })
    world.accept(2)
    expect(world.send(2, GET)).toEqual(['connect u2 A http1'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 Connection: close | ok',
      '(1 GET done 200 A 0/2)',
      'end 1',
    ])
  })

  test('of thousands of idle connections, a bounded number ends at once', () => {
    const world = new World()
    for (let id = 1; id <= 2_000; id++) {
      world.ingress.step({ type: 'accepted', client: id as never, port: 'p', peers: PEERS }, 0, [])
    }
    expect(world.step(close)).toHaveLength(1_024)
    expect(world.wait(1)).toHaveLength(2_000 - 1_024)
    expect(world.ingress.clients).toBe(0)
    expect(world.ingress.deadline()).toBeUndefined()
  })

  test('that nobody knows is closed already', () => {
    expect(new World().step({ type: 'close-port', port: 'q' })).toEqual([])
  })
})

describe('limits', () => {
  test('of the port, where it has its own', () => {
    const world = new World()
    const limits = { headTimeoutMs: 50, headBytesMax: 64, keepAliveMs: 70 }
    world.step({ type: 'apply-routes', port: 'q', number: 81, routes: [], limits })
    world.accept(1, '192.0.2.1:1', 'q')
    expect(world.wait(50)).toEqual(['close 1'])
    world.accept(2, '192.0.2.1:1', 'q')
    expect(world.send(2, GET)).toEqual(['2 < 404 Not Found | own', '(2 GET no-route 404 0/own)'])
    expect(world.wait(70)).toEqual(['end 2'])
    world.accept(3, '192.0.2.1:1', 'q')
    expect(world.send(3, `GET / HTTP/1.1~Host: a~X: ${'x'.repeat(40)}~~`)).toEqual([
      '3 < 431 Request Header Fields Too Large connection: close | own',
      '(3 bad-request 431 0/own)',
      'end 3',
    ])
  })

  test('of the configuration, from now on', () => {
    const world = warm()
    world.step({ type: 'configure', config: { ...world.ingress.state.config, fieldsMax: 1 } })
    expect(world.send(1, 'GET / HTTP/1.1~Host: a~X: 1~~')).toEqual([
      '1 < 431 Request Header Fields Too Large connection: close | own',
      '(1 bad-request 431 0/own)',
      'end 1',
    ])
    world.accept(2)
    world.send(2, GET)
    expect(world.reply(1, 'HTTP/1.1 200 OK~X: 1~Y: 2~~')).toEqual([
      'reset u1',
      '2 < 502 Bad Gateway | own',
      '(2 GET bad-response 502 A 0/own)',
    ])
  })

  test('of heads of answers: those of the listener', () => {
    const world = warm({ listener: { headBytesMax: 100 } })
    world.send(1, GET)
    expect(world.reply(1, `HTTP/1.1 200 OK~X: ${'x'.repeat(100)}~~`)).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 GET bad-response 502 A 0/own)',
    ])
  })
})
