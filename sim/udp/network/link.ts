/** What happens to datagrams on their way: lost, one by one and in bursts, doubled, reordered. */
import type { Instant } from '../../../core/machine.ts'
import type { UdpWorld } from '../world.ts'

export class Link {
  readonly #world: UdpWorld
  #brokenUntil: Instant = 0

  constructor(world: UdpWorld) {
    this.#world = world
  }

  /** Runs `arrive` when a datagram arrives: once, twice or never. */
  carry(arrive: () => void): void {
    const world = this.#world
    const { lost, breaks, breaksMsMax, doubled, latencyMsMax } = world.options.faults.link
    const draw = world.draws.faults
    if (world.happens(breaks)) this.#brokenUntil = world.now + draw.between(1, breaksMsMax)
    if (!world.healed && (world.now < this.#brokenUntil || world.happens(lost))) return
    const latency = (): number => (world.healed ? 1 : draw.between(0, latencyMsMax))
    world.at(latency(), arrive)
    if (world.happens(doubled)) world.at(latency(), arrive)
  }
}
