import { describe, expect, test } from 'vitest'
import { GET, OK, upstream, World, warm } from '../world.ts'

const WS = 'GET /chat HTTP/1.1~Host: a~Connection: Upgrade~Upgrade: websocket~~'
const SWITCH = 'HTTP/1.1 101 Switching Protocols~Connection: Upgrade~Upgrade: websocket~X-Own: 1~~'

const open = (): World => {
  const world = warm()
  world.send(1, WS)
  world.reply(1, SWITCH)
  return world
}

describe('a change of protocol', () => {
  test('proxy W42: the offer and the answer to it pass, then bytes do', () => {
    const world = warm()
    expect(world.send(1, `${WS}early`)).toEqual([
      'u1 < GET /chat Connection: Upgrade Upgrade: websocket',
    ])
    expect(world.reply(1, `${SWITCH}hello`)).toEqual([
      '1 < 101 Switching Protocols X-Own: 1 Connection: Upgrade Upgrade: websocket',
      '1 < hello',
      'u1 < early',
    ])
    expect(world.send(1, 'you')).toEqual(['u1 < you'])
    expect(world.reply(1, 'too')).toEqual(['1 < too'])
  })

  test('proxy W42: a backend that does not want to answers as it likes', () => {
    const world = warm()
    expect(world.send(1, `${WS}${GET}`)).toEqual([
      'u1 < GET /chat Connection: Upgrade Upgrade: websocket',
    ])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      '(1 GET done 200 A 0/2)',
      'connect u2 A http1',
    ])
  })

  test('proxy W43: a request with a body keeps its body, and loses the offer', () => {
    const world = warm()
    expect(
      world.send(
        1,
        'POST / HTTP/1.1~Host: a~Connection: Upgrade~Upgrade: websocket~Content-Length: 2~~ok',
      ),
    ).toEqual(['u1 < POST / Content-Length: 2 | ok'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 POST done 200 A 2/2)',
    ])
  })

  test('proxy W43: HTTP/2 without TLS is not offered on', () => {
    expect(
      warm().send(
        1,
        'GET / HTTP/1.1~Host: a~Connection: Upgrade, HTTP2-Settings~Upgrade: h2c~HTTP2-Settings: AAMA~~',
      ),
    ).toEqual(['u1 < GET /'])
  })

  test('what was not offered is not taken', () => {
    const world = warm()
    world.send(1, WS)
    expect(
      world.reply(1, 'HTTP/1.1 101 Switching Protocols~Connection: Upgrade~Upgrade: h2c~~'),
    ).toEqual(['reset u1', '1 < 502 Bad Gateway | own', '(1 GET bad-response 502 A 0/own)'])
  })

  test('it happens on an idle connection that is stale, too', () => {
    const world = warm()
    world.send(1, WS)
    expect(world.upstream(1, 'ended')).toEqual(['reset u1', 'connect u2 A http1'])
    expect(world.upstream(2, 'connected')).toEqual([
      'u2 < GET /chat Connection: Upgrade Upgrade: websocket',
    ])
  })
})

