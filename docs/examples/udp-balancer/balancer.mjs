/**
 * A UDP load balancer: `FlowTable` decides, this file owns the sockets and the clock.
 *
 *   node balancer.mjs 127.0.0.1:5300 127.0.0.1:5301 127.0.0.1:5302
 *
 * listens on the first address and balances to the others.
 */
/** @import { FlowCommand, FlowEvent } from 'weir/core/udp' */
import { createSocket } from 'node:dgram'
import { formatIp, packAddress, parseIp, parseSocketAddress, unpackAddress } from 'weir/core/net'
import { FlowTable } from 'weir/core/udp'

const [listen, ...backends] = process.argv.slice(2).map(readAddress)
if (listen === undefined) throw new Error('usage: node balancer.mjs LISTEN BACKEND...')

// Random, so that nobody can choose client addresses that slow the table down.
const [high = 0, low = 0] = crypto.getRandomValues(new Int32Array(2))
const table = new FlowTable({ hashSeed: [high, low] })
const front = newSocket(listen.host)
/** By flow. @type {Map<number, import('node:dgram').Socket>} */
const upstreams = new Map()

/** What this machine may have no more of: descriptors, ports, memory. */
const LACKING = ['EMFILE', 'ENFILE', 'EADDRINUSE', 'EADDRNOTAVAIL', 'ENOMEM']

// The event loop: tell the table what happened, do what it says, wake up when it wants to.

/** @type {FlowEvent[]} */
const inbox = []
/** @type {NodeJS.Timeout | undefined} */
let timer

/** @param {FlowEvent} event */
function feed(event) {
  if (inbox.push(event) > 1) return // from within a command: its turn comes below
  for (const next of inbox) {
    /** @type {FlowCommand[]} */
    const commands = []
    table.step(next, performance.now(), commands)
    for (const command of commands) run(command)
  }
  inbox.length = 0
  clearTimeout(timer)
  const deadline = table.deadline()
  if (deadline !== undefined) {
    // Where that is a little early, the table says so: its deadline is still the same.
    timer = setTimeout(feed, deadline - performance.now(), { type: 'tick' })
  }
}

/** @param {FlowCommand} command */
function run(command) {
  switch (command.type) {
    case 'open-upstream': {
      const { flow, attempt, host, port } = command
      const socket = newSocket(host)
      upstreams.set(flow, socket)
      socket.on('connect', () => feed({ type: 'upstream-opened', flow, attempt }))
      socket.on('message', (payload) => feed({ type: 'upstream-datagram', flow, attempt, payload }))
      socket.on('error', (error) => {
        // The port is closed, say; or this machine has no descriptor or port left.
        const reason = 'code' in error ? String(error.code) : error.message
        const blame = LACKING.includes(reason) ? 'host' : 'backend'
        feed({ type: 'upstream-failed', flow, attempt, blame, reason })
      })
      socket.connect(port, host)
      return
    }
    case 'send-upstream': {
      const { flow, header, payload } = command
      upstreams.get(flow)?.send(header === undefined ? payload : [header, payload])
      return
    }
    case 'send-client': {
      const { ip, port } = unpackAddress(command.to)
      front.send(command.payload, port, formatIp(ip), () => {}) // UDP may lose it
      return
    }
    case 'close-upstream':
    case 'close-flow':
      upstreams.get(command.flow)?.close()
      upstreams.delete(command.flow)
      return
    case 'stop-listening':
      front.close()
      return
    case 'backend-failed':
      console.error(`${command.backend} failed: ${command.reason}`)
    // What else there is concerns those who change the set of backends while this runs.
  }
}

// The set of backends, the listening socket, and the end.

feed({
  type: 'apply-backends',
  version: 1,
  backends: backends.map(({ text, host, port }) => ({ id: text, host, port })),
})
front.bind(listen.port, listen.host, () => {
  const to = pack(front.address())
  if (to === undefined) throw new Error('listen on an address without an interface name')
  front.on('message', (payload, sender) => {
    const from = pack(sender)
    if (from !== undefined) feed({ type: 'client-datagram', from, to, payload })
  })
  console.log(`listening on port ${to.port}`)
})
// Waits a little for the last answers, then closes all sockets, and so the process ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => feed({ type: 'close' }))

// Sockets and addresses

/** @param {string} host */
function newSocket(host) {
  const type = host.includes(':') ? 'udp6' : 'udp4'
  // All hosts are IP addresses: without a look-up, a datagram leaves when it is sent.
  return createSocket({ type, lookup: (address, _, done) => done(null, address, 0) })
}

/** As the table has addresses. @param {{ address: string, port: number }} socket */
function pack({ address, port }) {
  const ip = parseIp(address)
  return ip && packAddress({ ip, port })
}

/** @param {string} text */
function readAddress(text) {
  const address = parseSocketAddress(text)
  if (address === undefined) throw new Error(`${text} is no address like 127.0.0.1:53`)
  return { text, host: formatIp(address.ip), port: address.port }
}
