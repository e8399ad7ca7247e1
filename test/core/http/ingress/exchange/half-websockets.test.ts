import { describe, expect, test } from 'vitest'
import { type World, warm } from '../world.ts'

const open = (protocol = 'websocket'): World => {
  const world = warm()
  const upgrade = `Connection: Upgrade~Upgrade: ${protocol}~~`
  world.send(1, `GET / HTTP/1.1~Host: a~${upgrade}`)
  world.reply(1, `HTTP/1.1 101 Switching Protocols~${upgrade}`)
  return world
}

/** RFC 6455, 7.1: a server is the first to end, and a client follows at once. */
describe('a WebSocket that one side has ended', () => {
  test('by its backend: once that is taken the client has a moment, whatever it sends', () => {
    const world = open()
    expect(world.upstream(1, 'ended')).toEqual(['end 1'])
    world.wait(2_000)
    expect(world.client(1, 'finished')).toEqual([])
    world.wait(4_000)
    expect(world.send(1, 'still here')).toEqual(['u1 < still here'])
    expect(world.wait(999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1', '(1 GET done 101 A 10/0)', 'close 1'])
  })

  test('who does not take the last of it is reset', () => {
    const world = open()
    world.upstream(1, 'ended')
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset u1', '(1 GET idle 101 A 0/0)', 'reset 1'])
  })

  test('by its client: the backend has a moment', () => {
    const world = open()
    expect(world.client(1, 'ended')).toEqual(['end u1'])
    expect(world.upstream(1, 'finished')).toEqual([])
    expect(world.wait(4_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1', '(1 GET done 101 A 0/0)', 'close 1'])
  })

  test('what is no WebSocket may stay half open', () => {
    const world = open('other')
    world.client(1, 'ended')
    world.upstream(1, 'finished')
    expect(world.wait(19_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1', '(1 GET idle 101 A 0/0)', 'close 1'])
  })
})
