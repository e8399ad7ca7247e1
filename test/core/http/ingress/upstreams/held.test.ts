import { describe, expect, test } from 'vitest'
import { bytes, GET, OK, PEERS, World } from '../world.ts'

const asleep = (options = {}): World => {
  const world = new World({ backends: '', whenEmpty: 'hold', ...options })
  for (let id = 1; id <= 5; id++) world.accept(id)
  return world
}

describe('requests that wait for a backend', () => {
  test('proxy W47, W48: many wait, and one of them says so', () => {
    const world = asleep()
    expect(world.send(1, GET)).toEqual(['wanted web'])
    expect(world.send(2, GET)).toEqual([])
    expect(world.ingress.counts('web')).toEqual({ requests: 2, held: 2, tunnels: 0 })
    expect(world.backends('A')).toEqual([
      'applied web 2',
      'connect u1 A http1',
      'connect u2 A http1',
    ])
    expect(world.ingress.held).toBe(0)
    expect(world.upstream(1, 'connected')).toEqual(['u1 < GET /'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
  })

  test('proxy W48: a new set that leaves them waiting is told once more, and no other', () => {
    const world = asleep()
    world.send(1, GET)
    expect(world.backends('', 'hold')).toEqual(['applied web 2', 'wanted web'])
    expect(world.send(2, GET)).toEqual([])
  })

  test('proxy W48: with a backend that is down, nothing waits', () => {
    const world = new World()
    const backends = [{ id: 'A', host: '127.0.0.1', port: 9, down: true }]
    world.step({ type: 'apply-backends', listener: 'web', version: 5, backends, whenEmpty: 'hold' })
    world.accept(1)
    expect(world.send(1, GET)).toEqual(['connect u1 A http1'])
  })

  test('wait with their bodies, and what follows them', () => {
    const world = asleep()
    expect(world.send(1, `POST / HTTP/1.1~Host: a~Content-Length: 4~~he`)).toEqual(['wanted web'])
    expect(world.send(1, `ll${GET}`)).toEqual([])
    world.backends('A')
    expect(world.upstream(1, 'connected')).toEqual(['u1 < POST / Content-Length: 4 | hell'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 POST done 200 A 4/2)',
      'u1 < GET /',
    ])
  })

  test('no more than so many', () => {
    const world = asleep()
    for (const id of [1, 2, 3]) world.send(id, GET)
    expect(world.send(4, GET)).toEqual([
      '4 < 503 Service Unavailable retry-after: 5 | own',
      '(4 GET held-max 503 0/own)',
    ])
    expect(world.ingress.held).toBe(3)
  })

  test('no more bytes than so many, of heads', () => {
    const world = asleep({ config: { heldBytesMax: 100 } })
    for (const id of [1, 2]) world.send(id, 'GET / HTTP/1.1~Host: a~X: 1234567890~~')
    expect(world.send(3, 'GET / HTTP/1.1~Host: a~X: 1234567890~~')).toEqual([
      '3 < 503 Service Unavailable retry-after: 5 | own',
      '(3 GET held-max 503 0/own)',
    ])
  })

  test('and of what comes later', () => {
    const world = asleep({ config: { heldBytesMax: 100 } })
    world.send(1, 'POST / HTTP/1.1~Host: a~Content-Length: 99~~')
    expect(world.send(1, 'x'.repeat(50))).toEqual([])
    expect(world.send(1, 'x'.repeat(3))).toEqual([
      '1 < 503 Service Unavailable retry-after: 5 connection: close | own',
      '(1 POST held-max 503 0/own)',
      'end 1',
    ])
    expect(world.send(1, 'x'.repeat(3))).toEqual([])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.ingress.held).toBe(0)
  })

  test('no longer than so long', () => {
    const world = asleep()
    world.send(1, GET)
    expect(world.wait(5_999)).toEqual(['close 2', 'close 3', 'close 4', 'close 5'])
    expect(world.wait(1)).toEqual([
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET hold-timeout 503 0/own)',
    ])
    expect(world.send(1, GET)).toEqual([])
  })

  test('not at all, where they may not: but it is said that they came', () => {
    const world = asleep({ listener: { holdTimeoutMs: 0 } })
    expect(world.send(1, GET)).toEqual([
      'wanted web',
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET no-backend 503 0/own)',
    ])
    expect(world.send(2, GET)).toEqual([
      '2 < 503 Service Unavailable retry-after: 5 | own',
      '(2 GET no-backend 503 0/own)',
    ])
  })

  test('not after their client left', () => {
    const world = asleep()
    world.send(1, GET)
    world.send(2, GET)
    expect(world.client(1, 'ended')).toEqual(['(1 GET client-gone 0 0/0)', 'close 1'])
    expect(world.client(2, 'broken')).toEqual(['(2 GET client-gone 0 0/0)', 'reset 2'])
    expect(world.ingress.held).toBe(0)
    expect(world.backends('A')).toEqual(['applied web 2'])
  })

  test('a stream that sent all of its request has not left', () => {
    const world = new World({ backends: '', whenEmpty: 'hold' })
    expect(world.open(1, { method: 'POST' }, false)).toEqual(['wanted web'])
    expect(world.client(1, 'ended')).toEqual([])
    expect(world.backends('A')).toEqual(['applied web 2', 'connect u1 A http1'])
    expect(world.upstream(1, 'connected')).toEqual([
      'u1 < POST / Transfer-Encoding: chunked',
      'u1 < 0~~',
    ])
  })

  test('not when the service will not come', () => {
    const world = asleep()
    world.send(1, GET)
    expect(world.backends('')).toEqual([
      'applied web 2',
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET no-backend 503 0/own)',
    ])
  })

  test('nor when the listener goes', () => {
    const world = asleep()
    world.send(1, GET)
    expect(world.step({ type: 'close-listener', listener: 'web' })).toEqual([
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET no-backend 503 0/own)',
      'emptied web',
    ])
    const other = asleep()
    other.send(1, GET)
    expect(other.step({ type: 'abort-listener', listener: 'web' })).toEqual([
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET aborted 503 0/own)',
      'emptied web',
    ])
  })

  test('go on one after the other where a backend takes but so many', () => {
    const world = asleep({ listener: { requestsPerBackendMax: 1 } })
    for (const id of [1, 2]) world.send(id, GET)
    expect(world.backends('A')).toEqual(['applied web 2', 'connect u1 A http1'])
    world.upstream(1, 'connected')
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
      'u1 < GET /',
    ])
    expect(world.reply(1, OK)).toEqual([
      '2 < 200 OK Content-Length: 2 | ok',
      '(2 GET done 200 A 0/2)',
    ])
  })

  test('a backend that goes while it is connected to: back to waiting', () => {
    const world = new World()
    world.accept(1)
    world.send(1, GET)
    expect(world.backends('', 'hold')).toEqual(['applied web 2'])
    expect(world.refuse(1)).toEqual([
      'failed web A: connection refused',
      'drained web A',
      'wanted web',
    ])
    expect(world.backends('B')).toEqual(['applied web 3', 'connect u2 B http1'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < GET /'])
  })

  test('of thousands, a bounded number goes on at once', () => {
    const world = new World({
      backends: '',
      whenEmpty: 'hold',
      config: { heldMax: 5_000, heldBytesMax: 1e6 },
    })
    for (let id = 1; id <= 3_000; id++) {
      world.ingress.step({ type: 'accepted', client: id as never, port: 'p', peers: PEERS }, 0, [])
      world.ingress.step({ type: 'client-data', client: id as never, bytes: bytes(GET) }, 0, [])
    }
    expect(world.ingress.held).toBe(3_000)
    expect(world.backends('A')).toHaveLength(1 + 1_024)
    expect(world.ingress.deadline()).toBe(1)
    expect(world.wait(0)).toEqual([])
    expect(world.wait(1)).toHaveLength(1_024)
    expect(world.wait(1)).toHaveLength(3_000 - 2_048)
    expect(world.ingress.held).toBe(0)
  })
})
