import { describe, expect, test } from 'vitest'
import { GET, OK, World, warm } from '../world.ts'

describe('one connection, many requests', () => {
  test('a request goes to a new connection, the next one to the same', () => {
    const world = new World()
    expect(world.accept(1)).toEqual(['read 1'])
    expect(world.send(1, GET)).toEqual(['connect u1 A http1'])
    expect(world.upstream(1, 'connected')).toEqual(['u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.send(1, 'POST /x HTTP/1.1~Host: a~Content-Length: 5~~hello')).toEqual([
      'u1 < POST /x Content-Length: 5 | hello',
    ])
    expect(world.reply(1, 'HTTP/1.1 201 Created~Content-Length: 0~~')).toEqual([
      '1 < 201 Created Content-Length: 0',
      '(1 POST done 201 A 5/0)',
    ])
    expect(world.ingress.counters).toMatchObject({ accepted: 1, begun: 2, connected: 1 })
    expect(world.ingress.counts('web')).toEqual({ requests: 0, held: 0, tunnels: 0 })
  })

  test('two clients do not share a connection at one time', () => {
    const world = new World()
    world.accept(1)
    world.accept(2)
    expect(world.send(1, GET)).toEqual(['connect u1 A http1'])
    expect(world.send(2, GET)).toEqual(['connect u2 A http1'])
  })

  test('pipelined requests are answered one after the other, in their order', () => {
    const world = warm()
    expect(world.send(1, 'GET /1 HTTP/1.1~Host: a~~GET /2 HTTP/1.1~Host: a~~GET /3 HTTP')).toEqual([
      'u1 < GET /1',
    ])
    expect(world.send(1, '/1.1~Host: a~~')).toEqual([])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
      'u1 < GET /2',
    ])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
      'u1 < GET /3',
    ])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.ingress.counters.begun).toBe(4)
  })

  test('so are those with answers of our own', () => {
    const world = new World({ routes: [{ path: '/a', listener: 'web' }] })
    world.accept(1)
    expect(world.send(1, 'GET /b HTTP/1.1~Host: a~~GET /c HTTP/1.1~Host: a~~')).toEqual([
      '1 < 404 Not Found | own',
      '(1 GET no-route 404 0/own)',
      '1 < 404 Not Found | own',
      '(1 GET no-route 404 0/own)',
    ])
  })

  test('a head that is not valid is answered, and nothing behind it is a request', () => {
    const world = warm()
    expect(
      world.send(1, `GET / HTTP/1.1~Host: a~Content-Length: 1~Content-Length: 1~~${GET}`),
    ).toEqual(['1 < 400 Bad Request connection: close | own', '(1 bad-request 400 0/own)', 'end 1'])
    expect(world.send(1, GET)).toEqual([])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.client(1, 'ended')).toEqual(['close 1'])
    expect(world.ingress.counters.bytesDropped).toBe(27)
  })

  test('a request before one that is not valid is answered first', () => {
    const world = warm()
    expect(world.send(1, `${GET}GET /\u0000 HTTP/1.1~~`)).toEqual(['u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/own)',
      '1 < 400 Bad Request connection: close | own',
      '(1 bad-request 400 0/own)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual([])
  })

  test('Connection: close ends the connection after the answer', () => {
    const world = warm()
    expect(world.send(1, 'GET / HTTP/1.1~Host: a~Connection: close~~')).toEqual(['u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 Connection: close | ok',
      '(1 GET done 200 A 0/2)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
    expect(world.ingress.clients).toBe(0)
  })

  test('HTTP/1.0: closed, unless the client asks for more', () => {
    const world = warm()
    expect(world.send(1, 'GET / HTTP/1.0~Connection: keep-alive~~')).toEqual(['u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 Connection: keep-alive | ok',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.send(1, 'GET / HTTP/1.0~~')).toEqual(['u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 Connection: close | ok',
      '(1 GET done 200 A 0/2)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })

  test('after the most requests a connection may bring, it is closed', () => {
    const world = warm({ config: { requestsPerClientMax: 2 } })
    expect(world.send(1, GET + GET)).toEqual(['u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 Connection: close | ok',
      '(1 GET done 200 A 0/2)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.client(1, 'ended')).toEqual(['close 1'])
  })

  test('proxy W46: at the most clients the new one is refused and the old ones stay', () => {
    const world = warm({ config: { clientsMax: 1 } })
    expect(world.accept(2)).toEqual(['reset 2'])
    expect(world.open(3)).toEqual(['reset 3'])
    expect(world.send(1, GET)).toEqual(['u1 < GET /'])
    expect(world.ingress.counters.refused['clients-max']).toBe(2)
  })

  test('empty lines before a request are none', () => {
    const world = warm()
    expect(world.send(1, '~~')).toEqual([])
    expect(world.send(1, GET)).toEqual(['u1 < GET /'])
  })

  test('a client that says it begins with HTTP/2 becomes a session', () => {
    const world = new World()
    world.accept(1)
    expect(world.send(1, 'P')).toEqual([])
    expect(world.send(1, 'RI * HTTP/2.0~~SM')).toEqual([])
    expect(world.send(1, '~~frames')).toEqual(['http2 1 PRI * HTTP/2.0~~SM~~frames'])
    expect(world.ingress.clients).toBe(0)
    expect(world.ingress.counters.sessions).toBe(1)
  })

  test('but a request that begins like that is one', () => {
    const world = warm()
    world.accept(2)
    expect(world.send(2, 'P')).toEqual([])
    expect(world.send(2, 'ROPFIND / HTTP/1.1~Host: a~~')).toEqual(['u1 < PROPFIND /'])
    world.accept(3)
    expect(world.send(3, 'PRI * HTTP/2.0~~SM~!')).toEqual([
      '3 < 505 HTTP Version Not Supported connection: close | own',
      '(3 bad-request 505 0/own)',
      'end 3',
    ])
  })

  test('nor does HTTP/2 begin in the middle of a connection', () => {
    expect(warm().send(1, 'PRI * HTTP/2.0~~SM~~')).toEqual([
      '1 < 505 HTTP Version Not Supported connection: close | own',
      '(1 bad-request 505 0/own)',
      'end 1',
    ])
  })
})

describe('proxy W46: clients that are slow', () => {
  test('one that says nothing is closed without a word', () => {
    const world = new World()
    world.accept(1)
    expect(world.wait(1_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close 1'])
  })

  test('also one that might yet have begun with HTTP/2', () => {
    const world = new World()
    for (const id of [1, 2]) world.accept(id)
    world.send(1, 'PR')
    world.send(2, 'PR')
    expect(world.client(2, 'ended')).toEqual(['(2 client-gone 0 0/0)', 'close 2'])
    expect(world.wait(2_000)).toEqual([
      '1 < 408 Request Timeout connection: close | own',
      '(1 request-timeout 408 0/own)',
      'end 1',
    ])
  })

  test('a head has its time, however many bytes keep coming', () => {
    const world = new World()
    world.accept(1)
    expect(world.wait(1_500)).toEqual([])
    expect(world.send(1, 'GET / HTT')).toEqual([])
    expect(world.wait(1_500)).toEqual([])
    expect(world.send(1, 'P/1.1~')).toEqual([])
    expect(world.wait(500)).toEqual([
      '1 < 408 Request Timeout connection: close | own',
      '(1 request-timeout 408 0/own)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
    expect(world.client(1, 'ended')).toEqual([])
  })

  test('between two requests a connection is kept for a while, then ended without a word', () => {
    const world = warm()
    expect(world.wait(7_999)).toEqual(['close u1'])
    expect(world.wait(1)).toEqual(['end 1'])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })

  test('what was kept is kept anew after each request', () => {
    const world = warm()
    world.wait(4_000)
    world.send(1, GET)
    world.reply(1, OK)
    expect(world.wait(7_999)).toEqual(['close u1'])
    expect(world.wait(1)).toEqual(['end 1'])
  })

  test('a body has its time from one piece to the next', () => {
    const world = warm()
    expect(world.send(1, 'POST / HTTP/1.1~Host: a~Content-Length: 10~~he')).toEqual([
      'u1 < POST / Content-Length: 10 | he',
    ])
    expect(world.wait(2_999)).toEqual([])
    expect(world.send(1, 'll')).toEqual(['u1 < ll'])
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual([
      'reset u1',
      '1 < 408 Request Timeout connection: close | own',
      '(1 POST request-timeout 408 A 4/own)',
      'end 1',
    ])
    expect(world.send(1, 'oworld')).toEqual([])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.wait(5_000)).toEqual(['close 1'])
  })

  test('a client that takes nothing of the answer is cut', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 10~~hello')).toEqual([
      '1 < 200 OK Content-Length: 10 | hello',
    ])
    expect(world.client(1, 'blocked')).toEqual(['pause u1'])
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset u1', '(1 GET request-timeout 200 A 0/5)', 'reset 1'])
  })

  test('one that has all of it to take yet has as much time as one in the middle of it', () => {
    const world = warm()
    world.send(1, GET)
    world.reply(1, OK)
    expect(world.client(1, 'blocked')).toEqual(['pause 1'])
    expect(world.wait(2_999)).toEqual([])
    expect(world.client(1, 'writable')).toEqual(['resume 1'])
    expect(world.wait(7_999)).toEqual(['close u1'])
    expect(world.wait(1)).toEqual(['end 1'])
    const other = warm()
    other.send(1, 'GET / HTTP/1.1~Host: a~Connection: close~~')
    other.reply(1, OK)
    other.client(1, 'blocked')
    expect(other.wait(2_999)).toEqual([])
    expect(other.wait(1)).toEqual(['reset 1'])
  })

  test('also after the end of its connection was written', () => {
    const world = warm({ listener: { bodyTimeoutMs: 60_000 } })
    world.send(1, 'GET / HTTP/1.1~Host: a~Connection: close~~')
    world.reply(1, OK)
    world.client(1, 'blocked')
    expect(world.wait(59_000)).toEqual(['close u1'])
    expect(world.client(1, 'writable')).toEqual([])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })

  test('nor may it leave the end of it untaken', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.client(1, 'blocked')).toEqual(['pause u1'])
    expect(world.reply(1, OK)).toEqual(['1 < 200 OK Content-Length: 2 | ok', 'resume u1'])
    expect(world.wait(3_000)).toEqual(['(1 GET request-timeout 200 A 0/2)', 'reset 1'])
  })
})

describe('clients that leave', () => {
  test('between requests', () => {
    const world = warm()
    expect(world.client(1, 'ended')).toEqual(['end 1'])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
    expect(new World().accept(1)).toEqual(['read 1'])
  })

  test('without a word', () => {
    const world = new World()
    world.accept(1)
    expect(world.client(1, 'ended')).toEqual(['close 1'])
  })

  test('in a head', () => {
    const world = warm()
    world.send(1, 'GET / H')
    expect(world.client(1, 'ended')).toEqual(['(1 client-gone 0 0/0)', 'end 1'])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })

  test('broken, while a backend works for them: it need not', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.client(1, 'broken')).toEqual([
      'reset u1',
      '(1 GET client-gone 0 A 0/0)',
      'reset 1',
    ])
    expect(world.ingress.clients).toBe(0)
  })

  test('with half of a connection: what they asked for is answered', () => {
    const world = warm()
    expect(world.send(1, GET + GET)).toEqual(['u1 < GET /'])
    expect(world.client(1, 'ended')).toEqual([])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
      'u1 < GET /',
    ])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })

  test('in a body', () => {
    const world = warm()
    world.send(1, 'POST / HTTP/1.1~Host: a~Content-Length: 10~~he')
    expect(world.client(1, 'ended')).toEqual([
      'reset u1',
      '(1 POST client-gone 0 A 2/0)',
      'reset 1',
    ])
  })

  test('while their backend is connected to, with a body that is complete, and one that is not', () => {
    const world = new World()
    world.accept(1)
    world.accept(2)
    expect(world.send(1, 'POST / HTTP/1.1~Host: a~Content-Length: 2~~he')).toEqual([
      'connect u1 A http1',
    ])
    expect(world.client(1, 'ended')).toEqual([])
    expect(world.upstream(1, 'connected')).toEqual(['u1 < POST / Content-Length: 2 | he'])
    expect(world.send(2, 'POST / HTTP/1.1~Host: a~Content-Length: 3~~he')).toEqual([
      'connect u2 A http1',
    ])
    expect(world.client(2, 'ended')).toEqual([])
    expect(world.upstream(2, 'connected')).toEqual([
      'u2 < POST / Content-Length: 3 | he',
      'reset u2',
      '(2 POST client-gone 0 A 2/0)',
      'reset 2',
    ])
  })

  test('with their answer in memory', () => {
    const world = warm()
    world.send(1, GET)
    world.client(1, 'blocked')
    world.reply(1, OK)
    expect(world.client(1, 'broken')).toEqual(['(1 GET client-gone 200 A 0/2)', 'reset 1'])
  })

  test('what comes late of them is nothing', () => {
    const world = warm()
    world.client(1, 'broken')
    expect(world.send(1, GET)).toEqual([])
    expect(world.client(1, 'ended')).toEqual([])
    expect(world.client(1, 'broken')).toEqual([])
    expect(world.client(1, 'writable')).toEqual([])
    expect(world.client(1, 'finished')).toEqual([])
  })
})

describe('how much is read', () => {
  test('what follows a request is read up to a bound, and on when it was used', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.send(1, `GET /${'x'.repeat(170)} HTTP/1.1~`)).toEqual([])
    expect(world.send(1, 'Host: a~X: 1~')).toEqual(['pause 1'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
      'resume 1',
    ])
    expect(world.send(1, '~')).toEqual([
      'u1 < GET /xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
    ])
  })

  test('not before all of it was used, so that it is not stopped for each', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.send(1, GET.repeat(8))).toEqual(['pause 1'])
    for (let left = 8; left > 1; left--) expect(world.reply(1, OK)).not.toContain('resume 1')
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
      'u1 < GET /',
      'resume 1',
    ])
  })

  test('a body waits for its backend, and the client with it', () => {
    const world = new World()
    world.accept(1)
    expect(world.send(1, 'POST / HTTP/1.1~Host: a~Content-Length: 300~~')).toEqual([
      'connect u1 A http1',
    ])
    expect(world.send(1, 'x'.repeat(201))).toEqual(['pause 1'])
    expect(world.upstream(1, 'connected')).toEqual([
      'u1 < POST / Content-Length: 300 | xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
      'resume 1',
    ])
  })

  test('a backend that takes nothing holds its client back', () => {
    const world = warm()
    expect(world.send(1, 'POST / HTTP/1.1~Host: a~Content-Length: 6~~he')).toEqual([
      'u1 < POST / Content-Length: 6 | he',
    ])
    expect(world.upstream(1, 'blocked')).toEqual(['pause 1'])
    expect(world.send(1, 'll')).toEqual([])
    expect(world.upstream(1, 'writable')).toEqual(['u1 < ll', 'resume 1'])
    expect(world.send(1, 'oo')).toEqual(['u1 < oo'])
  })

  test('a client that takes nothing holds its backend back', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 6~~he')).toEqual([
      '1 < 200 OK Content-Length: 6 | he',
    ])
    expect(world.client(1, 'blocked')).toEqual(['pause u1'])
    expect(world.reply(1, 'll')).toEqual(['1 < ll'])
    expect(world.client(1, 'writable')).toEqual(['resume u1'])
    expect(world.reply(1, 'oo')).toEqual(['1 < oo', '(1 GET done 200 A 0/6)'])
  })

  test('nor is it asked for another request before it has its answer', () => {
    const world = warm()
    world.send(1, GET + GET)
    expect(world.client(1, 'blocked')).toEqual(['pause u1'])
    expect(world.reply(1, OK)).toEqual(['1 < 200 OK Content-Length: 2 | ok', 'resume u1'])
    expect(world.client(1, 'writable')).toEqual(['(1 GET done 200 A 0/2)', 'u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.client(1, 'blocked')).toEqual(['pause 1'])
    expect(world.send(1, GET)).toEqual([])
    expect(world.client(1, 'writable')).toEqual(['u1 < GET /', 'resume 1'])
  })

  test('a connection that was held back is read again before it rests', () => {
    const world = warm()
    world.send(1, GET)
    world.client(1, 'blocked')
    expect(world.reply(1, OK)).toEqual(['1 < 200 OK Content-Length: 2 | ok', 'resume u1'])
    expect(world.client(1, 'writable')).toEqual(['(1 GET done 200 A 0/2)'])
    world.accept(2)
    expect(world.send(2, GET)).toEqual(['u1 < GET /'])
  })
})
