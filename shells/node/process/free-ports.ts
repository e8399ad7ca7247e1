/** Asks the system whether programs could listen on ports, by listening there for a moment. */
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'

/** A number may be in both. */
export interface WantedPorts {
  readonly tcp: readonly number[]
  readonly udp: readonly number[]
}

export interface PortCheck {
  /** Held by somebody, ascending. */
  readonly taken: readonly number[]
  /** Why a port could not be checked at all: descriptors exhausted and the like. */
  readonly problems: readonly string[]
}

/** All sockets are closed again before this answers. Never rejects. */
export async function checkPorts({ tcp, udp }: WantedPorts): Promise<PortCheck> {
  const taken = new Set<number>()
  const problems = new Set<string>()
  const check = async (port: number, tryListening: TryListening): Promise<void> => {
    // one after the other: our own sockets would stand in each other's way
    for (const host of HOSTS) {
      const code = await tryListening(host, port)
      if (code === 'EADDRINUSE') taken.add(port)
      else if (!HARMLESS.includes(code)) problems.add(`port ${port} cannot be checked (${code})`)
    }
  }
  await Promise.all([
    ...[...new Set(tcp)].map((port) => check(port, tryTcp)),
    ...[...new Set(udp)].map((port) => check(port, tryUdp)),
  ])
  return { taken: [...taken].sort((a, b) => a - b), problems: [...problems].sort() }
}

/** Answers '' when that worked, else the system's error code. */
type TryListening = (host: string, port: number) => Promise<string>

const tryTcp: TryListening = (host, port) =>
  new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    // exclusive: also alone when the caller is a worker of a cluster
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('')))
  })

/** Without address reuse: a port that somebody shares is taken all the same. */
const tryUdp: TryListening = (address, port) =>
  new Promise((resolve) => {
    const socket = createSocket('udp4')
    socket.once('error', (error: NodeJS.ErrnoException) => {
      socket.close()
      resolve(error.code ?? error.message)
    })
    socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve('')))
  })

// a holder of `::` for both families is in the way of 0.0.0.0, so it is found as well
const HOSTS = ['127.0.0.1', '0.0.0.0']

// not for us to say: a program may have rights of its own for low ports
const HARMLESS = ['', 'EACCES', 'EPERM']
