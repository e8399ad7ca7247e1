import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { IngressEvent } from '../../../../../core/http/events.ts'
import { bytes, client, World } from '../world.ts'

/** What heads and bodies are made of, and what breaks them. */
const PIECES = [
  ...[
    'GET / HTTP/1.1~',
    'POST /x HTTP/1.1~',
    'HTTP/1.1 200 OK~',
    'HTTP/1.1 101 X~',
    'HTTP/1.0 204 ~',
  ],
  ...[
    'Host: a~',
    'Content-Length: 5~',
    'Content-Length: 0~',
    'Transfer-Encoding: chunked~',
    '~',
    '~~',
  ],
  ...['Connection: close~', 'Connection: upgrade~', 'Upgrade: websocket~', 'Expect: 100-continue~'],
  ...['5~hello~', '0~~', '0~X: y~~', 'hello', 'PRI * HTTP/2.0~~SM~~', 'HTTP/1.1 100 Continue~~'],
  ...['\r', '\n', '\0', ' ', ':', 'ffffffffffffffff~', 'x'.repeat(300), '\xff'],
]

const piece = fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...PIECES) }, fc.string())
const act = fc.record({
  who: fc.nat(5),
  say: fc.option(fc.array(piece, { maxLength: 6 }), { freq: 4, nil: undefined }),
  what: fc.constantFrom('ended', 'broken', 'blocked', 'writable', 'finished', 'tick'),
  ms: fc.constantFrom(0, 0, 1, 500, 3_000),
})

test('whatever clients and backends say, nothing throws, and nothing is left over', () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const world = new World({ backends: 'AB' })
      const blocked = new Set<string>()
      for (const id of [1, 2, 3]) world.accept(id)
      for (const { who, say, what, ms } of acts) {
        world.now += ms
        const isClient = who < 3
        const known = [...world.ingress.state.upstreams.keys()]
        const upstream = known[who % known.length]
        if (!isClient && upstream === undefined) continue
        const side = isClient ? { client: client(who + 1) } : { upstream: upstream! }
        const name = JSON.stringify(side)
        let event: IngressEvent = { type: 'tick' }
        if (say !== undefined) {
          const type = isClient ? 'client-data' : 'upstream-data'
          event = { type, bytes: bytes(say.join('')), ...side } as IngressEvent
        } else if (what !== 'tick') {
          // blocked and writable come in turns
          if (blocked.has(name) === (what === 'blocked')) continue
          if (what === 'blocked') blocked.add(name)
          if (what === 'writable') blocked.delete(name)
          event = { type: `${isClient ? 'client' : 'upstream'}-${what}`, ...side } as IngressEvent
        }
        for (const command of world.raw(event)) {
          if (command.type !== 'connect') continue
          world.raw({ type: 'upstream-connected', upstream: command.upstream })
        }
      }
      world.step({ type: 'close-port', port: 'p' })
      world.step({ type: 'abort-listener', listener: 'web' })
      for (let turn = 0; turn < 50 && world.ingress.deadline() !== undefined; turn++) {
        world.now = Math.max(world.now, world.ingress.deadline()!)
        world.step({ type: 'tick' })
      }
      expect(world.ingress.clients).toBe(0)
      expect(world.ingress.state.upstreams.size).toBe(0)
      expect(world.ingress.state.listeners.size).toBe(0)
    }),
    { numRuns: RUNS },
  )
})

const RUNS = Number(process.env.INGRESS_RUNS ?? 1_000)
