import { once } from 'node:events'
import { type AddressInfo, connect, createServer, Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { sharedBytes, takeOver } from '../../../../shells/node/http/shared-reads.ts'

const ends: (() => unknown)[] = []
afterEach(() => {
  for (const end of ends.splice(0)) end()
})

/** Accepted, and read. */
async function accepted(): Promise<{ client: Socket; socket: Socket }> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const client = connect({ port: (server.address() as AddressInfo).port, host: '127.0.0.1' })
  const [socket] = (await once(server, 'connection')) as [Socket]
  socket.resume()
  ends.push(
    () => server.close(),
    () => client.destroy(),
    () => socket.destroy(),
  )
  return { client, socket }
}

test('one that was accepted is read into the shared buffer, ends, and writes', async () => {
  const { client, socket } = await accepted()
  let got = ''
  const taken = takeOver(socket, (length) => {
    got += sharedBytes(length).toString()
    return true
  })
  expect(taken).toBeInstanceOf(Socket)
  ends.push(() => taken?.destroy())
  expect(taken?.remotePort).toBe(client.localPort)
  client.end('question')
  taken?.resume()
  await once(taken!, 'end')
  expect(got).toBe('question')
  const answer = once(client, 'data')
  taken?.end('answer')
  expect(String(await answer)).toBe('answer')
})

test('nothing is read of it while it is paused', async () => {
  const { client, socket } = await accepted()
  const reads: string[] = []
  const taken = takeOver(socket, (length) => {
    reads.push(sharedBytes(length).toString())
    taken.pause()
    return true
  }) as Socket
  ends.push(() => taken.destroy())
  taken.resume()
  client.write('one')
  await expect.poll(() => reads).toEqual(['one'])
  client.write('two')
  await new Promise((resolve) => setImmediate(resolve))
  expect(reads).toEqual(['one'])
  taken.resume()
  await expect.poll(() => reads).toEqual(['one', 'two'])
})

test('it stays as it was where it is paused, ends, is of another kind, or writes', async () => {
  const { client, socket } = await accepted()
  socket.pause()
  expect(takeOver(socket, () => true)).toBeUndefined()
  socket.resume()
  socket.cork()
  socket.write('held back')
  expect(takeOver(socket, () => true)).toBeUndefined()
  const answer = once(client, 'data')
  socket.uncork()
  expect(String(await answer)).toBe('held back')
  expect(takeOver(new (class extends Socket {})(), () => true)).toBeUndefined()
  expect(takeOver(new Socket(), () => true)).toBeUndefined()
  socket.end()
  expect(takeOver(socket, () => true)).toBeUndefined()
})
