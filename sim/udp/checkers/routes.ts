/**
 * No cross-talk: what a client gets answers what that very socket asked, and came from the socket
 * of its own flow; every byte is as it was sent; a datagram is forwarded once, to one backend.
 */
import {
  formatPacked,
  inPrefix,
  type PackedAddress,
  samePacked,
} from '../../../core/net/packed-address.ts'
import { type ProxyHeader, proxyHeader, readProxyHeader } from '../../../core/net/proxy-v2.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import type { UdpConfig } from '../../../core/udp/config.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import type { Request } from '../network/servers.ts'
import { markOf } from '../network/wire.ts'
import type { UdpWorld } from '../world.ts'
import type { SentRequest, UdpChecker, UdpStep } from './checker.ts'

interface Route {
  readonly from: PackedAddress
  readonly to: PackedAddress
  readonly claimed: PackedAddress
  readonly contacted: PackedAddress
  readonly proxyProtocol: UdpConfig['proxyProtocol']
  /** Attempts that were told the client already. */
  readonly toldOn: Set<number>
}

/** Of one client socket and one local address: datagrams that may still be forwarded. */
type Waiting = {
  readonly bytes: Uint8Array
  readonly announced: PackedAddress | undefined
  forwarded: boolean
}[]

type ClientStep = Extract<UdpStep['event'], { type: 'client-datagram' }>

export class Routes implements UdpChecker {
  #routes = new Map<FlowId, Route>()
  #waiting = new Map<string, Waiting>()

  onLife(): void {
    this.#routes = new Map()
    this.#waiting = new Map()
  }

