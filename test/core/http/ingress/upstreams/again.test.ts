import { describe, expect, test } from 'vitest'
import { GET, OK, World, warm } from '../world.ts'

describe('what was before does not count', () => {
  test('a backend that failed, went and came back is tried by who waited meanwhile', () => {
    const world = new World()
    world.accept(1)
    world.send(1, GET)
    world.backends('', 'hold')
    expect(world.refuse(1)).toEqual([
      'failed web A: connection refused',
      'drained web A',
      'wanted web',
    ])
    expect(world.backends('A')).toEqual(['applied web 3', 'connect u2 A http1'])
  })

  test('what was tried again for one request is not told of the next', () => {
    const world = new World({ backends: 'AB' })
    world.accept(1)
    world.send(1, GET)
    world.refuse(1)
    world.upstream(2, 'connected')
    expect(world.reply(2, OK)).toContain('(1 GET done 200 B 0/2 retries 1)')
    world.send(1, GET)
    world.upstream(3, 'connected')
    expect(world.reply(3, OK)).toContain('(1 GET done 200 A 0/2)')
  })
})

test('nothing waits for backends that are full: only for one that is not there', () => {
  const world = new World({ listener: { requestsPerBackendMax: 1 }, whenEmpty: 'hold' })
  for (const id of [1, 2]) world.accept(id)
  world.send(1, GET)
  expect(world.send(2, GET)).toEqual([
    '2 < 503 Service Unavailable retry-after: 5 | own',
    '(2 GET backends-full 503 0/own)',
  ])
})

describe('an idle connection', () => {
  test('is not used when its time is over, though its timer comes late', () => {
    const world = warm()
    world.now += 4_999
    expect(world.send(1, GET)).toEqual(['u1 < GET /'])
    const other = warm()
    other.now += 5_000
    expect(other.send(1, GET)).toEqual(['connect u2 A http1'])
  })

  test('that was used is as young as after its first use', () => {
    const world = warm()
    world.wait(3_000)
    world.send(1, GET)
    world.reply(1, OK)
    expect(world.wait(4_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1'])
  })

  test('is not kept for longer than we want, however long its backend would', () => {
    const world = warm()
    world.send(1, GET)
    world.reply(1, 'HTTP/1.1 200 OK~Content-Length: 2~Keep-Alive: timeout=100~~ok')
    expect(world.wait(4_999)).toEqual([])
    expect(world.wait(1)).toEqual(['close u1'])
  })

  test('of a listener that goes is none', () => {
    const world = warm()
    world.send(1, GET)
    world.step({ type: 'close-listener', listener: 'web' })
    expect(world.reply(1, OK)).toEqual([
      '1 < 200 OK Content-Length: 2 | ok',
      'close u1',
      '(1 GET done 200 A 0/2)',
    ])
    expect(world.backends('')).toEqual(['applied web 2', 'drained web A', 'emptied web'])
  })
})