describe('a tunnel', () => {
  test('each side ends by itself; with both ended and delivered it is over', () => {
    const world = open()
    expect(world.client(1, 'ended')).toEqual(['end u1'])
    expect(world.reply(1, 'more')).toEqual(['1 < more'])
    expect(world.upstream(1, 'finished')).toEqual([])
    expect(world.upstream(1, 'ended')).toEqual(['end 1'])
    expect(world.client(1, 'finished')).toEqual(['close u1', '(1 GET done 101 A 0/4)', 'close 1'])
    expect(world.ingress.clients).toBe(0)
  })

  test('in whatever order', () => {
    const world = open()
    expect(world.upstream(1, 'ended')).toEqual(['end 1'])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.send(1, 'more')).toEqual(['u1 < more'])
    expect(world.client(1, 'ended')).toEqual(['end u1'])
    expect(world.upstream(1, 'finished')).toEqual(['close u1', '(1 GET done 101 A 4/0)', 'close 1'])
  })

  test('a side that breaks takes the other one along', () => {
    expect(open().client(1, 'broken')).toEqual([
      'reset u1',
      '(1 GET client-gone 101 A 0/0)',
      'reset 1',
    ])
    expect(open().upstream(1, 'broken')).toEqual([
      'reset u1',
      '(1 GET upstream-closed 101 A 0/0)',
      'reset 1',
    ])
  })

  test('without a byte for too long it ends', () => {
    const world = open()
    world.wait(19_000)
    world.send(1, 'x')
    world.wait(19_000)
    world.reply(1, 'x')
    expect(world.wait(19_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1', '(1 GET idle 101 A 1/1)', 'close 1'])
  })

  test('or never, where it may', () => {
    const world = warm({ listener: { tunnelIdleMs: 0, totalTimeoutMs: 1_000 } })
    world.send(1, WS)
    world.reply(1, SWITCH)
    expect(world.wait(1e9)).toEqual([])
    expect(world.ingress.deadline()).toBeUndefined()
  })

  test('one side that takes nothing holds the other back', () => {
    const world = open()
    expect(world.client(1, 'blocked')).toEqual(['pause u1'])
    expect(world.client(1, 'writable')).toEqual(['resume u1'])
    expect(world.upstream(1, 'blocked')).toEqual(['pause 1'])
    expect(world.send(1, 'x')).toEqual([])
    expect(world.client(1, 'ended')).toEqual([])
    expect(world.upstream(1, 'writable')).toEqual(['u1 < x', 'end u1'])
  })

  test('is cut with its backend, and aborted with its listener', () => {
    expect(open().step({ type: 'cut-backend', listener: 'web', backend: 'A' })).toEqual([
      'reset u1',
      '(1 GET cut 101 A 0/0)',
      'reset 1',
    ])
    expect(open().step({ type: 'abort-listener', listener: 'web' })).toEqual([
      'reset u1',
      '(1 GET aborted 101 A 0/0)',
      'emptied web',
      'reset 1',
    ])
  })

  test('outlives its listener and its port', () => {
    const world = open()
    expect(world.step({ type: 'close-listener', listener: 'web' })).toEqual([])
    expect(world.step({ type: 'close-port', port: 'p' })).toEqual([])
    expect(world.backends('')).toEqual(['applied web 2'])
    expect(world.send(1, 'x')).toEqual(['u1 < x'])
    expect(world.client(1, 'broken')).toEqual([
      'reset u1',
      'drained web A',
      '(1 GET client-gone 101 A 1/0)',
      'emptied web',
      'reset 1',
    ])
  })
})

describe('proxy W42: a WebSocket on HTTP/2 (RFC 8441)', () => {
  const CONNECT = { method: 'CONNECT', path: '/chat', protocol: 'websocket' }

  test('is a GET for a backend of HTTP/1.1, with a key of ours', () => {
    const world = new World()
    expect(world.open(1, CONNECT, false)).toEqual(['connect u1 A http1'])
    expect(world.send(1, 'early')).toEqual([])
    const [request] = world.raw({ type: 'upstream-connected', upstream: upstream(1) })
    const { head } = request as { head: string }
    const key = /^Sec-WebSocket-Key: ([A-Za-z0-9+/]{21}[AQgw]==)\r$/m.exec(head)?.[1]
    expect(Buffer.from(key!, 'base64')).toHaveLength(16)
    expect(head).toMatch(/^GET \/chat HTTP\/1\.1\r\n/)
    expect(head).toMatch(/^Connection: Upgrade\r\nUpgrade: websocket\r$/m)
    expect(head).not.toMatch(/content-length|transfer-encoding/i)
    expect(world.reply(1, `${SWITCH}hello`)).toEqual([
      '1 < 200 x-own: 1',
      '1 < hello',
      'u1 < early',
    ])
    expect(world.send(1, 'you')).toEqual(['u1 < you'])
    expect(world.client(1, 'ended')).toEqual(['end u1'])
    expect(world.upstream(1, 'ended')).toEqual(['end 1'])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.upstream(1, 'finished')).toEqual([
      'close u1',
      '(1 CONNECT done 200 A 8/5)',
      'close 1',
    ])
  })

  test('each has its own key, and the same in each process', () => {
    const keys = () => {
      const world = new World()
      return [1, 2].map((id) => {
        world.open(id, CONNECT, false)
        const [request] = world.raw({ type: 'upstream-connected', upstream: upstream(id) })
        return /Sec-WebSocket-Key: (\S+)/.exec((request as { head: string }).head)![1]
      })
    }
    const [one, other] = keys()
    expect(one).not.toBe(other)
    expect(keys()).toEqual([one, other])
  })

  test('a backend that does not want to answers as it likes', () => {
    const world = new World()
    world.open(1, CONNECT, false)
    world.upstream(1, 'connected')
    expect(world.reply(1, 'HTTP/1.1 403 No~Content-Length: 2~~no')).toEqual([
      '1 < 403 content-length: 2',
      '1 < no',
      'end 1',
      'close u1',
      '(1 CONNECT done 403 A 0/2)',
    ])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })

  test('a backend that answers 200 means something else by it', () => {
    const world = new World()
    world.open(1, CONNECT, false)
    world.upstream(1, 'connected')
    expect(world.reply(1, OK)).toEqual([
      'reset u1',
      '1 < 502 own',
      '1 < own',
      'end 1',
      '(1 CONNECT bad-response 502 A 0/own)',
    ])
  })

  test('is none where a challenge of ACME is asked for', () => {
    const world = new World()
    world.step({ type: 'challenge', token: 't', answer: 'x' })
    expect(world.open(1, { ...CONNECT, path: '/.well-known/acme-challenge/t' }, false)).toEqual([
      'connect u1 A http1',
    ])
  })

  test('of another protocol there is none', () => {
    expect(new World().open(1, { ...CONNECT, protocol: 'connect-udp' }, false)).toEqual([
      '1 < 501 own',
      '1 < own',
      'end 1',
      '(1 CONNECT bad-request 501 0/own)',
    ])
  })

  test('is one for a backend of HTTP/2 as well', () => {
    const world = new World({ listener: { backend: 'h2c' } })
    expect(world.open(1, CONNECT, false)).toEqual(['connect u1 A h2c'])
    expect(world.upstream(1, 'connected')).toEqual([
      'u1 < :method: CONNECT :path: /chat :protocol: websocket',
    ])
    expect(world.head(1, 200)).toEqual(['1 < 200'])
    expect(world.reply(1, 'hello')).toEqual(['1 < hello'])
    expect(world.send(1, 'you')).toEqual(['u1 < you'])
  })
})
