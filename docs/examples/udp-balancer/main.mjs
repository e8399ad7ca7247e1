/**
 * A UDP load balancer that listens on the first address and balances to the others:
 *
 *   node main.mjs 127.0.0.1:5300 127.0.0.1:5301 127.0.0.1:5302
 */
import { once } from 'node:events'
import { formatIp, parseSocketAddress } from 'weir/core/net'
import { FlowTable } from 'weir/core/udp'
import { balance } from './balancer.mjs'
import { newSocket, pack } from './sockets.mjs'

const [listen, ...backends] = process.argv.slice(2).map(readAddress)
if (listen === undefined) throw new Error('usage: node main.mjs LISTEN BACKEND...')
for (const { id, port } of backends) if (port === 0) throw new Error(`${id} has no port`)

const front = newSocket(listen.host)
const isBound = once(front, 'listening') // before the call: without a look-up, it binds at once
front.bind(listen.port, listen.host)
await isBound
if (!pack(front.address())) throw new Error('listen on an address without an interface name')
// The socket stays open: what it could not receive is lost, as UDP may.
front.on('error', (error) => console.error(error.message))

// Random, so that nobody can choose client addresses that slow the table down.
const [high = 0, low = 0] = crypto.getRandomValues(new Int32Array(2))
const feed = balance(new FlowTable({ hashSeed: [high, low] }), front, (fact) => {
  if (fact.type === 'backend-failed') console.error(`${fact.backend} failed: ${fact.reason}`)
})
feed({ type: 'apply-backends', version: 1, backends })
console.log(`listening on port ${front.address().port}`)
// Waits a little for the last answers, then closes all sockets, and so the process ends.
for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => feed({ type: 'close' }))

/** @param {string} text */
function readAddress(text) {
  const address = parseSocketAddress(text)
  if (address === undefined) throw new Error(`${text} is no address like 127.0.0.1:53`)
  return { id: text, host: formatIp(address.ip), port: address.port }
}
