/** People who use what the node serves: connections that arrive at whatever door is open. */
import type { ClientPlan } from '../faults/streams.ts'
import type { World } from '../world.ts'

export interface ClientOptions {
  /** Mean time between two arrivals; 0: nobody comes. */
  readonly everyMs: number
  /** A program thinks at most so long. */
  readonly thinkMsMax: number
  /** Of a hundred clients, so many ask for something that takes a hundred times as long. */
  readonly patientPercent: number
  readonly bytesMax: number
  /** Of a hundred clients, so many leave before they have their answer. */
  readonly hastyPercent: number
  /** Live connections at one time; nobody comes beyond. */
  readonly liveMax: number
}

export class Clients {
  private readonly world: World
  private readonly options: ClientOptions
  private count = 0

  constructor(world: World, options: ClientOptions) {
    this.world = world
    this.options = options
  }

  begin(): void {
    if (this.options.everyMs > 0) this.expectNext()
  }

  private expectNext(): void {
    const { everyMs } = this.options
    this.world.at(this.world.draws.clients.between(1, 2 * everyMs), () => {
      if (this.world.healed) return
      if (this.world.draws.clients.below(4) > 0) this.arrive()
      else this.send()
      this.expectNext()
    })
  }

  /** One client at a door that is open, if there is any. */
  arrive(thinkMs?: number): void {
    const { world } = this
    if (world.life === 'down') return
    const open = [...world.listeners.doors.values()].filter((door) => door.listening)
    const served = open.filter((door) => door.inForce.size > 0)
    // Most go where they are served; the others find out that they are not.
    const doors = world.draws.clients.below(8) > 0 ? served : open
    if (doors.length === 0) return
    const door = world.draws.clients.pick(doors)
    if (door.streams.live.size >= this.options.liveMax) return
    this.count += 1
    const client = this.count
    const drawn = this.drawPlan()
    const plan = thinkMs === undefined ? drawn : { ...drawn, thinkMs, leavesAfterMs: undefined }
    // Through the node's own queue: a paused node accepts nobody until it wakes. By then the socket
    // may be closed, and the client is one that the kernel had taken in before.
    world.inNode(world.draws.clients.below(2), () => {
      if (world.listeners.doors.has(door.id)) door.streams.arrive(door, client, plan)
    })
  }

  /** One client at a UDP door, if there is any; some come back. */
  private send(): void {
    const { world } = this
    if (world.life === 'down') return
    const open = [...world.listeners.datagrams.doors.values()].filter((door) => door.listening)
    if (open.length === 0) return
    const { clients: draw } = world.draws
    const door = draw.pick(open)
    const client = draw.below(3) === 0 ? draw.below(this.count + 1) : ++this.count
    const requests = draw.between(1, 3)
    world.inNode(draw.below(2), () => world.listeners.datagrams.arrive(door, client, requests))
  }

  private drawPlan(): ClientPlan {
    const { options } = this
    const draw = this.world.draws.clients
    const patient = draw.below(100) < options.patientPercent
    const thinkMs = draw.below(options.thinkMsMax + 1) * (patient ? 100 : 1)
    return {
      requestBytes: draw.between(1, options.bytesMax),
      responseBytes: draw.between(1, options.bytesMax),
      thinkMs,
      halfCloses: draw.below(2) === 0,
      leavesAfterMs:
        draw.below(100) < options.hastyPercent ? draw.between(1, thinkMs + 10) : undefined,
    }
  }
}
