import type { Socket } from 'node:dgram'
import { EventEmitter } from 'node:events'
import fc from 'fast-check'
import { describe, expect, test, vi } from 'vitest'
import { SendBudget, SendQueue } from '../../../../../shells/node/udp/dgram/send-queue.ts'

type Sent = (error: Error | null, bytes: number) => void

/** A socket that sends when the test says so. */
class StuckSocket extends EventEmitter {
  readonly waiting: { readonly bytes: number; readonly sent: Sent }[] = []
  isClosed = false
  refuses = false

  send(payload: Uint8Array | Uint8Array[], ...rest: unknown[]): void {
    if (this.refuses) throw new Error('refused')
    const parts = Array.isArray(payload) ? payload : [payload]
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    this.waiting.push({ bytes, sent: rest.at(-1) as Sent })
  }

  finish(error: Error | null = null): void {
    const next = this.waiting.shift()
    next?.sent(error, error === null ? next.bytes : 0)
  }

  getSendQueueCount(): number {
    return this.waiting.length
  }

  close(): void {
    this.isClosed = true
    this.emit('close')
  }
}

const OVERHEAD = 256

function setUp(bytesMax = 10 * (OVERHEAD + 100), budget = new SendBudget(Number.MAX_SAFE_INTEGER)) {
  const socket = new StuckSocket()
  const counters = { sendErrors: 0, queueFull: 0 }
  const failures: Error[] = []
  const queue = new SendQueue(socket as unknown as Socket, {
    budget,
    bytesMax,
    counters,
    failed: (error) => failures.push(error),
  })
  return { socket, counters, failures, queue, budget }
}

const hundred = new Uint8Array(100)

describe('the bound', () => {
  test('ten datagrams fit, the eleventh is dropped, and fits when one is sent', () => {
    const { socket, counters, queue } = setUp()
    for (let count = 0; count < 11; count++) queue.send(undefined, hundred)
    expect([socket.waiting.length, counters.queueFull]).toEqual([10, 1])
    socket.finish()
    queue.sendTo(hundred, 9, '127.0.0.1')
    queue.sendTo(hundred, 9, '127.0.0.1')
    expect([socket.waiting.length, counters.queueFull, counters.sendErrors]).toEqual([10, 2, 0])
  })

  test('headers count, and empty datagrams are not for nothing', () => {
    const headed = setUp(OVERHEAD + 100)
    headed.queue.send(new Uint8Array(1), hundred)
    headed.queue.send(new Uint8Array(1), hundred.subarray(1))
    expect([headed.socket.waiting.length, headed.counters.queueFull]).toEqual([1, 1])
    const empty = setUp(OVERHEAD * 3)
    for (let count = 0; count < 5; count++) empty.queue.send(undefined, new Uint8Array())
    expect([empty.socket.waiting.length, empty.counters.queueFull]).toEqual([3, 2])
  })

  test('the budget is one for all queues', () => {
    const budget = new SendBudget(2 * (OVERHEAD + 100))
    const [one, other] = [setUp(1e6, budget), setUp(1e6, budget)]
    for (const { queue } of [one, other, one]) queue.send(undefined, hundred)
    expect([one.counters.queueFull, other.counters.queueFull]).toEqual([1, 0])
    other.queue.abort()
    one.queue.send(undefined, hundred)
    expect([one.socket.waiting.length, one.counters.queueFull]).toEqual([2, 1])
  })
})

describe('errors', () => {
  test('are counted and told, and take no room for good', () => {
    const { socket, counters, failures, queue, budget } = setUp()
    for (let count = 0; count < 3; count++) queue.send(undefined, hundred)
    const error = new Error('no')
    socket.finish(error)
    expect([counters.sendErrors, failures]).toEqual([1, [error]])
    socket.finish()
    expect(budget.bytes).toBeGreaterThan(0)
    socket.finish(error)
    expect([budget.bytes, counters.sendErrors]).toEqual([0, 2])
  })

  test('thrown ones too', () => {
    const { socket, counters, queue, budget } = setUp()
    socket.refuses = true
    queue.send(undefined, hundred)
    queue.sendTo(hundred, 0, '127.0.0.1')
    expect([counters.sendErrors, budget.bytes]).toEqual([2, 0])
  })
})

describe('close', () => {
  test('at once when nothing waits; nothing is sent afterwards', async () => {
    const { socket, counters, queue } = setUp()
    socket.on('message', () => {})
    queue.close()
    const closing = queue.closed()
    expect([socket.isClosed, socket.listenerCount('message')]).toEqual([true, 0])
    await closing
    queue.send(undefined, hundred)
    expect([socket.waiting.length, counters.sendErrors]).toEqual([0, 1])
    queue.close()
    queue.abort()
    await queue.closed()
  })

  test('after what waits is sent', async () => {
    const { socket, queue, budget } = setUp()
    queue.send(undefined, hundred)
    queue.send(undefined, hundred)
    queue.close()
    const closing = queue.closed()
    socket.finish()
    expect(socket.isClosed).toBe(false)
    socket.finish()
    expect([socket.isClosed, budget.bytes]).toEqual([true, 0])
    await closing
  })

  test('after a second at the latest', async () => {
    vi.useFakeTimers()
    try {
      const { socket, queue, budget, counters } = setUp()
      queue.send(undefined, hundred)
      queue.close()
      const closing = queue.closed()
      vi.advanceTimersByTime(999)
      expect(socket.isClosed).toBe(false)
      vi.advanceTimersByTime(1)
      expect([socket.isClosed, budget.bytes]).toEqual([true, 0])
      await closing
      socket.finish(new Error('cancelled')) // as libuv says then
      expect([counters.sendErrors, budget.bytes]).toEqual([1, 0])
    } finally {
      vi.useRealTimers()
    }
  })

  test('abort waits for nothing, also in the middle of a close', () => {
    const { socket, queue, budget } = setUp()
    queue.send(undefined, hundred)
    queue.send(undefined, hundred)
    queue.close()
    queue.abort()
    expect([socket.isClosed, budget.bytes]).toEqual([true, 0])
    socket.finish() // what was sent just before
    expect(budget.bytes).toBe(0)
  })
})

test('whatever happens: the bounds hold, and in the end nothing is owed', () => {
  const action = fc.oneof(
    fc.record({ queue: fc.nat(2), type: fc.constant('send' as const), bytes: fc.nat(2_000) }),
    fc.record({ queue: fc.nat(2), type: fc.constantFrom('finish', 'fail', 'close', 'abort') }),
  )
  fc.assert(
    fc.property(fc.array(action, { maxLength: 200 }), (actions) => {
      const budget = new SendBudget(8_000)
      const all = [setUp(4_000, budget), setUp(4_000, budget), setUp(4_000, budget)]
      for (const each of actions) {
        const { socket, queue } = all[each.queue]!
        if (each.type === 'send')
          queue.send(undefined, new Uint8Array('bytes' in each ? each.bytes : 0))
        else if (each.type === 'finish') socket.finish()
        else if (each.type === 'fail') socket.finish(new Error())
        else queue[each.type]()
        for (const { socket } of all) {
          const waiting = socket.waiting.reduce((sum, { bytes }) => sum + bytes + OVERHEAD, 0)
          if (!socket.isClosed) expect(waiting).toBeLessThanOrEqual(4_000)
        }
        expect(budget.bytes).toBeLessThanOrEqual(8_000)
        expect(budget.bytes).toBeGreaterThanOrEqual(0)
      }
      for (const { socket } of all) while (socket.waiting.length > 0) socket.finish()
      expect(budget.bytes).toBe(0)
    }),
  )
})
