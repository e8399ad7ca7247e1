import { describe, expect, test } from 'vitest'
import { GET, OK, PEERS, World, warm } from '../world.ts'

const close = { type: 'close-listener', listener: 'web' } as const
const abort = { type: 'abort-listener', listener: 'web' } as const

const HEAD = { method: 'GET', scheme: 'http', authority: 'a', path: '/', fields: [] }

describe('a listener that is closed', () => {
  test('without anything on it, says when its backends left', () => {
    const world = new World()
    expect(world.step(close)).toEqual([])
    expect(world.backends('')).toEqual(['applied web 2', 'drained web A', 'emptied web'])
    expect(world.ingress.counts('web')).toEqual({ requests: 0, held: 0, tunnels: 0 })
  })

  test('proxy W10: its exchanges go on to their end; its idle connections end', () => {
    const world = warm()
    world.accept(2)
    world.send(1, GET)
    world.send(2, GET)
    world.upstream(2, 'connected')
    expect(world.reply(2, OK)).toEqual([
      '2 < 200 OK Content-Length: 2 | ok',
      '(2 GET done 200 A 0/2)',
    ])
    expect(world.step(close)).toEqual(['close u2'])
    expect(world.backends('')).toEqual(['applied web 2'])
    expect(world.send(2, GET)).toEqual(['2 < 404 Not Found | own', '(2 GET no-route 404 0/own)'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      'drained web A',
      '(1 GET done 200 A 0/2)',
      'emptied web',
    ])
  })

  test('twice is once', () => {
    const world = new World()
    world.step(close)
    expect(world.step(close)).toEqual([])
  })
})

describe('a listener that is aborted', () => {
  test('ends what is on it: an answer that was begun is cut, others are 503', () => {
    const world = warm()
    for (const id of [2, 3]) world.accept(id)
    world.send(1, GET)
    world.send(2, GET)
    world.send(3, GET)
    world.upstream(2, 'connected')
    world.reply(2, 'HTTP/1.1 200 OK~Content-Length: 9~~')
    expect(world.step(abort)).toEqual([
      'reset u3',
      '3 < 503 Service Unavailable retry-after: 5 | own',
      '(3 GET aborted 503 A 0/own)',
      'reset u2',
      '(2 GET aborted 200 A 0/own)',
      'reset 2',
      'reset u1',
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET aborted 503 A 0/own)',
      'emptied web',
    ])
    expect(world.send(1, GET)).toEqual(['1 < 404 Not Found | own', '(1 GET no-route 404 0/own)'])
  })

  test('and its idle connections', () => {
    expect(warm().step(abort)).toEqual(['close u1', 'emptied web'])
  })

  test('also after it was closed', () => {
    const world = warm()
    world.send(1, GET)
    world.step(close)
    expect(world.step(abort)).toEqual([
      'reset u1',
      '1 < 503 Service Unavailable retry-after: 5 | own',
      '(1 GET aborted 503 A 0/own)',
      'emptied web',
    ])
  })

  test('of thousands, a bounded number a step', () => {
    const world = new World()
    for (let id = 1; id <= 1_500; id++) {
      const event = { type: 'stream-opened', client: id as never, port: 'p', isLast: true } as const
      world.ingress.step({ ...event, peers: PEERS, head: HEAD }, 0, [])
    }
    expect(world.ingress.counts('web').requests).toBe(1_500)
    world.step(abort)
    expect(world.ingress.counts('web').requests).toBe(1_500 - 1_024)
    expect(world.wait(1).at(-1)).toBe('emptied web')
  })
})

