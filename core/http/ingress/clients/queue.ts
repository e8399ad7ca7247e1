/** Bytes of a client that were read before they could be used. */
import type { Client } from '../state.ts'

/** Keeps what is from `at` on: a copy, for it is borrowed. */
export function enqueue(client: Client, bytes: Uint8Array, at: number): void {
  const added = at === 0 ? bytes : bytes.subarray(at)
  const { queue, queueFrom } = client
  if (queue === undefined) {
    client.queue = new Uint8Array(added)
    client.queueFrom = 0
    return
  }
  const { buffer, byteOffset, length } = queue
  if (byteOffset + length + added.length <= buffer.byteLength) {
    // There is room behind it; what is before was perhaps written and is borrowed.
    client.queue = new Uint8Array(buffer, byteOffset, length + added.length)
    client.queue.set(added, length)
    return
  }
  const waiting = length - queueFrom
  const grown = new Uint8Array(new ArrayBuffer(2 * (waiting + added.length)))
  grown.set(queue.subarray(queueFrom))
  grown.set(added, waiting)
  client.queue = grown.subarray(0, waiting + added.length)
  client.queueFrom = 0
}

/** All before `at` was used. */
export function takeQueue(client: Client, queue: Uint8Array, at: number): void {
  if (client.queue !== queue) return // dropped meanwhile
  if (at === queue.length) client.queue = undefined
  else client.queueFrom = at
}

export const queued = ({ queue, queueFrom }: Client): number =>
  queue === undefined ? 0 : queue.length - queueFrom
