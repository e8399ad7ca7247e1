import { describe, expect, test } from 'vitest'
import { client, upstream, World, warm } from '../world.ts'

const POST = { method: 'POST', path: '/x' }
const trailers = (fields: string[]) =>
  ({ type: 'client-trailers', client: client(1), fields }) as const
const upstreamTrailers = (fields: string[]) =>
  ({ type: 'upstream-trailers', upstream: upstream(1), fields }) as const

const h2c = (): World => new World({ listener: { backend: 'h2c' } })

/** RFC 9113, 8.1: trailers may follow whatever content-length says. */
describe('the end of a stream is that of its body, also of one whose length is told', () => {
  test('trailers of a request', () => {
    const world = h2c()
    world.open(1, { ...POST, fields: ['content-length', '2'] }, false)
    world.upstream(1, 'connected')
    expect(world.send(1, 'ok')).toEqual(['u1 < ok'])
    expect(world.step(trailers(['x-sum', '1']))).toEqual(['u1 < trailers x-sum 1'])
  })

  test('of an empty one', () => {
    const world = h2c()
    world.open(1, { ...POST, fields: ['content-length', '0'] }, false)
    expect(world.upstream(1, 'connected')).toEqual([
      'u1 < :method: POST :path: /x content-length: 0',
    ])
    expect(world.step(trailers(['x-sum', '1']))).toEqual(['u1 < trailers x-sum 1'])
  })

  test('of an answer', () => {
    const world = h2c()
    world.open(1)
    world.upstream(1, 'connected')
    expect(world.head(1, 200, ['content-length', '2'])).toEqual(['1 < 200 content-length: 2'])
    expect(world.reply(1, 'ok')).toEqual(['1 < ok'])
    expect(world.step(upstreamTrailers(['grpc-status', '0']))).toEqual([
      '1 < trailers grpc-status 0',
      'close u1',
      '(1 GET done 200 A 0/2)',
    ])
  })

  test('of an empty one', () => {
    const world = h2c()
    world.open(1)
    world.upstream(1, 'connected')
    expect(world.head(1, 200, ['content-length', '0'])).toEqual(['1 < 200 content-length: 0'])
    expect(world.step(upstreamTrailers(['grpc-status', '0']))).toEqual([
      '1 < trailers grpc-status 0',
      'close u1',
      '(1 GET done 200 A 0/0)',
    ])
  })

  test('what has no content by its status ends with its head', () => {
    const world = h2c()
    world.open(1)
    world.upstream(1, 'connected')
    expect(world.head(1, 204)).toEqual(['1 < 204 last', 'close u1', '(1 GET done 204 A 0/0)'])
  })

  test('an answer that is longer than it was told is cut', () => {
    const world = h2c()
    world.open(1)
    world.upstream(1, 'connected')
    world.head(1, 200, ['content-length', '2'])
    world.reply(1, 'ok')
    expect(world.reply(1, '!')).toEqual(['reset u1', '(1 GET bad-response 200 A 0/2)', 'reset 1'])
  })

  test('a request that has all its bytes leaves its backend fit for the next', () => {
    const world = warm()
    world.open(2, { ...POST, fields: ['content-length', '2'] }, false)
    world.send(2, 'ok')
    world.reply(1, 'HTTP/1.1 204 No Content~~')
    expect(world.send(1, 'GET / HTTP/1.1~Host: a~~')).toEqual(['u1 < GET /'])
  })

  test('one without a length, and without its end, does not', () => {
    const world = warm()
    world.open(2, POST, false)
    world.send(2, 'ok')
    expect(world.reply(1, 'HTTP/1.1 204 No Content~~')).toContain('reset u1')
  })
})

describe('205 has no content on HTTP/2', () => {
  test('whatever its backend says', () => {
    const world = warm()
    world.open(2)
    expect(world.reply(1, 'HTTP/1.1 205 Reset Content~Content-Length: 2~~ok')).toEqual([
      '2 < 205 last',
      'close u1',
      '(2 GET done 205 A 0/0)',
    ])
  })
})
