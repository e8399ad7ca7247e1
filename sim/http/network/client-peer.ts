/** A client: a connection of HTTP/1.1, or one stream of HTTP/2. */
import type { IngressConfig } from '../../../core/http/config.ts'
import type { ClientId, PortId } from '../../../core/http/events.ts'
import type { Instant } from '../../../core/machine.ts'
import type { Peers } from '../../../core/stream/entrance/events.ts'
import type { SimRequest } from '../truth.ts'
import type { RequestPlan } from '../wire/requests.ts'
import type { HttpWorld } from '../world.ts'
import { type Manners, Peer } from './peer.ts'

export interface ClientPlan {
  readonly isStream: boolean
  readonly port: PortId
  readonly peers: Peers
  readonly isSecure: boolean
  readonly manners: Manners
  readonly requests: readonly RequestPlan[]
  readonly isPipelined: boolean
  /** Between an answer and the next request. */
  readonly thinkMs: number
  /** It begins with the preface of HTTP/2. */
  readonly withPreface: boolean
  /** It is reset after so many bytes, or so long. */
  readonly leavesAtByte: number | undefined
  readonly leavesAfterMs: number | undefined
  /** It says its end right after its last request, or never by itself. */
  readonly ends: 'at once' | 'answered' | 'never'
}

export abstract class ClientPeer extends Peer {
  readonly id: ClientId
  readonly plan: ClientPlan
  readonly requests: SimRequest[] = []
  readonly acceptedAt: Instant
  /** When it, or the backend that is with it, did something last, or something was done for it. */
  touchedAt: Instant
  touches = 0
  /** In force when it came. */
  readonly config: IngressConfig
  /** Requests whose final answer was written to its end. */
  answered = 0
  /** The process was told that it is gone, or sends no more. */
  toldGone = false
  toldEnded = false
  /** The process ended its side. */
  wasEnded = false
  wasFinished = false
  /** It became a session, whose streams are clients. */
  isSession = false
  becameTunnel = false

  constructor(id: ClientId, plan: ClientPlan, world: HttpWorld, isRead: boolean) {
    super(world, plan.manners, isRead)
    this.id = id
    this.plan = plan
    this.acceptedAt = world.machineNow()
    this.touchedAt = this.acceptedAt
    this.config = world.operator.config
  }

  /** Begins to speak. */
  abstract begin(): void
  /** The process wrote this to it. */
  abstract receive(text: string): void
  /** The process half-closed it. */
  abstract ended(): void

  /** The end of the connection is the end of the answer. */
  get endsWithClose(): boolean {
    return false
  }

  /** The one that is answered next. */
  get current(): SimRequest | undefined {
    return this.requests[this.answered]
  }

  leave(): void {
    if (!this.isHeld || this.isSilent) return
    this.isSilent = true
    this.hush()
    this.world.inProcess(0, () => {
      if (!this.isHeld) return
      this.toldGone = true
      this.world.tell({ type: 'client-broken', client: this.id })
    })
  }

  protected tellEnded(): void {
    if (this.isSilent) return
    this.isSilent = true
    this.toldEnded = true
    this.world.tell({ type: 'client-ended', client: this.id })
  }

  protected override tellBlocked(): void {
    this.world.tell({ type: 'client-blocked', client: this.id })
  }

  protected override tellWritable(): void {
    this.world.tell({ type: 'client-writable', client: this.id })
    if (this.wasEnded) this.finish()
  }

  /** Answers `end-client`. */
  protected finish(): void {
    if (this.wasFinished || this.isBlocked || this.isBlockedTold) return
    this.wasFinished = true
    this.world.inProcess(this.world.latency(), () => {
      if (this.isHeld) this.world.tell({ type: 'client-finished', client: this.id })
    })
  }

  /** The process let go of it. */
  released(isReset: boolean): void {
    this.isHeld = false
    this.closed(isReset)
  }

  protected abstract closed(isReset: boolean): void
}
