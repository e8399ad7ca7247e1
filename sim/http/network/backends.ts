/** The hosts that backends are on, and the connections of the process to them. */
import type { BackendId } from '../../../core/balance/group.ts'
import type { UpstreamId } from '../../../core/http/events.ts'
import type { Instant } from '../../../core/machine.ts'
import type { HttpWorld } from '../world.ts'
import { H1Server } from './h1-server.ts'
import type { Manners } from './peer.ts'
import { StreamServer } from './stream-server.ts'
import type { ConnectCommand, UpstreamPeer } from './upstream-peer.ts'

type Mood = 'up' | 'refuses' | 'hangs'

export class Backends {
  /** That the process did not let go of. */
  readonly live = new Map<UpstreamId, UpstreamPeer>()
  readonly moods = new Map<BackendId, Mood>()
  readonly #world: HttpWorld
  /** How long the one that was given up last had been connecting. */
  abandonedAfterMs = 0
  /** When one was begun, given up or refused last. */
  triedAt: Instant = 0
  #lastId = 0

  constructor(world: HttpWorld) {
    this.#world = world
  }

  connect(command: ConnectCommand): void {
    const world = this.#world
    const { upstream: id, protocol } = command
    if (id <= this.#lastId) world.fail('http handles', `upstream ${id} is used again`)
    this.#lastId = id
    this.triedAt = world.machineNow()
    const upstream =
      protocol === 'h2c'
        ? new StreamServer(command, this.#drawManners(), world)
        : new H1Server(command, this.#drawManners(), world)
    this.live.set(id, upstream)
    const { faults } = world.options
    const draw = world.draws.faults
    const mood = world.healed ? 'up' : (this.moods.get(command.backend) ?? 'up')
    if (mood === 'hangs' || world.happens(faults.connectHangs)) return
    const isRefused = mood === 'refuses' || world.happens(faults.connectRefused)
    const lacks = world.happens(faults.connectLacks)
    const lateMs = world.happens(faults.connectLate) ? draw.between(1, faults.lateMsMax) : 0
    world.inProcess(world.latency() + lateMs, () => {
      if (lacks) upstream.failed('host', 'too many open files')
      else if (isRefused) upstream.failed('backend', 'connection refused')
      else upstream.connected()
    })
  }

  of(id: UpstreamId): UpstreamPeer {
    const upstream = this.live.get(id)
    if (upstream === undefined) this.#world.fail('http handles', `upstream ${id} is not there`)
    return upstream
  }

  stream(id: UpstreamId): StreamServer {
    const upstream = this.of(id)
    if (upstream instanceof StreamServer) return upstream
    return this.#world.fail('http handles', `upstream ${id} is no stream`)
  }

  close(id: UpstreamId, isReset: boolean): void {
    const upstream = this.of(id)
    this.live.delete(id)
    if (upstream.state === 'connecting') {
      this.triedAt = this.#world.machineNow()
      this.abandonedAfterMs = this.triedAt - upstream.openedAt
    }
    upstream.released(isReset)
  }

  /** It is none any more, and the process is about to be told. */
  failed(upstream: UpstreamPeer): void {
    this.triedAt = this.#world.machineNow()
    this.live.delete(upstream.id)
    upstream.isHeld = false
  }

  /** Its host dies, hangs or is well again. */
  become(backend: BackendId, mood: Mood): void {
    this.moods.set(backend, mood)
    if (mood !== 'refuses') return
    for (const upstream of this.live.values()) {
      if (upstream.place.backend === backend && upstream.state === 'open') upstream.reset()
    }
  }

  #drawManners(): Manners {
    const { draws, options } = this.#world
    const { pieceMax, dripsPercent, stallsPercent, slowMsMax } = options.backends
    const percent = (of: number): boolean => draws.backends.below(100) < of
    return {
      pieceMax,
      dripMs: percent(dripsPercent) ? slowMsMax : 0,
      stallMs: percent(stallsPercent) ? slowMsMax : 0,
    }
  }
}
