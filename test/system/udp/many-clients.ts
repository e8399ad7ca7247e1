/**
 * Very many client sockets in a process of their own, driven by {@link ClientSwarm}: each sends
 * datagrams that nobody else sends, to a port that echoes, and looks at every byte it gets.
 */
import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'

export interface SwarmPlan {
  readonly port: number
  readonly sockets: number
  /** Each socket so often sends two datagrams at once, after all others had their turn. */
  readonly rounds: number
  /** Sockets that wait for answers at one time. */
  readonly atOnce: number
}

/** Told in this order, each once. */
export type SwarmReport =
  | { readonly type: 'bound'; readonly ports: readonly number[] }
  | ({ readonly type: 'done' } & SwarmCounts)

export interface SwarmCounts {
  readonly sent: number
  /** A sender's own bytes, back once, from the port it sent to. */
  readonly returned: number
  /** Anything else. */
  readonly foreign: number
  /** Datagrams that were still missing when for very long nothing had come. */
  readonly lost: number
}

class Client {
  readonly socket: Socket = createSocket('udp4')
  readonly #number: number
  readonly #plan: SwarmPlan
  readonly #expected = new Set<string>()
  #answered: (() => void) | undefined
  sent = 0
  returned = 0
  foreign = 0

  constructor(number: number, plan: SwarmPlan) {
    this.#number = number
    this.#plan = plan
    this.socket.on('message', (message, from) => this.#take(message, from))
  }

  get missing(): number {
    return this.#expected.size
  }

  /** Resolves when both came back. */
  sendTwo(round: number): Promise<void> {
    for (const half of [0, 1]) {
      const name = `${process.pid} ${this.#number} ${round} ${half} ${Math.random()} `
      const text = name.padEnd(name.length + ((this.#number * 7 + round * 131) % 300), '.')
      this.#expected.add(text)
      this.sent += 1
      this.socket.send(text, this.#plan.port, '127.0.0.1')
    }
    return new Promise((resolve) => {
      this.#answered = resolve
    })
  }

  #take(message: Buffer, from: RemoteInfo): void {
    const isOwn = this.#expected.delete(message.toString()) && from.port === this.#plan.port
    if (isOwn) this.returned += 1
    else this.foreign += 1
    if (this.#expected.size === 0) this.#answered?.()
  }
}

async function run(plan: SwarmPlan): Promise<void> {
  const clients: Client[] = []
  while (clients.length < plan.sockets) {
    const client = new Client(clients.length, plan)
    client.socket.bind(0, '127.0.0.1')
    await once(client.socket, 'listening')
    clients.push(client)
  }
  tell({ type: 'bound', ports: clients.map(({ socket }) => socket.address().port) })
  await once(process, 'message')

  let round = 0
  let next = 0
  const work = async (): Promise<void> => {
    while (round < plan.rounds) {
      const turn = clients[next]!.sendTwo(round)
      next = (next + 1) % clients.length
      if (next === 0) round += 1
      await turn
    }
  }
  const sumOf = (key: 'sent' | 'returned' | 'foreign' | 'missing'): number =>
    clients.reduce((sum, client) => sum + client[key], 0)
  const workers = Promise.all(Array.from({ length: plan.atOnce }, work))
  await Promise.race([workers, standstill(() => sumOf('returned'))])
  tell({
    type: 'done',
    sent: sumOf('sent'),
    returned: sumOf('returned'),
    foreign: sumOf('foreign'),
    lost: sumOf('missing'),
  })
  // The sockets stay, for what may come too late, until whoever started us lets go.
}

/** Resolves when a number has not changed for very long. */
function standstill(read: () => number): Promise<void> {
  return new Promise((resolve) => {
    let last = -1
    setInterval(() => {
      const now = read()
      if (now === last) resolve()
      last = now
    }, STANDSTILL_MS)
  })
}

const tell = (report: SwarmReport): void => void process.send?.(report)
const STANDSTILL_MS = 20_000

process.once('disconnect', () => process.exit())
await run(JSON.parse(process.argv[2] ?? '{}') as SwarmPlan)
