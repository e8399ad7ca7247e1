/** The processes of the UDP benchmark: `node processes.ts ROLE [UPSTREAM_PORT]`. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { packIpv4 } from '../../../core/net/packed-address.ts'
import { defaultUdpConfig } from '../../../core/udp/config.ts'
import { type Libc, loadLibc } from '../../../shells/node/udp/batch/system/libc.ts'
import { Poller, READABLE } from '../../../shells/node/udp/batch/system/poller.ts'
import { Sockets } from '../../../shells/node/udp/batch/system/sockets.ts'
import { SystemError } from '../../../shells/node/udp/batch/system/system-error.ts'
import { makeUdpHost } from '../../../shells/node/udp/choose-host.ts'
import { Clients, type Load, type LoadResult } from './clients.ts'
import { Vector } from './vector.ts'

export type ProcessRole = 'clients' | 'echo' | 'bare' | 'dgram' | 'batch'

export type ProcessReport =
  | { readonly type: 'ready'; readonly port: number }
  | { readonly type: 'unavailable'; readonly reason: string }
  | ({ readonly type: 'done' } & LoadResult)

/** To the clients. Sockets are kept from one to the next, so that flows are there already. */
export interface Question extends Load {
  readonly port: number
  readonly sockets: number
  readonly window: number
}

const say = (report: ProcessReport): void => {
  process.send?.(report)
}

function serveClients(calls: Libc): void {
  const known = new Map<string, Clients>()
  process.on('message', ({ port, sockets, window, ...load }: Question) => {
    const name = `${port} ${sockets} ${window}`
    const clients = known.get(name) ?? new Clients(calls, port, sockets, window)
    known.set(name, clients)
    say({ type: 'done', ...clients.run(load) })
  })
  say({ type: 'ready', port: 0 })
}

/** Sends back whatever comes; the thread does nothing else. */
function serveEcho(calls: Libc): void {
  const bound = new Sockets(calls).bound(packIpv4(LOOPBACK, 0))
  if (bound instanceof SystemError) throw bound
  const { fd } = bound
  const vector = new Vector(calls, true)
  const poller = new Poller(calls)
  poller.add(fd, READABLE, {
    ready: () => {
      vector.send(fd, vector.receive(fd))
    },
  })
  say({ type: 'ready', port: bound.address.port })
  const parent = process.ppid
  const serve = (): void => {
    const ready = poller.wait(1_000)
    for (let index = 0; index < ready; index++) poller.dispatch(index, 0)
    if (ready === 0 && process.ppid !== parent) process.exit()
  }
  // After what was said has left.
  setTimeout(() => {
    for (;;) serve()
  }, 100)
}

/** The least that passes datagrams on with `dgram`: a socket for each client, and nothing else. */
async function serveBare(upstreamPort: number): Promise<void> {
  const upstreams = new Map<string, Socket>()
  const front = createSocket({ type: 'udp4', recvBufferSize: BUFFER, sendBufferSize: BUFFER })
  front.on('message', (payload, { address, port }) => {
    const client = `${address}:${port}`
    const known = upstreams.get(client)
    if (known !== undefined) {
      known.send(payload)
      return
    }
    const upstream = createSocket('udp4')
    upstream.on('message', (answer) => front.send(answer, port, address))
    upstream.connect(upstreamPort, HOST, () => {
      upstream.send(payload)
      upstreams.set(client, upstream)
    })
  })
  front.bind(0, HOST)
  await once(front, 'listening')
  say({ type: 'ready', port: front.address().port })
}

async function serveWeir(kind: 'dgram' | 'batch', upstreamPort: number): Promise<void> {
  const notices: string[] = []
  const host = await makeUdpHost({ kind, notice: (text) => notices.push(text) })
  if (host.kind !== kind) {
    say({ type: 'unavailable', reason: notices.join('; ') })
    return
  }
  const listener = host.open({
    config: defaultUdpConfig,
    balance: { strategy: 'round_robin', failOpen: true },
    fact: () => {},
    hostFailed: (reason) => console.error(reason),
  })
  listener.applyBackends(1, [{ id: 'echo', host: HOST, port: upstreamPort }])
  const address = await listener.listen(HOST, 0)
  say({ type: 'ready', port: Number(address.split(':').at(-1)) })
}

const HOST = '127.0.0.1'
const LOOPBACK = 0x7f00_0001
const BUFFER = 4 * 1024 * 1024

process.on('disconnect', () => process.exit())

const [role, upstreamPort] = [process.argv[2] as ProcessRole, Number(process.argv[3])]
if (role === 'bare') await serveBare(upstreamPort)
else if (role === 'dgram' || role === 'batch') await serveWeir(role, upstreamPort)
else {
  const loaded = await loadLibc()
  if (loaded.type === 'unavailable') say(loaded)
  else if (role === 'clients') serveClients(loaded.libc)
  else serveEcho(loaded.libc)
}
