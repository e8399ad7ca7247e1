import { describe, expect, test } from 'vitest'
import { GET, OK, warm } from '../world.ts'

const POST = 'POST / HTTP/1.1~Host: a~Content-Length: 2~~ok'
const answered = (fields: string) => `HTTP/1.1 200 OK~Content-Length: 2~${fields}~~ok`

describe('connections that are kept', () => {
  test('proxy W46: they serve other clients', () => {
    const world = warm()
    world.accept(2)
    expect(world.send(2, GET)).toEqual(['u1 < GET /'])
    expect(world.ingress.listenerCounters('web')).toMatchObject({ connected: 1, reused: 1 })
  })

  test('the one that was used last is taken first', () => {
    const world = warm()
    world.accept(2)
    world.send(1, GET)
    world.send(2, GET)
    world.upstream(2, 'connected')
    world.reply(2, OK)
    world.reply(1, OK)
    expect(world.send(2, GET)).toEqual(['u1 < GET /'])
    expect(world.send(1, GET)).toEqual(['u2 < GET /'])
  })

  test('no more than so many', () => {
    const world = warm()
    for (const id of [2, 3]) world.accept(id)
    for (const id of [1, 2, 3]) world.send(id, GET)
    for (const id of [2, 3]) world.upstream(id, 'connected')
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.reply(2, OK)).toEqual([
      '2 < 200 OK Content-Length: 2 | ok',
      '(2 GET done 200 A 0/2)',
    ])
    expect(world.reply(3, OK)).toEqual([
      '3 < 200 OK Content-Length: 2 | ok',
      'close u3',
      '(3 GET done 200 A 0/2)',
    ])
    expect(world.ingress.backendCounts('web')).toMatchObject([{ idle: 2 }])
  })

  test('no longer than so long', () => {
    const world = warm()
    expect(world.wait(4_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1'])
  })

  test('used in between, for as long again', () => {
    const world = warm()
    world.wait(3_000)
    world.send(1, GET)
    world.wait(3_000)
    world.reply(1, OK)
    expect(world.wait(4_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1'])
  })

  test('a second less than their backend keeps them', () => {
    const world = warm()
    world.send(1, GET)
    world.reply(1, answered('Keep-Alive: timeout=3'))
    expect(world.wait(1_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1'])
    world.send(1, GET)
    world.upstream(2, 'connected')
    expect(world.reply(2, answered('Keep-Alive: timeout=1'))).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u2',
      '(1 GET done 200 A 0/2)',
    ])
  })

  test('not when the backend closes them', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, answered('Connection: close'))).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      '(1 GET done 200 A 0/2)',
    ])
    world.send(1, GET)
    world.upstream(2, 'connected')
    expect(world.reply(2, 'HTTP/1.0 200 OK~Content-Length: 0~~')).toEqual([
      '1 < 200 OK Content-Length: 0',
      'close u2',
      '(1 GET done 200 A 0/0)',
    ])
  })

  test('nor when what was written to them is not taken', () => {
    const world = warm()
    world.send(1, POST)
    world.upstream(1, 'blocked')
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      '(1 POST done 200 A 2/2)',
    ])
  })

  test('one that ends while nobody uses it is forgotten', () => {
    const world = warm()
    expect(world.upstream(1, 'ended')).toEqual(['close u1'])
    expect(world.upstream(1, 'broken')).toEqual([])
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
    expect(world.ingress.counters.idleLost).toBe(1)
  })

  test('so is one that says what nobody asked for', () => {
    const world = warm()
    expect(world.reply(1, OK)).toEqual(['close u1'])
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
    expect(world.ingress.counters.idleLost).toBe(1)
  })

  test('of a backend that left, none is kept', () => {
    const world = warm({ backends: 'A' })
    expect(world.backends('B')).toEqual(['applied web 2', 'drained web A', 'close u1'])
    expect(world.send(1, GET)).toEqual(['connect u2 B http1'])
  })

  test('nor of one that left meanwhile', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.backends('B')).toEqual(['applied web 2'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      'drained web A',
      '(1 GET done 200 A 0/2)',
    ])
  })
})

