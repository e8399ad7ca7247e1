/** Very many clients in a process of their own, driven by `Swarm`: each plays its side of a play. */
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { type Outcome, playOf, Side } from './play.ts'

export interface SwarmPlan {
  readonly port: number
  readonly seed: number
  /** Numbers of the connections. */
  readonly first: number
  readonly count: number
  /** The authority of who answers, a text: they speak TLS. */
  readonly ca?: string
}

export type SwarmReport =
  // a server is behind every connection
  | { readonly type: 'connected' }
  // those that do not stall are over
  | { readonly type: 'stalled' }
  | { readonly type: 'done'; readonly outcomes: readonly Outcome[] }

/** They begin together; those that stall go on when told to. */
export type SwarmOrder = 'begin' | 'release'

/** Connections under way at one time: fewer than any listen queue holds. */
const AT_ONCE = 100

const plan = JSON.parse(process.argv[2] ?? '{}') as SwarmPlan

const tell = (report: SwarmReport): void => void process.send?.(report)
const told = (order: SwarmOrder): Promise<void> =>
  new Promise((resolve) => {
    const hear = (said: SwarmOrder): void => {
      if (said !== order) return
      process.off('message', hear)
      resolve()
    }
    process.on('message', hear)
  })

interface Client {
  readonly socket: Socket
  readonly side: Side
  readonly isLate: boolean
}

async function open(connection: number): Promise<Client> {
  const play = playOf(connection, plan.seed)
  const { port, ca } = plan
  const tcp = connect({ port, host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  const isPlain = ca === undefined
  const socket = isPlain ? tcp : connectTls({ socket: tcp, servername: 'localhost', ca })
  const side = new Side(socket, play, 'client', tcp)
  socket.write(`${JSON.stringify(play)}\n`)
  await new Promise<void>((resolve, reject) => {
    socket.once('data', () => {
      socket.pause()
      resolve()
    })
    void side.outcome.then(({ end }) => reject(new Error(`${connection} ${end} too early`)))
  })
  return { socket, side, isLate: play.way.endsWith('-stalls') }
}

process.once('disconnect', () => process.exit())
const begin = told('begin')
const release = told('release')
const clients: Client[] = []
for (let at = 0; at < plan.count; at += AT_ONCE) {
  const some = Array.from({ length: Math.min(AT_ONCE, plan.count - at) }, (_, n) => n + at)
  clients.push(...(await Promise.all(some.map((number) => open(plan.first + number)))))
}
tell({ type: 'connected' })
await begin
for (const { socket, side } of clients) {
  socket.write('!')
  side.begin()
  if (!side.stalls) socket.resume()
}
const outcomesOf = (some: readonly Client[]) => Promise.all(some.map(({ side }) => side.outcome))
await outcomesOf(clients.filter(({ isLate }) => !isLate))
tell({ type: 'stalled' })
await release
for (const { side } of clients) if (side.stalls) side.resume()
tell({ type: 'done', outcomes: await outcomesOf(clients) })
