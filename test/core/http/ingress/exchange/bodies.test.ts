import { describe, expect, test } from 'vitest'
import { GET, OK, World, warm } from '../world.ts'

const POST = 'POST / HTTP/1.1~Host: a~'
const CHUNKED = 'Transfer-Encoding: chunked~~'

describe('bodies of requests', () => {
  test('with a length: passed on as they come', () => {
    const world = warm()
    expect(world.send(1, `${POST}Content-Length: 8~~he`)).toEqual([
      'u1 < POST / Content-Length: 8 | he',
    ])
    expect(world.send(1, 'llo')).toEqual(['u1 < llo'])
    expect(world.send(1, `you${GET}`)).toEqual(['u1 < you'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 POST done 200 A 8/2)',
      'u1 < GET /',
    ])
  })

  test('in chunks: one for what came in one read, extensions dropped, trailers kept', () => {
    const world = warm()
    expect(world.send(1, `${POST}${CHUNKED}3;x=y~hel~2~lo~5`)).toEqual([
      'u1 < POST / Transfer-Encoding: chunked | 5~hel',
      'u1 < lo',
      'u1 < ~',
    ])
    expect(world.send(1, '~wo')).toEqual(['u1 < 2~wo', 'u1 < ~'])
    expect(world.send(1, 'rld~0~X-Own: 1~Content-Length: 9~~')).toEqual([
      'u1 < 3~rld',
      'u1 < ~',
      'reset u1',
      '1 < 400 Bad Request connection: close | own',
      '(1 POST bad-request 400 A 10/own)',
      'end 1',
    ])
    expect(world.reply(1, OK)).toEqual([])
  })

  test('in chunks, to a backend that has to be connected to first', () => {
    const world = new World()
    world.accept(1)
    expect(world.send(1, `${POST}${CHUNKED}3~hel~`)).toEqual(['connect u1 A http1'])
    expect(world.send(1, '2~lo~0~~')).toEqual([])
    expect(world.upstream(1, 'connected')).toEqual([
      'u1 < POST / Transfer-Encoding: chunked | 5~hel',
      'u1 < lo',
      'u1 < ~0~~',
    ])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 POST done 200 A 5/2)',
    ])
  })

  test('whose chunks are not valid: refused, and the backend gets no end of it', () => {
    const world = warm()
    expect(world.send(1, `${POST}${CHUNKED}3~hel~`)).toEqual([
      'u1 < POST / Transfer-Encoding: chunked | 3~hel',
      'u1 < ~',
    ])
    expect(world.send(1, 'x~')).toEqual([
      'reset u1',
      '1 < 400 Bad Request connection: close | own',
      '(1 POST bad-request 400 A 3/own)',
      'end 1',
    ])
    expect(world.client(1, 'finished')).toEqual([])
  })

  test('whose chunks are not valid, with the answer begun: cut', () => {
    const world = warm()
    world.send(1, `${POST}${CHUNKED}3~hel~`)
    expect(world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 5~~he')).toEqual([
      '1 < 200 OK Content-Length: 5 Connection: close | he',
    ])
    expect(world.send(1, 'x~')).toEqual(['reset u1', '(1 POST bad-request 200 A 3/2)', 'reset 1'])
  })
})

