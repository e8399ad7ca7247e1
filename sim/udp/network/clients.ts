/** People who ask: clients in bursts, through proxies, from addresses that move, or that are lies. */
import { formatPacked, type PackedAddress } from '../../../core/net/packed-address.ts'
import { proxyHeader } from '../../../core/net/proxy-v2.ts'
import type { SentRequest } from '../checkers/checker.ts'
import type { UdpClientOptions } from '../swarm.ts'
import type { UdpWorld } from '../world.ts'
import { clientAt, LOCALS, proxyAt, spoofedAt } from './places.ts'
import { MARKED_BYTES, markOf, requestBytes } from './wire.ts'

export class UdpClients {
  /** Every request that bears a number. */
  readonly sent = new Map<number, SentRequest>()
  /** Where each client's socket is seen from: a NAT can change that. */
  readonly addresses: PackedAddress[] = []
  /** After the heal: who still waits for an answer. */
  readonly unanswered = new Set<string>()
  readonly #world: UdpWorld
  readonly #options: UdpClientOptions
  #number = 0
  #spoofed = 0

  constructor(world: UdpWorld) {
    this.#world = world
    this.#options = world.options.clients
    for (let host = 0; host < this.#options.hosts; host++) {
      for (let port = 0; port < this.#options.ports; port++) {
        this.addresses.push(clientAt(host, port))
      }
    }
  }

  begin(): void {
    const world = this.#world
    world.at(world.draws.clients.between(1, 2 * this.#options.everyMs), () => {
      if (world.healed) return
      this.#burst()
      this.begin()
    })
  }

  /** A NAT forgets: two clients change their addresses, or one comes from a new port. */
  rebind(): void {
    const draw = this.#world.draws.acts
    const one = draw.below(this.addresses.length)
    const other = draw.below(this.addresses.length)
    const moved = this.addresses[one]!
    this.addresses[one] =
      one === other ? { ...moved, port: 10_000 + draw.below(1_000) } : this.addresses[other]!
    this.addresses[other] = one === other ? this.addresses[one]! : moved
  }

  flood(count: number): void {
    for (let each = 0; each < count; each++) {
      this.#send(spoofedAt(this.#spoofed++), LOCALS[0]!, undefined, 12)
    }
  }

  /** Every client asks, again and again, until it has an answer. */
  askUntilAnswered(): void {
    for (const from of this.addresses) {
      const name = formatPacked(from)
      this.unanswered.add(name)
      const ask = (): void => {
        if (!this.unanswered.has(name)) return
        this.#send(from, LOCALS[0]!, undefined, 20)
        this.#world.at(ASKS_EVERY_MS, ask)
      }
      ask()
    }
  }

  /** What the listening socket sent. */
  receive(from: PackedAddress, to: PackedAddress, bytes: Uint8Array): void {
    const world: UdpWorld = this.#world
    const mark = markOf(bytes)
    if (mark === 'spoilt') world.fail('udp routes', `${formatPacked(to)} gets spoilt bytes`)
    const sent = mark === undefined ? undefined : this.sent.get(mark.number)
    for (const checker of world.checkers) checker.onAnswer?.(from, to, bytes, sent, world)
    world.link.carry(() => this.unanswered.delete(formatPacked(to)))
  }

  #burst(): void {
    const { addresses } = this
    const { burstMax, proxiedPercent, locals } = this.#options
    const draw = this.#world.draws.clients
    const client = draw.pick(addresses)
    const isProxied = draw.below(100) < proxiedPercent
    const to = LOCALS[draw.below(locals)]!
    for (let left = draw.between(1, burstMax); left > 0; left--) {
      if (isProxied) this.#sendProxied(client, to)
      else this.#send(client, to, undefined, this.#length())
    }
  }

  /** Most clients have a socket of the proxy to themselves; now and then it is given to another. */
  #sendProxied(client: PackedAddress, to: PackedAddress): void {
    const draw = this.#world.draws.clients
    const number = draw.below(8) === 0 ? draw.below(8) : client.port % 8
    // Some proxies write the header in front of every datagram, others now and then.
    const announced = draw.below(4) === 0 ? undefined : client
    this.#send(proxyAt(number), to, announced, this.#length())
  }

  #length(): number {
    const { emptyPercent, oversizePercent, bytesMax } = this.#options
    const draw = this.#world.draws.clients
    const percent = draw.below(100)
    if (percent < emptyPercent) return 0
    if (percent < emptyPercent + oversizePercent) {
      // as long as it may be, or longer
      return Math.min(this.#world.config.datagramBytesMax, 2_000) + draw.below(40)
    }
    return draw.below(8) === 0
      ? draw.between(1, MARKED_BYTES)
      : draw.between(MARKED_BYTES, bytesMax)
  }

  #send(
    from: PackedAddress,
    to: PackedAddress,
    announced: PackedAddress | undefined,
    length: number,
  ): void {
    const world = this.#world
    const draw = world.draws.clients
    this.#number += 1
    const number = this.#number
    const request = requestBytes(number, length)
    this.sent.set(number, { number, from, to, announced })
    let payload = request
    if (announced !== undefined) {
      // what the client contacted is the proxy's address, not ours
      const header = proxyHeader(announced, { ...to, port: 443 }, 'dgram')
      if (draw.below(100) < this.#options.malformedPercent) {
        if (draw.below(4) === 0)
          header[13]! ^= 0b11 // a stream's
        else header[12 + draw.below(4)] = 0x77
      }
      payload = Uint8Array.from([...header, ...request])
    }
    world.link.carry(() => {
      if (world.listening) world.tell({ type: 'client-datagram', from, to, payload })
    })
  }
}

const ASKS_EVERY_MS = 1_000
