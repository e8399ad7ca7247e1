import { describe, expect, test } from 'vitest'
import { LeastConnections } from '../../../../../core/balance/least-connections.ts'
import { strategyNamed } from '../../../../../core/balance/strategies.ts'
import { address, GET, OK, World } from '../world.ts'

const POST = 'POST / HTTP/1.1~Host: a~Content-Length: 2~~ok'

describe('proxy W19: a backend that cannot be reached', () => {
  test('costs no request while another one can, whatever the method', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    expect(world.send(1, POST)).toEqual(['connect u1 A http1'])
    expect(world.refuse(1)).toEqual(['failed web A: connection refused', 'connect u2 B http1'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < POST / Content-Length: 2 | ok'])
    expect(world.reply(2, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 POST done 200 B 2/2 retries 1)',
    ])
    expect(world.ingress.counters).toMatchObject({ retried: 1, connectsFailed: 1 })
  })

  test('each is tried once, and no more than may be', () => {
    const world = new World({ backends: 'AB', listener: { retries: 5 } })
    world.accept(1)
    world.send(1, GET)
    world.refuse(1)
    expect(world.refuse(2)).toEqual([
      'failed web B: connection refused',
      '1 < 502 Bad Gateway | own',
      '(1 GET connect-failed 502 B 0/own retries 1)',
    ])
    const other = new World({ backends: 'ABC' })
    other.accept(1)
    other.send(1, GET)
    other.refuse(1)
    expect(other.refuse(2)).toEqual([
      'failed web B: connection refused',
      '1 < 502 Bad Gateway | own',
      '(1 GET connect-failed 502 B 0/own retries 1)',
    ])
  })

  test('is reported once a second', () => {
    const world = new World()
    world.accept(1)
    world.send(1, GET)
    expect(world.refuse(1)).toEqual([
      'failed web A: connection refused',
      '1 < 502 Bad Gateway | own',
      '(1 GET connect-failed 502 A 0/own)',
    ])
    world.send(1, GET)
    expect(world.refuse(2)).toEqual([
      '1 < 502 Bad Gateway | own',
      '(1 GET connect-failed 502 A 0/own)',
    ])
    world.now = 1_000
    world.send(1, GET)
    expect(world.refuse(3)).toEqual([
      'failed web A: connection refused',
      '1 < 502 Bad Gateway | own',
      '(1 GET connect-failed 502 A 0/own)',
    ])
    expect(world.ingress.backendCounts('web')).toMatchObject([{ failures: 3 }])
  })

  test('nor answers: the next one, after a while', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    world.send(1, GET)
    expect(world.wait(999)).toEqual([])
    expect(world.wait(1)).toEqual([
      'failed web A: no connection within 1000 ms',
      'reset u1',
      'connect u2 B http1',
    ])
    expect(world.upstream(1, 'connected')).toEqual([])
    expect(world.wait(1_000)).toEqual([
      'failed web B: no connection within 1000 ms',
      'reset u2',
      '1 < 504 Gateway Timeout | own',
      '(1 GET connect-timeout 504 B 0/own retries 1)',
    ])
  })

  test('where this machine is to blame, none is tried', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    world.send(1, GET)
    expect(world.refuse(1, 'host')).toEqual([
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET host-limit 503 A 0/own)',
    ])
  })

  test('that takes a connection and drops it, as a program does that is killed', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    world.send(1, GET)
    world.upstream(1, 'connected')
    expect(world.upstream(1, 'broken')).toEqual(['reset u1', 'connect u2 B http1'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < GET /'])
    expect(world.upstream(2, 'broken')).toEqual([
      'reset u2',
      '1 < 502 Bad Gateway | own',
      '(1 GET upstream-closed 502 B 0/own retries 1)',
    ])
  })

  test('that drops what may not be repeated: 502', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    world.send(1, POST)
    world.upstream(1, 'connected')
    expect(world.upstream(1, 'broken')).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 POST upstream-closed 502 A 2/own)',
    ])
  })
})

