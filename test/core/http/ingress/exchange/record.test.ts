import { describe, expect, test } from 'vitest'
import type { ExchangeRecord } from '../../../../../core/http/commands.ts'
import type { IngressEvent } from '../../../../../core/http/events.ts'
import { address, bytes, client, GET, OK, upstream, World } from '../world.ts'

const send = (text: string): IngressEvent => ({
  type: 'client-data',
  client: client(1),
  bytes: bytes(text),
})
const reply = (text: string): IngressEvent => ({
  type: 'upstream-data',
  upstream: upstream(1),
  bytes: bytes(text),
})

const recordOf = (world: World, event: IngressEvent): ExchangeRecord => {
  const found = world.raw(event).find(({ type }) => type === 'exchanged')
  return (found as { exchange: ExchangeRecord }).exchange
}

describe('what is told of an exchange', () => {
  const routes = [{ host: 'a', path: '/x', listener: 'web' }]

  test('all that there is, with when each part of it was there', () => {
    const world = new World({ routes })
    world.now = 100
    world.accept(1)
    world.now = 105
    world.step(send('POST /x/y?z HTTP/1.1~Host: a~User-Agent: me~Referer: you~'))
    world.now = 107
    world.step(send('Content-Length: 3~~abc'))
    world.now = 110
    world.upstream(1, 'connected')
    world.now = 115.5
    world.step(reply('HTTP/1.1 200 OK~Content-Length: 2~~'))
    world.now = 120
    expect(recordOf(world, reply('ok'))).toEqual({
      client: 1,
      listener: 'web',
      route: 'a/x',
      backend: 'A',
      protocol: '1.1',
      method: 'POST',
      host: 'a',
      target: '/x/y?z',
      clientAddress: '192.0.2.1',
      requestId: expect.stringMatching(/^[0-9a-z]{14}-1$/),
      status: 200,
      outcome: 'done',
      fault: undefined,
      bytesIn: 3,
      bytesOut: 2,
      retries: 0,
      timings: { headMs: 2, chosenMs: 2, sentMs: 5, firstByteMs: 10.5, totalMs: 15 },
      userAgent: 'me',
      referer: 'you',
    })
  })

  test('nothing of the exchange before it on the connection', () => {
    const world = new World({ routes })
    world.accept(1)
    world.step(send('GET /x HTTP/1.0~Host: a~Connection: keep-alive~User-Agent: me~~'))
    world.upstream(1, 'connected')
    expect(recordOf(world, reply(OK)).protocol).toBe('1.0')
    world.now = 50
    const plain = { client: 1, clientAddress: '192.0.2.1', bytesIn: 0, retries: 0 }
    const none = { listener: undefined, route: '', backend: undefined }
    const timings = { chosenMs: undefined, sentMs: undefined, firstByteMs: undefined, totalMs: 0 }
    expect(recordOf(world, send(GET))).toEqual({
      ...{ ...plain, ...none, protocol: '1.1', method: 'GET', host: 'a', target: '/' },
      requestId: expect.stringMatching(/-2$/),
      status: 404,
      outcome: 'no-route',
      fault: undefined,
      bytesOut: expect.any(Number),
      timings: { ...timings, headMs: 0 },
      userAgent: '',
      referer: '',
    })
    expect(recordOf(world, send('nonsense~~'))).toEqual({
      ...{ ...plain, ...none, protocol: '1.1', method: '', host: '', target: '' },
      requestId: expect.stringMatching(/-3$/),
      status: 400,
      outcome: 'bad-request',
      fault: 'method',
      bytesOut: expect.any(Number),
      timings: { ...timings, headMs: undefined },
      userAgent: '',
      referer: '',
    })
  })

  test('whom it was for, behind a proxy that is trusted, and the id that one gave it', () => {
    const trustedProxies = [{ network: address('192.0.2.0:0'), bits: 120 }]
    const world = new World({ config: { trustedProxies } })
    world.accept(1)
    const fields = 'X-Forwarded-For: 203.0.113.7~X-Request-Id: theirs~'
    world.step(send(`GET / HTTP/1.1~Host: a~${fields}~`))
    world.upstream(1, 'connected')
    expect(recordOf(world, reply(OK))).toMatchObject({
      clientAddress: '203.0.113.7',
      requestId: 'theirs',
    })
    world.step(send(GET))
    expect(recordOf(world, reply(OK))).toMatchObject({
      clientAddress: '192.0.2.1',
      requestId: expect.stringMatching(/-2$/),
    })
    expect(recordOf(world, send('nonsense~~'))).toMatchObject({ clientAddress: '192.0.2.1' })
  })

  test('who is no trusted proxy says nothing of it', () => {
    const world = new World()
    world.accept(1)
    const fields = 'X-Forwarded-For: 203.0.113.7~X-Request-Id: theirs~'
    world.step(send(`GET / HTTP/1.1~Host: a~${fields}~`))
    world.upstream(1, 'connected')
    expect(recordOf(world, reply(OK))).toMatchObject({
      clientAddress: '192.0.2.1',
      requestId: expect.stringMatching(/-1$/),
    })
  })

  test('how long it was held shows in when its backend was chosen', () => {
    const world = new World({ backends: '', whenEmpty: 'hold' })
    world.accept(1)
    world.step(send(GET))
    world.now = 40
    world.backends('A')
    world.now = 45
    world.upstream(1, 'connected')
    expect(recordOf(world, reply(OK)).timings).toEqual({
      headMs: 0,
      chosenMs: 40,
      sentMs: 45,
      firstByteMs: 45,
      totalMs: 45,
    })
  })
})

describe('counters', () => {
  test('each outcome is counted, of the listener and of all', () => {
    const world = new World({ routes: [{ path: '/x', listener: 'web' }] })
    world.accept(1)
    world.step(send(GET))
    world.step(send('GET /x HTTP/1.1~Host: a~~'))
    world.upstream(1, 'connected')
    expect(world.ingress.counts('web')).toEqual({ requests: 1, held: 0, tunnels: 0 })
    world.step(reply(OK))
    expect(world.ingress.counters.outcomes).toMatchObject({ 'no-route': 1, done: 1 })
    expect(world.ingress.listenerCounters('web')).toMatchObject({
      outcomes: { 'no-route': 0, done: 1 },
      bytesIn: 0,
      bytesOut: 2,
    })
    expect(world.ingress.counts('other')).toEqual({ requests: 0, held: 0, tunnels: 0 })
    expect(world.ingress.listenerCounters('other')).toBeUndefined()
    expect(world.ingress.backendCounts('other')).toEqual([])
  })

  test('of backends: those in the set, then those that drain', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    world.step(send(GET))
    world.upstream(1, 'connected')
    world.backends('B')
    const none = { isDown: false, idle: 0, failures: 0 }
    expect(world.ingress.backendCounts('web')).toEqual([
      { backend: 'B', host: '127.0.0.1', port: 20_066, isDraining: false, live: 0, ...none },
      { backend: 'A', host: '127.0.0.1', port: 20_065, isDraining: true, live: 1, ...none },
    ])
  })
})
