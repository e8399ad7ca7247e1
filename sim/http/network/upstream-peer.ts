/** A backend at the other end of a connection, or of one stream of HTTP/2. */
import type { UpstreamCommand } from '../../../core/http/commands.ts'
import type { UpstreamId } from '../../../core/http/events.ts'
import type { Instant } from '../../../core/machine.ts'
import type { Attempt } from '../truth.ts'
import { type AnswerPlan, drawAnswer } from '../wire/answers.ts'
import type { HttpWorld } from '../world.ts'
import { type Manners, Peer } from './peer.ts'

export type ConnectCommand = Extract<UpstreamCommand, { type: 'connect' }>

export abstract class UpstreamPeer extends Peer {
  readonly id: UpstreamId
  readonly place: ConnectCommand
  readonly attempts: Attempt[] = []
  readonly openedAt: Instant
  state: 'connecting' | 'open' | 'failed' = 'connecting'
  /** The process was told that it is broken, or says no more. */
  toldBroken = false
  toldEnded = false
  wasEnded = false
  /** When the process was told the end of its last answer, and had written the whole request. */
  idleSince: Instant
  /** The backend does nothing more. */
  isDead = false
  /** What was planned to be said so far, in bytes. */
  protected planned = 0
  #isFinished = false

  constructor(place: ConnectCommand, manners: Manners, world: HttpWorld) {
    super(world, manners, true)
    this.id = place.upstream
    this.place = place
    this.openedAt = world.machineNow()
    this.idleSince = this.openedAt
  }

  get current(): Attempt | undefined {
    return this.attempts.at(-1)
  }

  /** Somebody's exchange is on it, or it is being made for one. */
  get isUsed(): boolean {
    const { current } = this
    return current === undefined || (current.request.record === undefined && !isOver(current))
  }

  connected(): void {
    if (!this.isHeld) return
    this.state = 'open'
    this.world.tell({ type: 'upstream-connected', upstream: this.id })
  }

  failed(blame: 'backend' | 'host', reason: string): void {
    if (!this.isHeld) return
    this.state = 'failed'
    this.isDead = true
    this.world.backends.failed(this)
    this.world.tell({ type: 'upstream-failed', upstream: this.id, blame, reason })
  }

  /** The process wrote this to it. */
  abstract receive(text: string): void
  /** The process half-closed it. */
  abstract ended(): void

  /** The process let go of it. */
  released(_isReset: boolean): void {
    this.isHeld = false
    this.isDead = true
    this.hush()
  }

  /** Its host is gone, or it has enough. */
  reset(): void {
    if (this.isDead) return
    this.isDead = true
    this.hush()
    this.isSilent = true
    this.world.inProcess(0, () => this.tellBroken())
  }

  protected tellBroken(): void {
    if (!this.isHeld || this.toldBroken) return
    this.toldBroken = true
    this.world.tell({ type: 'upstream-broken', upstream: this.id })
  }

  protected tellEnded(): void {
    if (this.isSilent) return
    this.isSilent = true
    this.toldEnded = true
    this.world.tell({ type: 'upstream-ended', upstream: this.id })
  }

  protected override tellData(bytes: Uint8Array): void {
    this.#noteIdle()
    this.world.tell({ type: 'upstream-data', upstream: this.id, bytes })
  }

  protected override tellBlocked(): void {
    this.world.tell({ type: 'upstream-blocked', upstream: this.id })
  }

  protected override tellWritable(): void {
    this.world.tell({ type: 'upstream-writable', upstream: this.id })
    if (this.wasEnded) this.finish()
  }

  /** Answers `end-upstream`. */
  protected finish(): void {
    if (this.#isFinished || this.isBlocked || this.isBlockedTold) return
    this.#isFinished = true
    this.world.inProcess(this.world.latency(), () => {
      if (this.isHeld) this.world.tell({ type: 'upstream-finished', upstream: this.id })
    })
  }

  /** What it makes of a request: decided when its head arrives. */
  protected decide(attempt: Attempt, upgrade: string, isStream: boolean): AnswerPlan {
    const { world } = this
    const { plan } = attempt.request
    const { requestsMax } = world.options.backends
    const isLast = requestsMax > 0 && this.attempts.length >= requestsMax
    const asked = {
      number: plan.number,
      attempt: attempt.request.attempts.indexOf(attempt),
      method: plan.method,
      upgrade,
      isStream,
    }
    const drawn = drawAnswer(asked, world.backendOptions(), isLast, world.draws.backends)
    attempt.plan = drawn
    return drawn
  }

  #noteIdle(): void {
    const { current } = this
    if (current?.plan === undefined) return
    const endsAt = current.answerFrom + current.plan.text.length
    if (this.told >= endsAt) this.idleSince = this.world.machineNow()
  }
}

/** Asked wholly and answered wholly, as its client has it. */
const isOver = ({ request, isWhole, plan }: Attempt): boolean =>
  request.answer?.isWhole === true && isWhole && plan?.becomesTunnel !== true