describe('an idle connection that its backend closes just as it is used', () => {
  test('costs no request: it is repeated on a fresh one', () => {
    const world = warm({ listener: { retries: 0 } })
    expect(world.send(1, GET)).toEqual(['u1 < GET /'])
    expect(world.upstream(1, 'ended')).toEqual(['reset u1', 'connect u2 A http1'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < GET /'])
    expect(world.reply(2, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.ingress.counters.staleReuses).toBe(1)
  })

  test('also when it resets', () => {
    const world = warm({ listener: { retries: 0 } })
    world.send(1, 'DELETE /x HTTP/1.1~Host: a~~')
    expect(world.upstream(1, 'broken')).toEqual(['reset u1', 'connect u2 A http1'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < DELETE /x'])
  })

  test('on that of another backend, where its own left or is down by now', () => {
    const world = warm({ backends: 'A' })
    world.send(1, GET)
    world.backends('B')
    expect(world.upstream(1, 'ended')).toEqual(['reset u1', 'drained web A', 'connect u2 B http1'])
    const other = warm()
    other.send(1, GET)
    const backends = [
      { id: 'A', host: '127.0.0.1', port: 20_065, down: true },
      { id: 'B', host: '127.0.0.1', port: 20_066 },
    ]
    other.step({
      type: 'apply-backends',
      listener: 'web',
      version: 7,
      backends,
      whenEmpty: 'refuse',
    })
    expect(other.upstream(1, 'ended')).toEqual(['reset u1', 'connect u2 B http1'])
  })

  test('on a fresh one there as well', () => {
    const world = warm({ backends: 'AB' })
    world.accept(2)
    world.send(2, GET)
    world.upstream(2, 'connected')
    world.reply(2, OK)
    world.send(1, GET)
    world.backends('B')
    expect(world.upstream(1, 'ended')).toEqual(['reset u1', 'drained web A', 'connect u3 B http1'])
  })

  test('but not when it said something of an answer', () => {
    const world = warm()
    world.send(1, GET)
    world.reply(1, 'HTTP/1.1 2')
    expect(world.upstream(1, 'ended')).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 GET upstream-closed 502 A 0/own)',
    ])
  })

  test('nor twice: a fresh connection that ends says something', () => {
    const world = warm()
    world.send(1, GET)
    world.upstream(1, 'ended')
    world.upstream(2, 'connected')
    expect(world.upstream(2, 'ended')).toEqual([
      'reset u2',
      '1 < 502 Bad Gateway | own',
      '(1 GET upstream-closed 502 A 0/own)',
    ])
  })

  test('nor for a method that may not be repeated, which takes but a fresh one', () => {
    const world = warm()
    world.now += 1_000
    expect(world.send(1, POST)).toEqual(['connect u2 A http1'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < POST / Content-Length: 2 | ok'])
    expect(world.upstream(2, 'ended')).toEqual([
      'reset u2',
      '1 < 502 Bad Gateway | own',
      '(1 POST upstream-closed 502 A 2/own)',
    ])
    world.now += 10
    expect(world.ingress.counters.staleReuses).toBe(0)
  })

  test('just after its last use, it may take one too: and then it is lost with it', () => {
    const world = warm()
    world.now += 999
    expect(world.send(1, 'POST / HTTP/1.1~Host: a~~')).toEqual(['u1 < POST /'])
    expect(world.upstream(1, 'ended')).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 POST upstream-closed 502 A 0/own)',
    ])
  })

  test('nor when some of a body is gone', () => {
    const world = warm()
    world.send(1, 'PUT / HTTP/1.1~Host: a~Content-Length: 3~~ok')
    expect(world.upstream(1, 'ended')).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway connection: close | own',
      '(1 PUT upstream-closed 502 A 2/own)',
      'end 1',
    ])
  })

  test('but when none is: the client still waits for 100', () => {
    const world = warm()
    world.send(1, 'PUT / HTTP/1.1~Host: a~Content-Length: 2~Expect: 100-continue~~')
    expect(world.upstream(1, 'ended')).toEqual(['reset u1', 'connect u2 A http1'])
    expect(world.upstream(2, 'connected')).toEqual([
      'u2 < PUT / Content-Length: 2 Expect: 100-continue',
    ])
    expect(world.send(1, 'ok')).toEqual(['u2 < ok'])
  })
})
