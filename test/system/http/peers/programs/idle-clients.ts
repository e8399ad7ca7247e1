/** Very many keep-alive connections in a process of their own, each asked twice: `PORT COUNT`. */
import { connect, type Socket } from 'node:net'

export type IdleReport =
  // each has had an answer, and is open
  | { readonly type: 'idle' }
  // each was asked again: how many answered, and how many were over by then
  | { readonly type: 'done'; readonly answered: number; readonly over: number }

const [port, count] = process.argv.slice(2).map(Number) as [number, number]
/** Fewer than any listen queue holds. */
const AT_ONCE = 100
const REQUEST = 'GET /small HTTP/1.1\r\nHost: localhost\r\n\r\n'

/** Whether there was a whole answer to one more request. */
function ask(socket: Socket): Promise<boolean> {
  return new Promise((resolve) => {
    let got = ''
    const hear = (bytes: Buffer): void => {
      got += bytes
      if (!got.endsWith('\r\n\r\nok\n')) return
      socket.off('data', hear)
      resolve(got.startsWith('HTTP/1.1 200 '))
    }
    socket.on('data', hear)
    socket.once('close', () => resolve(false))
    socket.write(REQUEST)
  })
}

function open(): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => resolve(socket))
    socket.on('error', reject)
  })
}

process.once('disconnect', () => process.exit())
const sockets: Socket[] = []
while (sockets.length < count) {
  const some = await Promise.all(
    Array.from({ length: Math.min(AT_ONCE, count - sockets.length) }, open),
  )
  await Promise.all(some.map(ask))
  sockets.push(...some)
}
process.send?.({ type: 'idle' } satisfies IdleReport)
await new Promise((resolve) => process.once('message', resolve))
const over = sockets.filter((socket) => socket.destroyed).length
let answered = 0
for (let at = 0; at < count; at += AT_ONCE) {
  const all = await Promise.all(sockets.slice(at, at + AT_ONCE).map(ask))
  answered += all.filter((isAnswered) => isAnswered).length
}
for (const socket of sockets) socket.destroy()
process.send?.({ type: 'done', answered, over } satisfies IdleReport)
process.disconnect?.()