describe('bodies of answers', () => {
  test('with a length', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, 'HTTP/1.1 200 OK~Content-Le')).toEqual([])
    expect(world.reply(1, 'ngth: 5~~he')).toEqual(['1 < 200 OK Content-Length: 5 | he'])
    expect(world.reply(1, 'llo')).toEqual(['1 < llo', '(1 GET done 200 A 0/5)'])
  })

  test('in chunks, with trailers', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, `HTTP/1.1 200 OK~${CHUNKED}5~hello~3`)).toEqual([
      '1 < 200 OK Transfer-Encoding: chunked | 5~hello',
      '1 < ~',
    ])
    expect(world.reply(1, '~you~0~X-Own: 1~~')).toEqual([
      '1 < 3~you',
      '1 < ~0~X-Own: 1~~',
      '(1 GET done 200 A 0/8)',
    ])
    expect(world.send(1, GET)).toEqual(['u1 < GET /'])
  })

  test('in chunks, for HTTP/1.0: up to the end of the connection', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.0~Connection: keep-alive~~')
    expect(world.reply(1, `HTTP/1.1 200 OK~${CHUNKED}5~hello~0~~`)).toEqual([
      '1 < 200 OK Connection: close | hello',
      '(1 GET done 200 A 0/5)',
      'end 1',
    ])
  })

  test('up to the end of the connection: in chunks for HTTP/1.1', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, 'HTTP/1.1 200 OK~~hello')).toEqual([
      '1 < 200 OK Transfer-Encoding: chunked | 5~hello',
      '1 < ~',
    ])
    expect(world.reply(1, 'you')).toEqual(['1 < 3~you', '1 < ~'])
    expect(world.upstream(1, 'ended')).toEqual(['1 < 0~~', 'close u1', '(1 GET done 200 A 0/8)'])
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
  })

  test('up to the end of the connection, for HTTP/1.0', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.0~Connection: keep-alive~~')
    expect(world.reply(1, 'HTTP/1.1 200 OK~~hello')).toEqual([
      '1 < 200 OK Connection: close | hello',
    ])
    expect(world.upstream(1, 'ended')).toEqual(['close u1', '(1 GET done 200 A 0/5)', 'end 1'])
  })

  test('none: HEAD, 204, 304, whatever the head says', () => {
    const world = warm()
    expect(world.send(1, 'HEAD / HTTP/1.1~Host: a~~')).toEqual(['u1 < HEAD /'])
    expect(world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 5~~')).toEqual([
      '1 < 200 OK Content-Length: 5',
      '(1 HEAD done 200 A 0/0)',
    ])
    world.send(1, GET)
    expect(world.reply(1, 'HTTP/1.1 204 No Content~~')).toEqual([
      '1 < 204 No Content',
      '(1 GET done 204 A 0/0)',
    ])
    world.send(1, GET)
    expect(world.reply(1, 'HTTP/1.1 304 Not Modified~Content-Length: 5~~')).toEqual([
      '1 < 304 Not Modified Content-Length: 5',
      '(1 GET done 304 A 0/0)',
    ])
    expect(world.send(1, GET)).toEqual(['u1 < GET /'])
  })

  test('a backend that says more than its answer is not asked again', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, `${OK}HTTP/1.1 200 OK~`)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
  })

  test('a HEAD with a body is one that says more', () => {
    const world = warm()
    world.send(1, 'HEAD / HTTP/1.1~Host: a~~')
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2',
      'close u1',
      '(1 HEAD done 200 A 0/0)',
    ])
  })

  test('that are cut: so is what the client gets', () => {
    const world = warm()
    world.send(1, GET)
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 5~~he')
    expect(world.upstream(1, 'ended')).toEqual([
      'reset u1',
      '(1 GET upstream-closed 200 A 0/2)',
      'reset 1',
    ])
    world.accept(2)
    world.send(2, GET)
    world.upstream(2, 'connected')
    world.reply(2, `HTTP/1.1 200 OK~${CHUNKED}5~hel`)
    expect(world.upstream(2, 'ended')).toEqual([
      'reset u2',
      '(2 GET upstream-closed 200 A 0/3)',
      'reset 2',
    ])
    world.accept(3)
    world.send(3, GET)
    world.upstream(3, 'connected')
    world.reply(3, 'HTTP/1.1 200 OK~~hel')
    expect(world.upstream(3, 'broken')).toEqual([
      'reset u3',
      '(3 GET upstream-closed 200 A 0/3)',
      'reset 3',
    ])
    expect(world.ingress.backendCounts('web')).toMatchObject([{ failures: 3, live: 0 }])
  })

  test('whose chunks are not valid: cut', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.reply(1, `HTTP/1.1 200 OK~${CHUNKED}5~hello~x`)).toEqual([
      '1 < 200 OK Transfer-Encoding: chunked | 5~hello',
      '1 < ~',
      'reset u1',
      '(1 GET bad-response 200 A 0/5)',
      'reset 1',
    ])
  })
})

