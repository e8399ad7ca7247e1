/**
 * The server of a swarm, a replica: plays its side on every connection to `PORT_SWARM`, and says at
 * `PORT_CONTROL` how it goes.
 */
import { createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { type Outcome, type Play, Side } from './play.ts'

/** Answers `progress`. */
export interface Progress {
  readonly live: number
  /** Bytes, of those that are live. */
  readonly sent: number
  readonly got: number
}

const sides = new Map<number, Side>()
const outcomes: Outcome[] = []

/** A line of JSON says what will be played; then both begin when the client says so, with a byte. */
function welcome(socket: Socket): void {
  socket.on('error', () => {})
  let head = Buffer.alloc(0)
  const onData = (bytes: Buffer): void => {
    head = Buffer.concat([head, bytes])
    const end = head.indexOf('\n')
    if (end < 0) return
    socket.off('data', onData)
    const play = JSON.parse(head.toString('utf8', 0, end)) as Play
    const side = new Side(socket, play, 'server')
    sides.set(play.connection, side)
    void side.outcome.then((outcome) => {
      outcomes.push(outcome)
      sides.delete(play.connection)
    })
    socket.once('data', (first: Buffer) => {
      side.begin()
      if (first.byteLength > 1) socket.unshift(first.subarray(1))
    })
    socket.write('!')
  }
  socket.on('data', onData)
}

const ANSWERS: Readonly<Record<string, () => unknown>> = {
  progress: () => {
    const sum = (key: 'sent' | 'got') => [...sides.values()].reduce((all, at) => all + at[key], 0)
    return { live: sides.size, sent: sum('sent'), got: sum('got') } satisfies Progress
  },
  release: () => {
    for (const side of sides.values()) if (side.stalls) side.resume()
    return 'released'
  },
  outcomes: () => outcomes,
}

const listen = (port: string | undefined, serve: (socket: Socket) => void): void => {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, serve)
  server.listen({ port: Number(port), host: '127.0.0.1', backlog: 4_096 })
}

listen(process.env.PORT_SWARM, welcome)
listen(process.env.PORT_CONTROL, (socket) => {
  socket.on('error', () => {})
  const lines = createInterface({ input: socket })
  lines.on('line', (line) => socket.write(`${JSON.stringify(ANSWERS[line]?.())}\n`))
  lines.on('close', () => socket.end())
})
process.once('SIGTERM', () => process.exit())
