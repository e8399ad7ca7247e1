import { describe, expect, test } from 'vitest'
import { GET, OK, World, warm } from '../world.ts'

const CLOSE = 'GET / HTTP/1.1~Host: a~Connection: close~~'
const ANSWERED = [
  '1 < 200 OK Content-Length: 2 Connection: close | ok',
  '(1 GET done 200 A 0/2)',
  'end 1',
]

/** A client of its last request, with an answer that waits in memory, told or not. */
const ended = (): World => {
  const world = warm()
  world.send(1, CLOSE)
  expect(world.reply(1, OK)).toEqual(ANSWERED)
  return world
}
const ofClient = (lines: readonly string[]) => lines.filter((line) => !line.endsWith('u1'))

describe('an answer that its client has not taken is never closed as if it had', () => {
  test('it has the time of a body, and then sees a reset', () => {
    const world = ended()
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset 1'])
  })

  test('once it is taken, what the client still sends is read for a while', () => {
    const world = ended()
    world.send(1, 'more')
    world.wait(2_900)
    expect(world.client(1, 'finished')).toEqual([])
    expect(ofClient(world.wait(4_999))).toEqual([])
    expect(world.wait(1)).toEqual(['close 1'])
  })

  test('the end says that nothing is blocked any more', () => {
    const world = ended()
    world.send(1, 'more')
    world.client(1, 'blocked')
    world.client(1, 'finished')
    expect(ofClient(world.wait(4_999))).toEqual([])
    expect(ofClient(world.wait(1))).toEqual(['close 1'])
  })

  test('a stream that is not read is reset', () => {
    const world = warm()
    world.open(2)
    world.reply(1, OK)
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset 2'])
  })

  test('between requests: first the end, and the close when that is taken', () => {
    const world = warm()
    expect(ofClient(world.wait(7_999))).toEqual([])
    expect(world.wait(1)).toEqual(['end 1'])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })

  test('or never', () => {
    const world = warm()
    world.wait(8_000)
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset 1'])
  })

  test('who asked for nothing has nothing to take', () => {
    const world = new World()
    world.accept(1)
    expect(world.wait(2_000)).toEqual(['close 1'])
  })

  test('who leaves while its next request is held takes the answer before', () => {
    const world = warm()
    world.backends('', 'hold')
    world.send(1, GET)
    expect(world.client(1, 'ended')).toEqual(['(1 GET client-gone 0 0/0)', 'end 1'])
    expect(world.client(1, 'finished')).toEqual(['close 1'])
  })
})
