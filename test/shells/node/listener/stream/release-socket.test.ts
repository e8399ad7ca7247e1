import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { hasPeer } from '../../../../../shells/node/listener/stream/peers.ts'
import { isGone, releaseSocket } from '../../../../../shells/node/listener/stream/release-socket.ts'
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

describe('whether its peer is gone', () => {
  /** Two ends of one connection; neither is read. */
  async function pair(): Promise<{ ours: Socket; theirs: Socket }> {
    let theirs: Socket | undefined
    const upstream = await startUpstream((socket) => {
      socket.on('error', () => {})
      theirs = socket.pause()
    })
    const ours = connect({ port: upstream.port, host: HOST, allowHalfOpen: true })
    onTestFinished(() => void ours.destroy())
    ours.on('error', () => {})
    await once(ours, 'connect')
    await until(() => theirs !== undefined)
    return { ours, theirs: theirs! }
  }

  test('not while it is there, nor when it has ended', async () => {
    const { ours, theirs } = await pair()
    expect(isGone(ours)).toBe(false)
    theirs.end('all')
    await once(theirs, 'finish')
    expect(isGone(ours)).toBe(false)
  })

  test.each(['asked before', 'not asked before'])('after a reset, %s', async (asked) => {
    const { ours, theirs } = await pair()
    if (asked === 'asked before') expect(ours.remoteAddress).toBe(HOST) // and so it is remembered
    ours.write('something that it never reads')
    theirs.resetAndDestroy()
    await until(() => isGone(ours))
  })

  test('after a reset, with our end still behind what waits', async () => {
    const { ours, theirs } = await pair()
    ours.end(Buffer.alloc(32 * 1024 * 1024))
    expect(isGone(ours)).toBe(false)
    theirs.resetAndDestroy()
    expect(isGone(ours)).toBe(true)
  })

  // The kernel knows no peer of a connection that both sides ended, and still has what it sent.
  test('not when both ended, with bytes still to be read', async () => {
    const { ours, theirs } = await pair()
    theirs.end('all')
    await once(theirs, 'finish')
    ours.end()
    await once(ours, 'finish')
    expect(hasPeer(ours)).toBe(false)
    expect(isGone(ours)).toBe(false)
    const [bytes] = (await once(ours.resume(), 'data')) as [Buffer]
    expect(bytes.toString()).toBe('all')
  })

  test('where Node does not say as we know it, it is there', async () => {
    const { ours, theirs } = await pair()
    theirs.resetAndDestroy()
    for (const handle of [null, undefined, {}, { getpeername: 1 }, { getpeername: () => {} }]) {
      expect(hasPeer({ _handle: handle } as unknown as Socket)).toBe(true)
    }
    ours.destroy()
    expect(isGone(ours)).toBe(true)
  })
})
