/**
 * Sockets that are not read because the other side takes no more. libuv polls nothing of one that has
 * nothing to send either, and nobody hears that it was reset: that is looked for, now and then.
 */
import type { Socket } from 'node:net'
import { isGone } from './release-socket.ts'

export class PausedSockets {
  /** What to do when its peer is gone. */
  readonly #paused = new Map<Socket, () => void>()
  /** Of a look that is under way: still to be looked at. */
  #left: Socket[] = []
  #timer: NodeJS.Timeout | undefined

  /** `gone` is called once, or never, unless it is added again. */
  add(socket: Socket, gone: () => void): void {
    this.#paused.set(socket, gone)
    this.#timer ??= this.#lookIn(LOOK_EVERY_MS)
  }

  delete(socket: Socket): void {
    this.#paused.delete(socket)
  }

  clear(): void {
    this.#paused.clear()
    this.#left = []
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  #look(): void {
    if (this.#left.length === 0) this.#left = [...this.#paused.keys()]
    for (const socket of this.#left.splice(-LOOKS_MAX)) {
      const gone = this.#paused.get(socket)
      if (gone === undefined || !isGone(socket)) continue
      this.#paused.delete(socket)
      gone()
    }
    if (this.#left.length > 0) this.#timer = this.#lookIn(GO_ON_AFTER_MS)
    else this.#timer = this.#paused.size > 0 ? this.#lookIn(LOOK_EVERY_MS) : undefined
  }

  #lookIn(ms: number): NodeJS.Timeout {
    // Sockets keep the process alive, a timer alone has nothing to do.
    return setTimeout(() => this.#look(), ms).unref()
  }
}

const LOOK_EVERY_MS = 2_000
/** In one go, about 2 ms: so that thousands of stalled connections hold up nobody else. */
const LOOKS_MAX = 1_024
const GO_ON_AFTER_MS = 1
