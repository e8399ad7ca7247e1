/**
 * Whether system calls and hand-laid structures work on this machine: one datagram from one socket
 * to another, with everything the shell does on the way.
 */
import { packIpv4 } from '../../../../../core/net/packed-address.ts'
import { AF_INET } from './addresses.ts'
import type { Libc } from './libc.ts'
import { Poller, READABLE } from './poller.ts'
import { ReceiveVector } from './receive-vector.ts'
import { SendVector } from './send-vector.ts'
import { type BoundSocket, Sockets } from './sockets.ts'
import { SystemError } from './system-error.ts'

/** What does not work; undefined when all does. Closes whatever it opens. */
export function selfTest(libc: Libc): string | undefined {
  const opened: number[] = []
  try {
    const problem = passOne(libc, (fd) => opened.push(fd))
    return problem instanceof SystemError ? problem.message : problem
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  } finally {
    for (const fd of opened) libc.close(fd)
  }
}

function passOne(libc: Libc, opened: (fd: number) => void): SystemError | string | undefined {
  const sockets = new Sockets(libc)
  const bound = sockets.bound(packIpv4(LOOPBACK, 0))
  if (bound instanceof SystemError) return bound
  opened(bound.fd)
  const sender = sockets.connected(bound.address)
  if (sender instanceof SystemError) return sender
  opened(sender)
  const poller = new Poller(libc)
  try {
    return exchange(libc, poller, bound, sender)
  } finally {
    poller.close()
  }
}

function exchange(
  libc: Libc,
  poller: Poller,
  { fd, address }: BoundSocket,
  sender: number,
): SystemError | string | undefined {
  const received = new ReceiveVector(libc)
  const vector = new SendVector(libc, received.data)
  const ready: number[] = []
  const watched = poller.add(fd, READABLE, { ready: (events) => ready.push(events) })
  if (watched < 0) return new SystemError('epoll_ctl', watched)
  const payload = crypto.getRandomValues(new Uint8Array(100))
  const kind = { family: AF_INET, isNamed: false, hasPacketInfo: false } as const
  vector.take([{ payload }], 0, kind, false)
  const sent = vector.send(sender, 0)
  if (sent < 0) return new SystemError('sendmmsg', sent)
  const count = poller.wait(WAIT_MS)
  for (let index = 0; index < count; index++) poller.dispatch(index, 0)
  if (ready[0] !== READABLE) return 'epoll does not tell of a datagram'
  const came = received.receiveFrom(fd, 1, AF_INET)
  if (came < 0) return new SystemError('recvmmsg', came)
  const isSame = Buffer.compare(received.payload(0), payload) === 0
  const isFromHere = received.from(0).d === address.d && received.from(0).port > 0
  return isSame && isFromHere ? undefined : 'a datagram does not arrive as it was sent'
}

const LOOPBACK = 0x7f00_0001
const WAIT_MS = 1_000
