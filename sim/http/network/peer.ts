/**
 * One socket of the process, or one stream, and whoever is at its other end: what that end says, in
 * pieces and with pauses, and how fast it takes what it is told. The ingress sees it only through
 * the events and commands of its contract, which a subclass knows by their names.
 */

import type { Instant } from '../../../core/machine.ts'
import { toBytes } from '../wire/content.ts'
import type { HttpWorld } from '../world.ts'

/** What it does next: say something, wait, or do something else. */
export type Line =
  | { readonly type: 'say'; readonly text: string }
  | { readonly type: 'wait'; readonly ms: number }
  | { readonly type: 'do'; readonly run: () => void }

export interface Manners {
  /** Bytes in one read, at most. */
  readonly pieceMax: number
  /** Between two pieces; 0: none. */
  readonly dripMs: number
  /** Until it takes what was written to it. */
  readonly stallMs: number
}

export abstract class Peer {
  readonly world: HttpWorld
  readonly manners: Manners
  /** The process has not let go of it. */
  isHeld = true
  /** The process reads from it. */
  isRead: boolean
  isPaused = false
  /** It said its last: an end, a reset. */
  isSilent = false
  isBlocked = false
  /** The process knows. */
  isBlockedTold = false
  blockedAt: Instant = 0
  /** Bytes that the process was told. */
  told = 0
  /** Of them, those that came last. */
  lastRead = 0
  /** Bytes that it said and the process was not told yet. */
  #script: Line[] = []
  #isBusy = false
  #untaken = 0
  #takes = false
  #pressedBytes = 0
  readonly #heard: (() => void)[] = []

  constructor(world: HttpWorld, manners: Manners, isRead: boolean) {
    this.world = world
    this.manners = manners
    this.isRead = isRead
  }

  protected abstract tellData(bytes: Uint8Array): void
  protected abstract tellBlocked(): void
  protected abstract tellWritable(): void

  /** Everything that was to be said is said. */
  get hasSaidAll(): boolean {
    return this.#script.length === 0
  }

  say(...lines: readonly Line[]): void {
    this.#script.push(...lines)
    this.goOn()
  }

  /** Forgets what it was going to say. */
  hush(): void {
    this.#script = []
  }

  read(): void {
    this.isRead = true
    this.goOn()
  }

  pause(isPaused: boolean): void {
    this.isPaused = isPaused
    if (!isPaused) this.goOn()
  }

  /** The process wrote `length` bytes to it. */
  written(length: number): void {
    if (length === 0) return
    if (this.isBlockedTold) this.#pressed(length)
    this.#untaken += length
    const { world } = this
    const stallMs = world.healed ? 0 : this.manners.stallMs
    if (!this.isBlocked && this.#untaken > world.options.faults.blocksAbove && stallMs > 0) {
      this.isBlocked = true
      world.soon(() => {
        if (!this.isHeld || this.isBlockedTold) return
        this.isBlockedTold = true
        this.blockedAt = world.machineNow()
        this.tellBlocked()
      })
    }
    if (this.#takes) return
    this.#takes = true
    world.at(stallMs > 0 ? world.draws.network.between(1, stallMs) : 0, () => this.#take())
  }

  /** It comes to know of something, after all that it came to know before. */
  hear(run: () => void): void {
    this.#heard.push(run)
    const { world } = this
    world.at(world.latency(), () => this.#heard.shift()?.())
  }

  /** Says the next line, when the process is there to hear it. */
  goOn(): void {
    if (this.#isBusy || !this.#isHeardNow()) return
    const line = this.#script[0]
    if (line === undefined) return
    this.#isBusy = true
    const { world, manners } = this
    const dripMs =
      manners.dripMs > 0 && !world.healed ? world.draws.network.below(manners.dripMs) : 0
    const ms = line.type === 'wait' ? (world.healed ? 0 : line.ms) : dripMs + world.latency()
    world.inProcess(ms, () => {
      this.#isBusy = false
      if (!this.isHeld || this.#script[0] !== line) return this.goOn()
      if (line.type !== 'wait' && !this.#isHeardNow()) return
      this.#script.shift()
      if (line.type === 'say') this.#sayPiece(line.text)
      else if (line.type === 'do') line.run()
      this.goOn()
    })
  }

  #sayPiece(text: string): void {
    if (this.isSilent || text === '') return
    const { pieceMax } = this.manners
    const { draws, healed } = this.world
    const most = healed ? text.length : Math.min(pieceMax, text.length)
    const length = pieceMax >= WHOLE ? most : 1 + draws.network.below(most)
    const piece = text.slice(0, length)
    if (length < text.length) this.#script.unshift({ type: 'say', text: text.slice(length) })
    this.told += length
    this.lastRead = length
    this.tellData(toBytes(piece))
  }

  #isHeardNow(): boolean {
    return this.isHeld && this.isRead && !this.isPaused && !this.isSilent
  }

  #take(): void {
    this.#takes = false
    this.#untaken = 0
    if (!this.isBlocked) return this.taken()
    this.isBlocked = false
    this.world.inProcess(0, () => {
      if (!this.isHeld || this.isBlocked) return
      this.isBlockedTold = false
      this.#pressedBytes = 0
      this.tellWritable()
    })
    this.taken()
  }

  /** Whoever is blocked gets no more, but for what nobody had to send first. */
  #pressed(length: number): void {
    this.#pressedBytes += length
    if (this.#pressedBytes <= PRESSED_MAX) return
    this.world.fail('http buffers', `${this.#pressedBytes} bytes go to who is blocked`)
  }

  /** Everything that was written to it is with it. */
  protected taken(): void {}
}

/** An answer of the ingress's own, and the end of another. */
const PRESSED_MAX = 500
/** No piece is smaller than what there is. */
const WHOLE = 65_536