describe('how much a listener is used', () => {
  const IDLE = { listener: { idleAfterMs: 1_000 } }

  test('idle after so long without a request; busy with the next', () => {
    const world = new World(IDLE)
    expect(world.wait(999)).toEqual([])
    expect(world.wait(1)).toEqual(['idle web'])
    expect(world.wait(1_000)).toEqual([])
    world.accept(1)
    expect(world.send(1, GET)).toEqual(['busy web', 'connect u1 A http1'])
    expect(world.upstream(1, 'connected')).toEqual(['u1 < GET /'])
    expect(world.wait(1_000)).toEqual([])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.wait(999)).toEqual([])
    expect(world.wait(1)).toEqual(['idle web'])
  })

  test('counted from its last use', () => {
    const world = new World(IDLE)
    world.wait(500)
    world.accept(1)
    world.send(1, GET)
    world.upstream(1, 'connected')
    world.reply(1, OK)
    expect(world.wait(999)).toEqual([])
    expect(world.wait(1)).toEqual(['idle web'])
  })

  test('what waits is a use of it', () => {
    const world = new World({ ...IDLE, backends: '', whenEmpty: 'hold' })
    world.accept(1)
    world.wait(1_000)
    expect(world.send(1, GET)).toEqual(['busy web', 'wanted web'])
  })

  test('what is forbidden is none', () => {
    const access = [{ sources: [{ network: PEERS.source, bits: 128 }], verdict: 'deny' as const }]
    const world = new World({ listener: { ...IDLE.listener, access } })
    world.accept(1)
    world.wait(500)
    expect(world.send(1, GET)).toEqual(['1 < 403 Forbidden | own', '(1 GET forbidden 403 0/own)'])
    expect(world.wait(500)).toEqual(['idle web'])
    expect(world.send(1, GET)).toEqual(['1 < 403 Forbidden | own', '(1 GET forbidden 403 0/own)'])
    expect(world.wait(5_000)).toEqual([])
  })

  test('a tunnel is a use of it, for as long as it lasts', () => {
    const world = new World(IDLE)
    world.accept(1)
    world.send(1, 'GET / HTTP/1.1~Host: a~Connection: upgrade~Upgrade: x~~')
    world.upstream(1, 'connected')
    world.reply(1, 'HTTP/1.1 101 Go~Connection: upgrade~Upgrade: x~~')
    expect(world.wait(15_000)).toEqual([])
    expect(world.ingress.counts('web')).toEqual({ requests: 0, held: 0, tunnels: 1 })
    expect(world.client(1, 'broken')).toEqual([
      'reset u1',
      '(1 GET client-gone 101 A 0/0)',
      'reset 1',
    ])
    expect(world.wait(1_000)).toEqual(['idle web'])
  })

  test('never where nobody wants to know', () => {
    const world = new World()
    expect(world.wait(1_000_000)).toEqual([])
    world.listener('web', { idleAfterMs: 1_000 })
    expect(world.wait(1_000)).toEqual(['idle web'])
    world.listener('web', { idleAfterMs: 0 })
    expect(world.wait(1_000_000)).toEqual([])
  })
})

describe('settings', () => {
  test('hold for what begins from now on', () => {
    const world = warm()
    world.send(1, GET)
    world.listener('web', { responseTimeoutMs: 10 })
    expect(world.wait(3_999)).toEqual([])
    expect(world.wait(1)).toEqual([
      'reset u1',
      '1 < 504 Gateway Timeout | own',
      '(1 GET response-timeout 504 A 0/own)',
    ])
    world.send(1, GET)
    world.upstream(2, 'connected')
    expect(world.wait(10)).toEqual([
      'reset u2',
      '1 < 504 Gateway Timeout | own',
      '(1 GET response-timeout 504 A 0/own)',
    ])
  })

  test('another way to choose holds at once', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    expect(world.send(1, GET)).toEqual(['connect u1 A http1'])
    expect(
      world.step({
        type: 'configure-listener',
        listener: 'web',
        config: world.ingress.state.listeners.get('web')!.config,
        balance: { failOpen: false },
      }),
    ).toEqual([])
    world.accept(2)
    expect(world.send(2, GET)).toEqual(['connect u2 A http1'])
  })
})
