/**
 * A reverse proxy for HTTP/1.1 that listens on the first address and balances to the others:
 *
 *   node balancer.mjs 127.0.0.1:8000 127.0.0.1:8001 127.0.0.1:8002
 */
import { connect, createServer } from 'node:net'
import { defaultHttpListenerConfig, HttpIngress } from 'weir/core/http'
import { formatIp, packAddress, parseIp, parseSocketAddress } from 'weir/core/net'

/** @import { Socket } from 'node:net' */
/** @import { ClientId, IngressCommand, IngressEvent } from 'weir/core/http' */

const [listen, ...backends] = process.argv.slice(2).map(readAddress)
if (listen === undefined) throw new Error('usage: node balancer.mjs LISTEN BACKEND...')

// Random, so that nobody can guess the ids of requests.
const [seed = 0] = crypto.getRandomValues(new Uint32Array(1))
const ingress = new HttpIngress({ seed })
const sockets = {
  /** @type {Map<number, Socket>} */ client: new Map(),
  /** @type {Map<number, Socket>} */ upstream: new Map(),
}
/** @type {IngressEvent[]} */
const inbox = []
/** @type {NodeJS.Timeout | undefined} */
let timer
let clientLast = 0

/** @param {IngressEvent} event */
function feed(event) {
  if (inbox.push(event) > 1) return // from within a command: its turn comes below
  for (const next of inbox) {
    /** @type {IngressCommand[]} */
    const commands = []
    ingress.step(next, performance.now(), commands)
    for (const command of commands) run(command)
  }
  inbox.length = 0
  clearTimeout(timer)
  const wait = (ingress.deadline() ?? Infinity) - performance.now()
  if (wait < Infinity) timer = setTimeout(feed, Math.max(0, Math.min(wait, 1e9)), { type: 'tick' })
}

/** @param {IngressCommand} command */
function run(command) {
  if (command.type === 'connect') return open(command)
  if (command.type === 'exchanged') {
    const { method, host, target, status, backend = 'nobody' } = command.exchange
    return console.log(`${method} ${host}${target} ${status} by ${backend}`)
  }
  if (command.type === 'backend-failed') return console.error(command.backend, command.reason)
  if (!('client' in command || 'upstream' in command)) return // other facts
  const side = 'client' in command ? 'client' : 'upstream'
  const id = 'client' in command ? command.client : command.upstream
  const socket = sockets[side].get(id)
  if (command.type === 'write-client' || command.type === 'write-upstream') {
    const head = Buffer.from(command.head, 'latin1')
    // A copy: the bytes are borrowed.
    const isTaken = socket?.write(Buffer.concat([head, command.bytes ?? Buffer.of()]))
    if (isTaken === false) tell(side, id, 'blocked')
  } else if (command.type.startsWith('pause')) socket?.pause()
  else if (command.type === 'read' || command.type.startsWith('resume')) socket?.resume()
  else if (command.type.startsWith('end')) socket?.end(() => tell(side, id, 'finished'))
  else if (sockets[side].delete(id)) {
    // To be closed; or a session of HTTP/2, which is not spoken here.
    if ('reset' in command && command.reset) socket?.resetAndDestroy()
    else socket?.destroy()
  }
}

/** @param {'client' | 'upstream'} side @param {number} id @param {string} what @param {Uint8Array} [bytes] */
const tell = (side, id, what, bytes) =>
  feed(/** @type {any} */ ({ type: `${side}-${what}`, [side]: id, bytes }))

/** @param {'client' | 'upstream'} side @param {number} id @param {Socket} socket */
function hear(side, id, socket) {
  sockets[side].set(id, socket)
  socket.on('data', (bytes) => tell(side, id, 'data', bytes))
  socket.on('end', () => tell(side, id, 'ended'))
  socket.on('drain', () => tell(side, id, 'writable'))
  socket.on('error', () => tell(side, id, 'broken'))
}

/** @param {IngressCommand & { type: 'connect' }} command */
function open({ upstream, host, port }) {
  const socket = connect({ host, port, noDelay: true, allowHalfOpen: true })
  const onError = (/** @type {Error} */ { message: reason }) =>
    feed({ type: 'upstream-failed', upstream, blame: 'backend', reason })
  socket.once('error', onError)
  socket.once('connect', () => {
    socket.off('error', onError)
    feed({ type: 'upstream-connected', upstream })
  })
  hear('upstream', upstream, socket)
}

// Nothing is read before the ingress says so, and either side may end before the other.
const options = { pauseOnConnect: true, noDelay: true, allowHalfOpen: true }
const server = createServer(options, (socket) => {
  const source = pack(socket.remoteAddress, socket.remotePort)
  const destination = pack(socket.localAddress, socket.localPort)
  if (!source || !destination) return socket.destroy() // it is gone again
  const client = /** @type {ClientId} */ (++clientLast)
  hear('client', client, socket)
  feed({ type: 'accepted', client, port: 'front', peers: { source, destination } })
})

feed({ type: 'configure-listener', listener: 'all', config: defaultHttpListenerConfig })
feed({ type: 'apply-backends', listener: 'all', version: 1, backends, whenEmpty: 'refuse' })
server.listen(listen.port, listen.host, () => {
  const { port: number } = /** @type {{ port: number }} */ (server.address())
  const routes = [{ path: '/', listener: 'all' }]
  feed({ type: 'apply-routes', port: 'front', number, routes })
  console.log(`listening on port ${number}`)
})
// Requests under way are answered; connections without one are closed at once.
function leave() {
  server.close(() => process.exit())
  feed({ type: 'close-port', port: 'front' })
}
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, leave)

/** @param {string | undefined} address @param {number | undefined} port */
function pack(address = '', port = 0) {
  const ip = parseIp(address)
  return ip && packAddress({ ip, port })
}

/** @param {string} text */
function readAddress(text) {
  const address = parseSocketAddress(text)
  if (address === undefined) throw new Error(`${text} is no address like 127.0.0.1:8000`)
  return { id: text, host: formatIp(address.ip), port: address.port }
}
