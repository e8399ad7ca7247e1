/** Asks the system whether programs could listen on ports, by listening there for a moment. */
import { createServer } from 'node:net'

export interface PortCheck {
  /** Held by somebody, ascending. */
  readonly taken: readonly number[]
  /** Why a port could not be checked at all: descriptors exhausted and the like. */
  readonly problems: readonly string[]
}

/** TCP. All sockets are closed again before this answers. Never rejects. */
export async function checkPorts(ports: readonly number[]): Promise<PortCheck> {
  const taken = new Set<number>()
  const problems = new Set<string>()
  const check = async (port: number): Promise<void> => {
    // one after the other: our own sockets would stand in each other's way
    for (const host of HOSTS) {
      const code = await tryListening(host, port)
      if (code === 'EADDRINUSE') taken.add(port)
      else if (!HARMLESS.includes(code)) problems.add(`port ${port} cannot be checked (${code})`)
    }
  }
  await Promise.all([...new Set(ports)].map(check))
  return { taken: [...taken].sort((a, b) => a - b), problems: [...problems].sort() }
}

/** Answers '' when that worked, else the system's error code. */
function tryListening(host: string, port: number): Promise<string> {
  return new Promise((resolve) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message))
    // exclusive: also alone when the caller is a worker of a cluster
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve('')))
  })
}

// a holder of `::` for both families is in the way of 0.0.0.0, so it is found as well
const HOSTS = ['127.0.0.1', '0.0.0.0']

// not for us to say: a program may have rights of its own for low ports
const HARMLESS = ['', 'EACCES', 'EPERM']
