import { describe, expect, test } from 'vitest'
import { client, GET, OK, upstream, World, warm } from '../world.ts'

const POST = { method: 'POST', path: '/x' }
const trailers = (id: number, fields: string[]) =>
  ({ type: 'client-trailers', client: client(id), fields }) as const
const upstreamTrailers = (id: number, fields: string[]) =>
  ({ type: 'upstream-trailers', upstream: upstream(id), fields }) as const

describe('HTTP/2 from clients, to backends of HTTP/1.1', () => {
  test('a stream is a request, its end the end of it', () => {
    const world = warm()
    expect(world.open(2)).toEqual(['u1 < GET /'])
    expect(world.reply(1, OK)).toEqual([
      '2 < 200 content-length: 2',
      '2 < ok',
      'end 2',
      '(2 GET done 200 A 0/2)',
    ])
    expect(world.client(2, 'finished')).toEqual(['close 2'])
    expect(world.ingress.clients).toBe(1)
  })

  test('an answer without a body ends with its head', () => {
    const world = warm()
    world.open(2)
    expect(world.reply(1, 'HTTP/1.1 204 No Content~~')).toEqual([
      '2 < 204 last',
      '(2 GET done 204 A 0/0)',
    ])
    expect(world.client(2, 'finished')).toEqual(['close 2'])
  })

  test('a body of unknown length goes in chunks, its trailers behind it', () => {
    const world = warm()
    expect(world.open(2, POST, false)).toEqual(['u1 < POST /x Transfer-Encoding: chunked'])
    expect(world.send(2, 'hello')).toEqual(['u1 < 5~hello', 'u1 < ~'])
    expect(world.step(trailers(2, ['x-own', '1', 'content-length', '5']))).toEqual([
      'u1 < 0~x-own: 1~~',
    ])
    expect(world.reply(1, OK)).toEqual([
      '2 < 200 content-length: 2',
      '2 < ok',
      'end 2',
      '(2 POST done 200 A 5/2)',
    ])
  })

  test('a body whose length is told goes as it is', () => {
    const world = warm()
    expect(world.open(2, { ...POST, fields: ['content-length', '5'] }, false)).toEqual([
      'u1 < POST /x content-length: 5',
    ])
    expect(world.send(2, 'hello')).toEqual(['u1 < hello'])
    expect(world.client(2, 'ended')).toEqual([])
    expect(world.reply(1, OK)).toEqual([
      '2 < 200 content-length: 2',
      '2 < ok',
      'end 2',
      '(2 POST done 200 A 5/2)',
    ])
  })

  test('one that is shorter than it was told is cut', () => {
    const world = warm()
    world.open(2, { ...POST, fields: ['content-length', '5'] }, false)
    world.send(2, 'hell')
    expect(world.client(2, 'ended')).toEqual([
      'reset u1',
      '(2 POST bad-request 0 A 4/0)',
      'reset 2',
    ])
  })

  test('one that is longer as well, before anything of it could be a request', () => {
    const world = warm()
    world.open(2, { ...POST, fields: ['content-length', '5'] }, false)
    expect(world.send(2, `hello${GET}`)).toEqual([
      'u1 < hello',
      'reset u1',
      '(2 POST bad-request 0 A 5/0)',
      'reset 2',
    ])
  })

  test('a body waits for its backend', () => {
    const world = new World()
    expect(world.open(1, POST, false)).toEqual(['connect u1 A http1'])
    expect(world.send(1, 'hello')).toEqual([])
    expect(world.send(1, 'x'.repeat(200))).toEqual(['pause 1'])
    expect(world.client(1, 'ended')).toEqual([])
    expect(world.upstream(1, 'connected')).toEqual([
      'u1 < POST /x Transfer-Encoding: chunked | cd~helloxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx',
      'u1 < ~',
      'u1 < 0~~',
    ])
  })

  test('trailers of an answer in chunks are those of the stream', () => {
    const world = warm()
    world.open(2)
    expect(world.reply(1, 'HTTP/1.1 200 OK~Transfer-Encoding: chunked~~5~hello~')).toEqual([
      '2 < 200',
      '2 < hello',
    ])
    expect(world.reply(1, '0~Grpc-Status: 0~~')).toEqual([
      '2 < trailers grpc-status 0',
      '(2 GET done 200 A 0/5)',
    ])
  })

  test('up to the end of the connection', () => {
    const world = warm()
    world.open(2)
    expect(world.reply(1, 'HTTP/1.1 200 OK~~hello')).toEqual(['2 < 200', '2 < hello'])
    expect(world.upstream(1, 'ended')).toEqual(['end 2', 'close u1', '(2 GET done 200 A 0/5)'])
  })

  test('an early answer: the rest of the request is not wanted', () => {
    const world = warm()
    world.open(2, POST, false)
    world.send(2, 'hello')
    expect(world.reply(1, 'HTTP/1.1 413 No~Content-Length: 2~~no')).toEqual([
      '2 < 413 content-length: 2',
      '2 < no',
      'end 2',
      'reset u1',
      '(2 POST done 413 A 5/2)',
    ])
    expect(world.send(2, 'more')).toEqual([])
    expect(world.client(2, 'finished')).toEqual(['close 2'])
  })

  test('interim answers pass', () => {
    const world = warm()
    world.open(2)
    expect(world.reply(1, `HTTP/1.1 103 Early Hints~~${OK}`)).toEqual([
      '2 < 103',
      '2 < 200 content-length: 2',
      '2 < ok',
      'end 2',
      '(2 GET done 200 A 0/2)',
    ])
  })

  test('answers of our own', () => {
    const world = new World({ routes: [] })
    expect(world.open(1)).toEqual(['1 < 404 own', '1 < own', 'end 1', '(1 GET no-route 404 0/own)'])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
    expect(world.open(2, { method: 'HEAD' })).toEqual([
      '2 < 404 own last',
      '(2 HEAD no-route 404 0/own)',
    ])
    expect(world.open(3, { path: 'x' })).toEqual([
      '3 < 400 own',
      '3 < own',
      'end 3',
      '(3 bad-request 400 0/own)',
    ])
  })

  test('an answer that is cut resets its stream', () => {
    const world = warm()
    world.open(2)
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 5~~he')
    expect(world.upstream(1, 'broken')).toEqual([
      'reset u1',
      '(2 GET upstream-closed 200 A 0/2)',
      'reset 2',
    ])
  })

  test('a client that resets its stream need not be answered', () => {
    const world = warm()
    world.open(2)
    expect(world.client(2, 'broken')).toEqual([
      'reset u1',
      '(2 GET client-gone 0 A 0/0)',
      'reset 2',
    ])
  })

  test('back-pressure is that of the stream', () => {
    const world = warm()
    world.open(2, POST, false)
    expect(world.upstream(1, 'blocked')).toEqual(['pause 2'])
    expect(world.upstream(1, 'writable')).toEqual(['resume 2'])
    world.client(2, 'ended')
    expect(world.client(2, 'blocked')).toEqual(['pause u1'])
    expect(world.reply(1, OK)).toEqual([
      '2 < 200 content-length: 2',
      '2 < ok',
      'end 2',
      'resume u1',
    ])
    expect(world.client(2, 'writable')).toEqual(['(2 POST done 200 A 0/2)'])
    expect(world.client(2, 'finished')).toEqual(['close 2'])
  })

  test('a stream that nobody releases does not stay', () => {
    const world = warm()
    world.open(2)
    world.reply(1, OK)
    expect(world.wait(3_000)).toEqual(['reset 2'])
  })
})