describe('who is chosen', () => {
  test('proxy W23: by the strategy, which counts an exchange to the end of its answer', () => {
    const world = new World({ backends: 'AB', balance: { strategy: new LeastConnections() } })
    for (const id of [1, 2, 3, 4]) world.accept(id)
    expect(world.send(1, GET)).toEqual(['connect u1 A http1'])
    expect(world.send(2, GET)).toEqual(['connect u2 B http1'])
    world.upstream(1, 'connected')
    world.upstream(2, 'connected')
    world.reply(1, OK)
    world.reply(2, 'HTTP/1.1 200 OK~Content-Length: 9~~')
    expect(world.ingress.backendCounts('web')).toMatchObject([
      { backend: 'A', live: 0, idle: 1 },
      { backend: 'B', live: 1, idle: 0 },
    ])
    expect(world.send(3, GET)).toEqual(['u1 < GET /'])
    expect(world.send(4, GET)).toEqual(['connect u3 B http1'])
  })

  test('proxy W23: a tunnel counts as long as it lasts', () => {
    const world = new World({ backends: 'AB', balance: { strategy: new LeastConnections() } })
    for (const id of [1, 2, 3]) world.accept(id)
    world.send(1, 'GET / HTTP/1.1~Host: a~Connection: upgrade~Upgrade: x~~')
    world.upstream(1, 'connected')
    world.reply(1, 'HTTP/1.1 101 Go~Connection: upgrade~Upgrade: x~~')
    expect(world.send(2, GET)).toEqual(['connect u2 B http1'])
    world.upstream(2, 'connected')
    world.reply(2, OK)
    expect(world.send(3, GET)).toEqual(['u2 < GET /'])
  })

  test('one that has as many as it may is passed over; with all of them full: 503', () => {
    const world = new World({ backends: 'AB', listener: { requestsPerBackendMax: 1 } })
    for (const id of [1, 2, 3]) world.accept(id)
    expect(world.send(1, GET)).toEqual(['connect u1 A http1'])
    expect(world.send(2, GET)).toEqual(['connect u2 B http1'])
    expect(world.send(3, GET)).toEqual([
      '3 < 503 Service Unavailable retry-after: 5 | own',
      '(3 GET backends-full 503 0/own)',
    ])
  })

  test('proxy W11: without a backend: 503, and when to come again', () => {
    const world = new World({ backends: '' })
    world.accept(1)
    expect(world.send(1, GET)).toEqual([
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET no-backend 503 0/own)',
    ])
  })

  test.each(['hrw', 'maglev'] as const)('%s: by who the client is, also behind a proxy', (name) => {
    const trustedProxies = [{ network: address('192.0.2.0:0'), bits: 120 }]
    const balance = { strategy: strategyNamed(name, 1) }
    const world = new World({ backends: 'ABCD', balance, config: { trustedProxies } })
    let last = 0
    const backendOf = (from: string, fields = ''): string => {
      last += 1
      world.accept(last, from)
      return world.send(last, `GET / HTTP/1.1~Host: a~${fields}~`)[0]!.split(' ')[2]!
    }
    const all = new Set<string>()
    for (let at = 0; at < 40; at++) {
      const one = backendOf(`198.51.100.${at}:1`)
      expect(backendOf(`198.51.100.${at}:2`)).toBe(one)
      expect(backendOf('192.0.2.7:1', `X-Forwarded-For: 198.51.100.${at}~`)).toBe(one)
      all.add(one)
    }
    expect(all.size).toBe(4)
  })
})

describe('a backend that leaves', () => {
  test('proxy W21: takes nothing new, and drains', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    world.send(1, GET)
    world.upstream(1, 'connected')
    expect(world.backends('B')).toEqual(['applied web 2'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      'drained web A',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.send(1, GET)).toEqual(['connect u2 B http1'])
  })

  test('with nothing on it is drained at once', () => {
    expect(new World({ backends: 'AB' }).backends('B')).toEqual(['applied web 2', 'drained web A'])
  })

  test('is cut: what nobody answers yet goes to another one, if it may', () => {
    const world = new World({ backends: 'AB' })
    const cut = { type: 'cut-backend', listener: 'web', backend: 'A' } as const
    for (const id of [1, 2, 3]) world.accept(id)
    for (const id of [1, 2, 3]) world.send(id, id === 2 ? POST : GET)
    world.upstream(1, 'connected')
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 9~~')
    world.upstream(3, 'connected')
    world.backends('B')
    expect(world.step(cut)).toEqual([
      'reset u3',
      'connect u4 B http1',
      'reset u1',
      'drained web A',
      '(1 GET cut 200 A 0/0)',
      'reset 1',
    ])
    const other = new World({ backends: 'AB' })
    other.accept(1)
    other.send(1, POST)
    other.upstream(1, 'connected')
    expect(other.step(cut)).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 POST cut 502 A 2/own)',
    ])
  })

  test('and comes back at another address is another one', () => {
    const world = new World()
    world.accept(1)
    world.send(1, GET)
    world.upstream(1, 'connected')
    const backends = [{ id: 'A', host: '127.0.0.1', port: 9 }]
    expect(
      world.step({
        type: 'apply-backends',
        listener: 'web',
        version: 9,
        backends,
        whenEmpty: 'refuse',
      }),
    ).toEqual(['applied web 9'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
  })

  test('an older set changes nothing', () => {
    const world = new World()
    expect(
      world.step({
        type: 'apply-backends',
        listener: 'web',
        version: 0,
        backends: [],
        whenEmpty: 'hold',
      }),
    ).toEqual(['applied web 1'])
  })

  test('a set for a listener nobody knows is nothing', () => {
    expect(new World().backends('A', 'refuse', 'other')).toEqual([])
  })
})