describe('heads of answers that are not valid', () => {
  test.each([
    'HTTP/1.1 200 OK~Content-Length: 1~Content-Length: 1~~',
    'HTTP/1.1 200 OK~Content-Length: 1~Transfer-Encoding: chunked~~',
    'HTTP/1.1 99 Low~~',
    'HTTP/2 200 OK~~',
    'SSH-2.0-OpenSSH_9.6~',
    'HTTP/1.1 101 Switching Protocols~Connection: upgrade~Upgrade: websocket~~',
  ])('%s: 502, and the client goes on', (text) => {
    const world = warm()
    world.send(1, GET)
    const [reset, answer, record, ...others] = world.reply(1, text)
    expect([reset, record, ...others]).toEqual([
      'reset u1',
      expect.stringContaining('bad-response 502'),
    ])
    expect(answer).toMatch(/^1 < 502 Bad Gateway/)
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
  })
})

describe('interim answers', () => {
  test('are passed on, and the final one after them', () => {
    const world = warm()
    world.send(1, GET)
    expect(
      world.reply(1, 'HTTP/1.1 103 Early Hints~Link: </x>~~HTTP/1.1 102 Processing~~'),
    ).toEqual(['1 < 103 Early Hints', '1 < 102 Processing'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 GET done 200 A 0/2)',
    ])
  })

  test('but not to HTTP/1.0, which knows none', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.0~Connection: keep-alive~~')
    expect(world.reply(1, `HTTP/1.1 103 Early Hints~~${OK}`)).toEqual([
      '1 < 200 OK Content-Length: 2 Connection: keep-alive | ok',
      '(1 GET done 200 A 0/2)',
    ])
  })

  test('a client that expects 100 gets that of the backend, then sends its body', () => {
    const world = warm()
    expect(world.send(1, `${POST}Content-Length: 5~Expect: 100-continue~~`)).toEqual([
      'u1 < POST / Content-Length: 5 Expect: 100-continue',
    ])
    expect(world.reply(1, 'HTTP/1.1 100 Continue~~')).toEqual(['1 < 100 Continue'])
    expect(world.send(1, 'hello')).toEqual(['u1 < hello'])
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      '(1 POST done 200 A 5/2)',
    ])
  })

  test('or a final one: its body may come or not, so nothing behind is a request', () => {
    const world = warm()
    expect(world.send(1, `${POST}Content-Length: 5~Expect: 100-continue~~`)).toEqual([
      'u1 < POST / Content-Length: 5 Expect: 100-continue',
    ])
    expect(world.reply(1, 'HTTP/1.1 417 No~Content-Length: 0~~')).toEqual([
      '1 < 417 No Content-Length: 0 Connection: close',
      'reset u1',
      '(1 POST done 417 A 0/0)',
      'end 1',
    ])
    expect(world.send(1, 'hello')).toEqual([])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.client(1, 'ended')).toEqual(['close 1'])
  })

  test('what else a client expects is not met', () => {
    expect(warm().send(1, 'GET / HTTP/1.1~Host: a~Expect: x~~')).toEqual([
      '1 < 417 Expectation Failed connection: close | own',
      '(1 bad-request 417 0/own)',
      'end 1',
    ])
  })

  test('HTTP/1.0 expects nothing, whatever it says', () => {
    expect(warm().send(1, 'POST / HTTP/1.0~Content-Length: 1~Expect: 100-continue~~1')).toEqual([
      'u1 < POST / Content-Length: 1 | 1',
    ])
  })
})

