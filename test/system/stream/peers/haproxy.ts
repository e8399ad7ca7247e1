/** haproxy: as a proxy in front of Weir, and as a service that says whom it sees. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { until } from '../../running-node.ts'
import { attempt } from './line-client.ts'

const TIMEOUTS = `
  timeout connect 60s
  timeout client 60s
  timeout server 60s
`

/** A configuration for a replica: answers HTTP with what the PROXY header said, `FROM PORT TO PORT`. */
export const WITNESS = `
defaults
  mode http
${TIMEOUTS}
frontend witness
  bind "127.0.0.1:\${PORT}" accept-proxy
  http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port]"
`
export const WITNESS_COMMAND = ['haproxy', '-db', '-q', '-f', 'witness.cfg'] as const

export interface Front {
  /** `127.0.0.1:8000`, `[::1]:8000`. */
  readonly bind: string
  readonly port: number
  /** Where Weir listens. */
  readonly weir: number
  readonly send: 'send-proxy' | 'send-proxy-v2'
}

/** In front of Weir until the test is over; ready when this resolves. */
export async function startFronts(fronts: readonly Front[]): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'weir-haproxy-'))
  const listens = fronts.map(
    ({ bind, weir, send }, index) => `
listen front${index}
  bind ${bind}
  server weir 127.0.0.1:${weir} ${send}
`,
  )
  const file = join(directory, 'fronts.cfg')
  await writeFile(file, `defaults\n  mode tcp\n${TIMEOUTS}${listens.join('')}`)
  const child = spawn('haproxy', ['-db', '-q', '-f', file], {
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const ended = once(child, 'exit')
  onTestFinished(async () => {
    child.kill()
    await ended
    await rm(directory, { recursive: true, force: true })
  })
  for (const { bind, port } of fronts) {
    const host = bind.startsWith('[::1]') ? '::1' : '127.0.0.1'
    await until(async () => (await attempt(port, host)) === 'connected')
  }
}

export interface Seen {
  /** What the witness says. */
  readonly said: string
  readonly localPort: number
}

/** Asks a witness over a connection, or says why there is no answer. */
export async function whoAmI(
  port: number,
  host = '127.0.0.1',
  localAddress?: string,
): Promise<Seen> {
  const socket = connect({ port, host, ...(localAddress === undefined ? {} : { localAddress }) })
  await once(socket, 'connect')
  const localPort = socket.localPort as number
  return { localPort, said: await askWitness(socket) }
}

export function askWitness(socket: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    socket.on('data', (bytes: Buffer) => {
      text += bytes
    })
    socket.on('error', reject)
    socket.on('close', () => resolve(text.split('\r\n\r\n')[1] ?? `no answer: ${text}`))
    socket.write('GET / HTTP/1.0\r\n\r\n')
  })
}