describe('HTTP/2 to backends', () => {
  const h2c = (options = {}) => {
    const world = new World({ ...options, listener: { backend: 'h2c' } })
    world.accept(1)
    return world
  }

  test('a request of HTTP/1.1 is a stream', () => {
    const world = h2c()
    expect(world.send(1, 'POST /x HTTP/1.1~Host: a~Content-Length: 5~~he')).toEqual([
      'connect u1 A h2c',
    ])
    expect(world.upstream(1, 'connected')).toEqual([
      'u1 < :method: POST :path: /x content-length: 5',
      'u1 < he',
    ])
    expect(world.send(1, 'llo')).toEqual(['u1 < llo', 'end u1'])
    expect(world.head(1, 200, ['content-length', '2'])).toEqual(['1 < 200  content-length: 2'])
    expect(world.reply(1, 'ok')).toEqual(['1 < ok', 'close u1', '(1 POST done 200 A 5/2)'])
    expect(world.upstream(1, 'ended')).toEqual([])
    expect(world.send(1, GET)).toEqual(['connect u2 A h2c'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < :method: GET :path: / last'])
    expect(world.head(2, 204, [], true)).toEqual(['1 < 204 ', 'close u2', '(1 GET done 204 A 0/0)'])
  })

  test('an answer without a body, which only its end says', () => {
    const world = h2c()
    world.send(1, GET)
    world.upstream(1, 'connected')
    expect(world.head(1, 301, [], true)).toEqual([
      '1 < 301  content-length: 0',
      'close u1',
      '(1 GET done 301 A 0/0)',
    ])
    world.send(1, 'HEAD / HTTP/1.1~Host: a~~')
    world.upstream(2, 'connected')
    expect(world.head(2, 301, [], true)).toEqual([
      '1 < 301 ',
      'close u2',
      '(1 HEAD done 301 A 0/0)',
    ])
    world.send(1, GET)
    world.upstream(3, 'connected')
    expect(world.head(3, 204, [], true)).toEqual(['1 < 204 ', 'close u3', '(1 GET done 204 A 0/0)'])
  })

  test('chunks and their trailers, both ways', () => {
    const world = h2c()
    world.send(1, 'POST /x HTTP/1.1~Host: a~Transfer-Encoding: chunked~~5~hello~')
    expect(world.upstream(1, 'connected')).toEqual(['u1 < :method: POST :path: /x', 'u1 < hello'])
    expect(world.send(1, '0~X-Own: 1~~')).toEqual(['u1 < trailers x-own 1'])
    expect(world.head(1, 200)).toEqual(['1 < 200  Transfer-Encoding: chunked'])
    expect(world.reply(1, 'ok')).toEqual(['1 < 2~ok', '1 < ~'])
    expect(world.step(upstreamTrailers(1, ['grpc-status', '0']))).toEqual([
      '1 < 0~grpc-status: 0~~',
      'close u1',
      '(1 POST done 200 A 5/2)',
    ])
  })

  test('gRPC: streams from end to end, with trailers', () => {
    const world = h2c()
    expect(world.open(2, POST, false)).toEqual(['connect u1 A h2c'])
    expect(world.upstream(1, 'connected')).toEqual(['u1 < :method: POST :path: /x'])
    expect(world.send(2, 'hello')).toEqual(['u1 < hello'])
    expect(world.head(1, 200)).toEqual(['2 < 200'])
    expect(world.reply(1, 'one')).toEqual(['2 < one'])
    expect(world.send(2, 'you')).toEqual(['u1 < you'])
    expect(world.client(2, 'ended')).toEqual(['end u1'])
    expect(world.reply(1, 'two')).toEqual(['2 < two'])
    expect(world.step(upstreamTrailers(1, ['grpc-status', '0']))).toEqual([
      '2 < trailers grpc-status 0',
      'close u1',
      '(2 POST done 200 A 8/6)',
    ])
    expect(world.client(2, 'finished')).toEqual(['close 2'])
  })

  test('gRPC: an answer of nothing but trailers', () => {
    const world = h2c()
    world.open(2, POST, false)
    world.upstream(1, 'connected')
    world.client(2, 'ended')
    expect(world.head(1, 200, ['grpc-status', '12'], true)).toEqual([
      '2 < 200 last',
      'close u1',
      '(2 POST done 200 A 0/0)',
    ])
  })

  test('a stream that the backend did not look at is repeated', () => {
    const world = h2c({ backends: 'AB' })
    world.send(1, 'POST / HTTP/1.1~Host: a~~')
    world.upstream(1, 'connected')
    expect(world.refuse(1)).toEqual(['connect u2 A h2c'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < :method: POST :path: / last'])
    expect(world.ingress.counters).toMatchObject({ retried: 0, connectsFailed: 0 })
  })

  test('unless some of its body is gone', () => {
    const world = h2c({ backends: 'AB' })
    world.send(1, 'POST / HTTP/1.1~Host: a~Content-Length: 2~~ok')
    world.upstream(1, 'connected')
    expect(world.refuse(1)).toEqual([
      '1 < 502 Bad Gateway | own',
      '(1 POST upstream-closed 502 A 2/own)',
    ])
  })

  test('a session that breaks costs its streams', () => {
    const world = h2c()
    world.send(1, GET)
    world.upstream(1, 'connected')
    expect(world.upstream(1, 'broken')).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 GET upstream-closed 502 A 0/own)',
    ])
    world.send(1, GET)
    world.upstream(2, 'connected')
    world.head(2, 200)
    expect(world.upstream(2, 'broken')).toEqual([
      'reset u2',
      '(1 GET upstream-closed 200 A 0/0)',
      'reset 1',
    ])
  })

  test('an answer that is shorter than it was told is cut', () => {
    const world = h2c()
    world.send(1, GET)
    world.upstream(1, 'connected')
    world.head(1, 200, ['content-length', '5'])
    world.reply(1, 'hell')
    expect(world.upstream(1, 'ended')).toEqual([
      'reset u1',
      '(1 GET upstream-closed 200 A 0/4)',
      'reset 1',
    ])
  })

  test('one without a head is none', () => {
    const world = h2c()
    world.send(1, 'POST / HTTP/1.1~Host: a~~')
    world.upstream(1, 'connected')
    expect(world.upstream(1, 'ended')).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 POST upstream-closed 502 A 0/own)',
    ])
    world.send(1, GET)
    world.upstream(2, 'connected')
    expect(world.reply(2, 'data')).toEqual([
      'reset u2',
      '1 < 502 Bad Gateway | own',
      '(1 GET bad-response 502 A 0/own)',
    ])
  })

  test('heads that are not valid', () => {
    const world = h2c()
    world.send(1, GET)
    world.upstream(1, 'connected')
    expect(world.head(1, 200, ['connection', 'close'])).toEqual([
      'reset u1',
      '1 < 502 Bad Gateway | own',
      '(1 GET bad-response 502 A 0/own)',
    ])
  })

  test('interim heads', () => {
    const world = h2c()
    world.send(1, GET)
    world.upstream(1, 'connected')
    expect(world.head(1, 103)).toEqual(['1 < 103 '])
    expect(world.head(1, 200, [], true)).toEqual([
      '1 < 200  content-length: 0',
      'close u1',
      '(1 GET done 200 A 0/0)',
    ])
  })
})
