/** The backends: programs that answer, or do not, and the set that the table is given of them. */
import type { Backend, BackendId } from '../../../core/balance/group.ts'
import type { UdpWorld } from '../world.ts'
import { BACKEND_IDS } from './places.ts'
import type { UpstreamSocket } from './sockets.ts'
import { answerBytes, markOf } from './wire.ts'

/** How a program behaves. */
export interface Manner {
  /** Answers to each request; 0 is silent. */
  answers: number
  delayMsMax: number
  /** Says something nobody asked for, after an answer. */
  chatty: boolean
  /** Nothing listens on the port. */
  dead: boolean
}

export interface Request {
  readonly socket: UpstreamSocket
  readonly header: Uint8Array | undefined
  readonly bytes: Uint8Array
}

export class Servers {
  /** The set as it was sent last; what the table has of it is for checkers. */
  set: readonly Backend[]
  readonly manners: ReadonlyMap<BackendId, Manner>
  readonly #world: UdpWorld
  #answers = 0

  constructor(world: UdpWorld) {
    this.#world = world
    this.manners = new Map(BACKEND_IDS.map((id) => [id, politely()]))
    this.set = []
  }

  /** What a new table is given. */
  begin(): void {
    const { healed, draws } = this.#world
    const count = healed ? BACKEND_IDS.length : draws.acts.between(1, BACKEND_IDS.length)
    this.set = BACKEND_IDS.slice(0, count).map(backendOf)
    this.tellSet()
  }

  tellSet(): void {
    this.#world.version += 1
    const { version } = this.#world
    this.#world.tell({ type: 'apply-backends', version, backends: this.set })
  }

  /** Everybody is there, up and well. */
  heal(): void {
    for (const manner of this.manners.values()) Object.assign(manner, politely())
    this.set = BACKEND_IDS.map(backendOf)
    this.tellSet()
  }

  receive(request: Request): void {
    const world = this.#world
    const { socket } = request
    const manner = this.manners.get(socket.backend)
    if (manner === undefined || manner.dead) {
      // ICMP is lost like anything else
      return world.link.carry(() => world.sockets.unreachable(socket))
    }
    for (const checker of world.checkers) checker.onRequest?.(request, world)
    const draw = world.draws.clients
    for (let part = 1; part <= manner.answers; part++) {
      world.at(draw.below(manner.delayMsMax + 1), () => this.#answer(request, part))
    }
    if (manner.chatty) world.at(draw.below(2_000), () => this.#answer(request, 200))
  }

  #answer({ socket, bytes }: Request, part: number): void {
    const world = this.#world
    const mark = markOf(bytes)
    const { datagramBytesMax } = world.config
    this.#answers += 1
    const isOversize = !world.healed && this.#answers % 37 === 0 && datagramBytesMax < 60_000
    const length = isOversize ? datagramBytesMax + 1 : this.#answers % 41 === 0 ? 0 : bytes.length
    const answer =
      typeof mark === 'object'
        ? answerBytes(mark.number, part, length)
        : new Uint8Array(length).fill(part)
    world.link.carry(() => world.sockets.receive(socket, answer))
  }
}

const politely = (): Manner => ({ answers: 1, delayMsMax: 2, chatty: false, dead: false })

const backendOf = (id: BackendId): Backend => ({
  id,
  host: `10.9.0.${1 + BACKEND_IDS.indexOf(id)}`,
  port: 5_300,
})