  onStep(step: UdpStep, world: UdpWorld): void {
    const { event } = step
    const seen = event.type === 'client-datagram' ? see(event, world.inForce) : undefined
    if (event.type === 'client-datagram' && seen !== undefined) {
      const waiting = this.#waitingOf(event.from, event.to)
      const announced = seen.announced?.source
      waiting.push({ bytes: seen.payload, announced, forwarded: false })
      if (waiting.length > WAITING_MAX) waiting.shift()
    }
    let answers = 0
    let floor = 0
    for (const command of step.commands) {
      switch (command.type) {
        case 'open-upstream':
          if (!this.#routes.has(command.flow)) this.#open(command.flow, step, seen, world)
          break
        case 'send-upstream':
          floor = this.#forward(command, step, floor, world)
          break
        case 'send-client':
          answers += 1
          this.#answer(command, step, answers, world)
          break
        case 'close-flow': {
          const route = this.#routeOf(command.flow, world)
          if (!samePacked(command.client, route.claimed)) {
            world.fail(NAME, `${command.flow} is closed for another client than it was for`)
          }
          this.#routes.delete(command.flow)
          break
        }
      }
    }
  }

  /** All that reaches a backend on one socket is of one flow, and says so. */
  onRequest({ socket, header, bytes }: Request, world: UdpWorld): void {
    const mark = markOf(bytes)
    if (mark === 'spoilt') world.fail(NAME, `${socket.backend} gets spoilt bytes`)
    if (mark !== undefined && mark.part !== 0) world.fail(NAME, 'a backend gets an answer')
    if (header !== undefined && typeof readProxyHeader(header) !== 'object') {
      world.fail(NAME, `${socket.backend} gets a header nobody can read`)
    }
  }

  onAnswer(
    from: PackedAddress,
    to: PackedAddress,
    _bytes: Uint8Array,
    sent: SentRequest | undefined,
    world: UdpWorld,
  ): void {
    if (sent === undefined) return
    const what = `${formatPacked(to)} gets, from ${formatPacked(from)}, the answer to request`
    if (!samePacked(sent.from, to)) {
      world.fail(NAME, `${what} ${sent.number} of ${formatPacked(sent.from)}`)
    }
    if (!samePacked(sent.to, from)) {
      world.fail(NAME, `${what} ${sent.number} to ${formatPacked(sent.to)}`)
    }
  }

  #open(flow: FlowId, { event }: UdpStep, seen: Seen | undefined, world: UdpWorld): void {
    if (event.type !== 'client-datagram' || seen === undefined) {
      world.fail(NAME, `${flow} is opened on ${event.type}`)
    }
    this.#routes.set(flow, {
      from: event.from,
      to: event.to,
      claimed: seen.announced?.source ?? event.from,
      contacted: seen.announced?.destination ?? event.to,
      proxyProtocol: world.inForce.proxyProtocol,
      toldOn: new Set(),
    })
  }

  /** Forwarded in the order in which they came, each once. Where the next search begins. */
  #forward(
    command: Extract<FlowCommand, { type: 'send-upstream' }>,
    { event }: UdpStep,
    floor: number,
    world: UdpWorld,
  ): number {
    const { flow, attempt, payload, header } = command
    const route = this.#routeOf(flow, world)
    const waiting = this.#waitingOf(route.from, route.to)
    if (event.type === 'client-datagram') {
      const isOwn = samePacked(event.from, route.from) && samePacked(event.to, route.to)
      if (!isOwn) world.fail(NAME, `${flow} forwards what came from ${formatPacked(event.from)}`)
    }
    // What was held comes in its order, where all are different; what goes at once just came.
    const { doubled } = world.options.faults.link
    const held = doubled.times > 0 ? 0 : floor
    const first = event.type === 'client-datagram' ? waiting.length - 1 : held
    const at = waiting.findIndex(
      ({ bytes, announced, forwarded }, place) =>
        place >= first &&
        !forwarded &&
        sameBytes(bytes, payload) &&
        (announced === undefined || samePacked(announced, route.claimed)),
    )
    const found = waiting[at]
    if (found === undefined) {
      world.fail(NAME, `${flow} forwards ${payload.length} bytes that its client did not send`)
    }
    found.forwarded = true
    const tells =
      route.proxyProtocol === 'every' ||
      (route.proxyProtocol === 'first' && !route.toldOn.has(attempt))
    route.toldOn.add(attempt)
    const expected = tells ? proxyHeader(route.claimed, route.contacted, 'dgram') : undefined
    if (!sameBytes(header ?? NO_BYTES, expected ?? NO_BYTES)) {
      world.fail(NAME, `${flow} tells its backend another client, or tells it at the wrong time`)
    }
    return at + 1
  }

  #answer(
    { flow, from, to, payload }: Extract<FlowCommand, { type: 'send-client' }>,
    { event }: UdpStep,
    answers: number,
    world: UdpWorld,
  ): void {
    const route = this.#routeOf(flow, world)
    if (event.type !== 'upstream-datagram' || answers > 1) {
      world.fail(NAME, `${formatPacked(to)} is sent something no backend said`)
    }
    if (event.flow !== flow || !sameBytes(event.payload, payload)) {
      world.fail(NAME, `${formatPacked(to)} is sent what was said on another flow`)
    }
    if (!samePacked(to, route.from) || !samePacked(from, route.to)) {
      world.fail(NAME, `${flow} answers ${formatPacked(to)} from ${formatPacked(from)}`)
    }
  }

  #routeOf(flow: FlowId, world: UdpWorld): Route {
    return this.#routes.get(flow) ?? world.fail(NAME, `${flow} is no flow, or no more`)
  }

  #waitingOf(from: PackedAddress, to: PackedAddress): Waiting {
    const name = `${formatPacked(from)} ${formatPacked(to)}`
    const waiting = this.#waiting.get(name) ?? []
    this.#waiting.set(name, waiting)
    return waiting
  }
}

interface Seen {
  readonly payload: Uint8Array
  readonly announced: ProxyHeader['announced']
}

/** What there is to forward in a datagram; undefined when its header is not to be believed. */
function see({ from, payload }: ClientStep, config: UdpConfig): Seen | undefined {
  const header = isTrusted(from, config) ? readProxyHeader(payload) : 'none'
  if (header === 'none') return { payload, announced: undefined }
  if (header === 'malformed' || header.transport === 'stream') return undefined
  return { payload: payload.subarray(header.length), announced: header.announced }
}

const isTrusted = (from: PackedAddress, { trustedProxies }: UdpConfig): boolean =>
  trustedProxies.some((prefix) => inPrefix(prefix, from))

const sameBytes = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at])

const NAME = 'udp routes'
const NO_BYTES = new Uint8Array(0)
/** More than arrive while any flow holds some. */
const WAITING_MAX = 2_048
