/**
 * The event loop of a UDP load balancer: tells the table what happened, does what it says, and
 * wakes it up when it wants to.
 */
/** @import { Socket } from 'node:dgram' */
/** @import { FlowCommand, FlowEvent, FlowTable } from 'weir/core/udp' */
import { newSocket, onFailure, pack, unpack } from './sockets.mjs'

/** @param {FlowTable} table @param {Socket} front bound @param {(fact: FlowCommand) => void} tell */
export function balance(table, front, tell) {
  /** The socket of an attempt of a flow. @type {Map<string, Socket>} */
  const upstreams = new Map()
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
    const wait = (table.deadline() ?? Infinity) - performance.now()
    // Where that is a little early, the table says so: its deadline is still the same.
    if (wait < Infinity)
      timer = setTimeout(feed, Math.max(0, Math.min(wait, 1e9)), { type: 'tick' })
  }

  /** @param {FlowCommand} command */
  function run(command) {
    const key = 'attempt' in command ? `${command.flow}/${command.attempt}` : ''
    const upstream = upstreams.get(key)
    if (command.type === 'open-upstream') upstreams.set(key, open(command))
    else if (command.type === 'send-upstream') {
      upstream?.send([command.header ?? '', command.payload]) // not after it was closed
    } else if (command.type === 'send-client') {
      front.send(command.payload, ...unpack(command.to), () => {}) // UDP may lose it
    } else if (command.type === 'stop-listening') front.close()
    else if (upstreams.delete(key)) upstream?.close() // close-upstream, close-flow
    if (!('flow' in command)) tell(command)
  }

  /** @param {FlowCommand & { type: 'open-upstream' }} command */
  function open({ flow, attempt, host, port }) {
    const socket = newSocket(host)
    socket.on('connect', () => feed({ type: 'upstream-opened', flow, attempt }))
    socket.on('message', (payload) => feed({ type: 'upstream-datagram', flow, attempt, payload }))
    onFailure(socket, (why) => feed({ type: 'upstream-failed', flow, attempt, ...why }))
    socket.connect(port, host)
    return socket
  }

  const to = pack(front.address())
  front.on('message', (payload, sender) => {
    const from = pack(sender)
    if (from && to) feed({ type: 'client-datagram', from, to, payload })
  })
  return feed
}