describe('early answers', () => {
  test('complete before the body: the rest of it is read by nobody, and is no request', () => {
    const world = warm()
    world.send(1, `${POST}Content-Length: 50~~hello`)
    expect(world.reply(1, 'HTTP/1.1 413 Too Large~Content-Length: 2~~no')).toEqual([
      '1 < 413 Too Large Content-Length: 2 Connection: close | no',
      'reset u1',
      '(1 POST done 413 A 5/2)',
      'end 1',
    ])
    expect(world.send(1, GET)).toEqual([])
    expect(world.client(1, 'finished')).toEqual([])
    expect(world.wait(5_000)).toEqual(['close 1'])
    expect(world.ingress.counters.begun).toBe(2)
  })

  test('begun before the end of the body: both go on, and the connection ends after them', () => {
    const world = warm()
    world.send(1, `${POST}Content-Length: 8~~hello`)
    expect(world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 8~~he')).toEqual([
      '1 < 200 OK Content-Length: 8 Connection: close | he',
    ])
    expect(world.send(1, 'you')).toEqual(['u1 < you'])
    expect(world.reply(1, 'lloyou')).toEqual(['1 < lloyou', '(1 POST done 200 A 8/8)', 'end 1'])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })
})

describe('time', () => {
  test('proxy W46: a backend has its time to answer', () => {
    const world = warm()
    world.send(1, GET)
    expect(world.wait(3_999)).toEqual([])
    expect(world.wait(1)).toEqual([
      'reset u1',
      '1 < 504 Gateway Timeout | own',
      '(1 GET response-timeout 504 A 0/own)',
    ])
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
  })

  test('counted from the end of the request', () => {
    const world = warm()
    world.send(1, `${POST}Content-Length: 4~~he`)
    world.wait(2_900)
    world.send(1, 'll')
    expect(world.wait(3_999)).toEqual([])
    expect(world.wait(1)).toEqual([
      'reset u1',
      '1 < 504 Gateway Timeout | own',
      '(1 POST response-timeout 504 A 4/own)',
    ])
  })

  test('and from one piece of its answer to the next', () => {
    const world = warm()
    world.send(1, GET)
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 8~~he')
    expect(world.wait(2_999)).toEqual([])
    world.reply(1, 'l')
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset u1', '(1 GET response-timeout 200 A 0/3)', 'reset 1'])
  })

  test('where a body is held back by the backend, the backend is to blame', () => {
    const world = warm()
    world.send(1, `${POST}Content-Length: 4~~he`)
    world.upstream(1, 'blocked')
    expect(world.wait(3_000)).toEqual([
      'reset u1',
      '1 < 504 Gateway Timeout connection: close | own',
      '(1 POST response-timeout 504 A 2/own)',
      'resume 1',
      'end 1',
    ])
  })

  test('an exchange has its time, too', () => {
    const world = warm({ listener: { totalTimeoutMs: 5_000 } })
    world.send(1, GET)
    world.wait(3_000)
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 8~~he')
    expect(world.wait(1_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset u1', '(1 GET total-timeout 200 A 0/2)', 'reset 1'])
  })

  test('before the head of the answer as well', () => {
    const world = warm({ listener: { totalTimeoutMs: 2_000 } })
    world.send(1, GET)
    expect(world.wait(1_999)).toEqual([])
    expect(world.wait(1)).toEqual([
      'reset u1',
      '1 < 504 Gateway Timeout | own',
      '(1 GET total-timeout 504 A 0/own)',
    ])
  })

  test('and while no backend takes a connection', () => {
    const world = new World({ listener: { totalTimeoutMs: 500 } })
    world.accept(1)
    world.send(1, GET)
    expect(world.wait(500)).toEqual([
      'reset u1',
      '1 < 504 Gateway Timeout | own',
      '(1 GET total-timeout 504 A 0/own)',
    ])
  })
})
