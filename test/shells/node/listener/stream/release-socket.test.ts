import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { releaseSocket } from '../../../../../shells/node/listener/stream/release-socket.ts'
import { HOST, startBlackHole, startUpstream, until } from '../fixture.ts'

const descriptors = (): number => readdirSync('/proc/self/fd').length

/** How a peer learns of the end of a socket that was brought to some state and then released. */
async function peerAfter(reset: boolean, prepare: (socket: Socket) => void): Promise<string> {
  let outcome = ''
  const upstream = await startUpstream((socket) => {
    socket.resume()
    socket.on('end', () => {
      outcome ||= 'end'
    })
    socket.on('error', () => {
      outcome ||= 'reset'
    })
  })
  const socket = connect({ port: upstream.port, host: HOST, allowHalfOpen: true })
  await once(socket, 'connect')
  await until(() => upstream.sockets.size === 1)
  prepare(socket)
  const before = descriptors()
  releaseSocket(socket, reset)
  expect(descriptors(), 'closed within the call').toBe(before - 1)
  await until(() => outcome !== '')
  return outcome
}

describe('a socket is released at once', () => {
  const nothing = (): void => {}
  test('plainly: the peer sees the end', async () => {
    expect(await peerAfter(false, nothing)).toBe('end')
  })
  test('by reset: the peer sees a reset', async () => {
    expect(await peerAfter(true, nothing)).toBe('reset')
  })
  // libuv refuses the reset here and Node leaks the descriptor.
  test('by reset, while its end is on the way: the peer sees that end', async () => {
    expect(await peerAfter(true, (socket) => socket.end('all'))).toBe('end')
  })
  test('by reset, with bytes before its end still waiting: the peer sees a reset', async () => {
    const prepare = (socket: Socket): void => void socket.end(Buffer.alloc(32 * 1024 * 1024))
    expect(await peerAfter(true, prepare)).toBe('reset')
  })
  test('by reset, while it connects: nothing waits for the connection', async () => {
    const socket = connect({ port: await startBlackHole(), host: HOST })
    releaseSocket(socket, true)
    await once(socket, 'close')
  })
})
