/** Probes that send a datagram to a replica and wait for its answer. */
import { createSocket } from 'node:dgram'
import { isIPv6 } from 'node:net'
import type { ProbeTarget } from '../../../core/node/commands.ts'
import { reasonOf } from '../socket-errors.ts'
import { withoutBrackets } from './connection.ts'
import type { ProbeWork } from './run.ts'

type UdpTarget = Extract<ProbeTarget, { type: 'udp' }>

/**
 * Healthy when the datagram is answered, with what is expected where something is. It is sent once,
 * from a connected socket: the kernel lets only the replica answer, and says when nobody has the port.
 */
export const probeUdp =
  ({ host, port, request, expect }: UdpTarget): ProbeWork =>
  (answer, stop) =>
    new Promise((over) => {
      const address = withoutBrackets(host)
      const socket = createSocket(isIPv6(address) ? 'udp6' : 'udp4')
      let isOpen = true
      const close = (): void => {
        if (!isOpen) return
        isOpen = false
        socket.close()
      }
      socket.once('close', () => over())
      socket.on('error', (error) => {
        answer(reasonOf(error))
        close()
      })
      socket.once('message', (received) => {
        answer(isExpected(received, expect) ? '' : `unexpected answer: ${excerptOf(received)}`)
        close()
      })
      stop.addEventListener('abort', close)
      if (stop.aborted) return close()
      socket.connect(port, address, () => {
        if (isOpen) socket.send(Buffer.from(request, 'hex'))
      })
    })

const isExpected = (received: Buffer, expect: string | undefined): boolean =>
  expect === undefined || received.includes(Buffer.from(expect, 'hex'))

/** `"pong"`, or `00018180… (hex)`: what people know it by. */
function excerptOf(received: Buffer): string {
  if (received.length === 0) return 'an empty datagram'
  const head = received.subarray(0, EXCERPT_BYTES)
  const more = received.length > EXCERPT_BYTES ? '…' : ''
  const text = head.toString('latin1')
  return /^[ -~]+$/.test(text) ? `"${text}${more}"` : `${head.toString('hex')}${more} (hex)`
}

const EXCERPT_BYTES = 32
