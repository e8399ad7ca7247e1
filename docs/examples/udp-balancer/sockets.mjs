/** Sockets, and what they say of addresses and errors, in the words of the table. */
import { createSocket } from 'node:dgram'
import { formatIp, packAddress, parseIp, unpackAddress } from 'weir/core/net'
/** @import { Socket } from 'node:dgram' */
/** @import { PackedAddress } from 'weir/core/net' */

/** @param {string} host an IP address */
export function newSocket(host) {
  const type = host.includes(':') ? 'udp6' : 'udp4'
  // Without a look-up, a datagram leaves when it is sent.
  return createSocket({ type, lookup: (address, _, done) => done(null, address, 0) })
}

/** @param {{ address: string, port: number }} socket */
export function pack({ address, port }) {
  const ip = parseIp(address)
  return ip && packAddress({ ip, port })
}

/** As `send` wants it. @param {PackedAddress} packed @returns {[port: number, host: string]} */
export function unpack(packed) {
  const { ip, port } = unpackAddress(packed)
  return [port, formatIp(ip)]
}

/** What this machine may have no more of: descriptors, ports, memory. */
const LACKING = ['EMFILE', 'ENFILE', 'EAGAIN', 'EADDRINUSE', 'EADDRNOTAVAIL', 'ENOBUFS', 'ENOMEM']

/**
 * Nobody is to blame for a datagram that is too long.
 * @param {Socket} socket
 * @param {(why: { blame: 'backend' | 'host', reason: string }) => void} tell
 */
export function onFailure(socket, tell) {
  socket.on('error', (error) => {
    const reason = 'code' in error ? String(error.code) : error.message
    if (reason === 'EMSGSIZE') return
    tell({ blame: LACKING.includes(reason) ? 'host' : 'backend', reason })
  })
}
