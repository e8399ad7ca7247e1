import { describe, expect, test } from 'vitest'
import { GET, upstream, World } from '../world.ts'

const h2c = (backends = 'A'): World => {
  const world = new World({ backends, listener: { backend: 'h2c' } })
  world.accept(1)
  return world
}
const GONE = '1 < 502 Bad Gateway | own'
const reused = (id: number) =>
  ({ type: 'upstream-connected', upstream: upstream(id), isReused: true }) as const

/** Backends end them all the time: after so many requests, or so long. */
describe('a session of HTTP/2 that ends under a request', () => {
  test('and did not look at it: another one to the same backend, once', () => {
    const world = h2c()
    world.send(1, 'POST / HTTP/1.1~Host: a~~')
    world.upstream(1, 'connected')
    expect(world.refuse(1)).toEqual(['connect u2 A h2c'])
    expect(world.upstream(2, 'connected')).toEqual(['u2 < :method: POST :path: / last'])
    expect(world.refuse(2)).toEqual([GONE, '(1 POST upstream-closed 502 A 0/own)'])
    expect(world.ingress.backendCounts('web')[0]).toMatchObject({ failures: 0 })
    // the next request has its own
    world.send(1, GET)
    world.upstream(3, 'connected')
    expect(world.refuse(3)).toEqual(['connect u4 A h2c'])
  })

  test('then another backend', () => {
    const world = h2c('AB')
    world.send(1, GET)
    world.upstream(1, 'connected')
    world.refuse(1)
    world.upstream(2, 'connected')
    expect(world.refuse(2)).toEqual(['connect u3 B h2c'])
  })

  test('that was there before: what is idempotent goes on in another one', () => {
    const world = h2c()
    world.send(1, GET)
    world.step(reused(1))
    expect(world.upstream(1, 'broken')).toEqual(['reset u1', 'connect u2 A h2c'])
    expect(world.ingress.counters.staleReuses).toBe(1)
    world.step(reused(2))
    expect(world.upstream(2, 'broken')).toEqual([
      'reset u2',
      GONE,
      '(1 GET upstream-closed 502 A 0/own)',
    ])
  })

  test('what is not is answered', () => {
    const world = h2c()
    world.send(1, 'POST / HTTP/1.1~Host: a~~')
    world.step(reused(1))
    expect(world.upstream(1, 'broken')).toEqual([
      'reset u1',
      GONE,
      '(1 POST upstream-closed 502 A 0/own)',
    ])
  })

  test('one that was made for the request has failed it', () => {
    const world = h2c()
    world.send(1, GET)
    world.upstream(1, 'connected')
    expect(world.upstream(1, 'broken')).toContain(GONE)
    expect(world.ingress.backendCounts('web')[0]).toMatchObject({ failures: 1 })
  })

  test('one without an answer in time may be dead', () => {
    const world = h2c()
    world.send(1, GET)
    world.upstream(1, 'connected')
    world.now += 4_000
    expect(world.raw({ type: 'tick' })).toContainEqual({
      type: 'close-upstream',
      upstream: 1,
      reset: true,
      isSuspect: true,
    })
  })
})
