import { describe, expect, test } from 'vitest'
import { OK, warm } from '../world.ts'

describe('what was blocked and is taken again is progress', () => {
  test('a backend that was paused is not blamed for silence', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.1~Host: a~~')
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 9~~ok')
    expect(world.client(1, 'blocked')).toEqual(['pause u1'])
    world.wait(2_900)
    expect(world.client(1, 'writable')).toEqual(['resume u1'])
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)).toEqual(['reset u1', '(1 GET response-timeout 200 A 0/2)', 'reset 1'])
  })

  test('nor a client that was', () => {
    const world = warm()
    world.send(1, 'PUT / HTTP/1.1~Host: a~Content-Length: 9~~ok')
    expect(world.upstream(1, 'blocked')).toEqual(['pause 1'])
    world.wait(2_900)
    expect(world.upstream(1, 'writable')).toEqual(['resume 1'])
    expect(world.wait(2_999)).toEqual([])
    expect(world.wait(1)[1]).toBe('1 < 408 Request Timeout connection: close | own')
  })

  test('nor is a tunnel idle then', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.1~Host: a~Connection: Upgrade~Upgrade: x~~')
    world.reply(1, 'HTTP/1.1 101 Switching Protocols~Connection: Upgrade~Upgrade: x~~bytes')
    world.client(1, 'blocked')
    world.wait(19_000)
    world.client(1, 'writable')
    expect(world.wait(19_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1', '(1 GET idle 101 A 0/5)', 'close 1'])
  })

  test('an idle tunnel whose client has not taken all is reset', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.1~Host: a~Connection: Upgrade~Upgrade: x~~')
    world.reply(1, 'HTTP/1.1 101 Switching Protocols~Connection: Upgrade~Upgrade: x~~bytes')
    world.client(1, 'blocked')
    expect(world.wait(20_000)).toEqual(['reset u1', '(1 GET idle 101 A 0/5)', 'reset 1'])
  })

  test('one that both sides have ended is done, whatever closes it', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.1~Host: a~Connection: Upgrade~Upgrade: x~~')
    world.reply(1, 'HTTP/1.1 101 Switching Protocols~Connection: Upgrade~Upgrade: x~~')
    world.upstream(1, 'ended')
    world.client(1, 'ended')
    expect(world.client(1, 'broken')).toEqual(['reset u1', '(1 GET done 101 A 0/0)', 'reset 1'])
  })

  test('a backend that was not heard in time has failed', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.1~Host: a~~')
    world.wait(4_000)
    expect(world.ingress.backendCounts('web')[0]).toMatchObject({ failures: 1 })
    world.send(1, 'GET / HTTP/1.1~Host: a~~')
    world.upstream(2, 'connected')
    world.upstream(2, 'ended')
    expect(world.ingress.backendCounts('web')[0]).toMatchObject({ failures: 2 })
    world.send(1, 'GET / HTTP/1.1~Host: a~~')
    world.upstream(3, 'connected')
    world.reply(3, OK)
    world.send(1, 'GET / HTTP/1.1~Host: a~~')
    world.upstream(3, 'ended')
    expect(world.ingress.backendCounts('web')[0]).toMatchObject({ failures: 2 })
  })
})
