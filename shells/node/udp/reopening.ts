/** When a listener that broke is opened again: the more often it did lately, the later. */
export class Reopening {
  #breaks = 0
  #brokeAt = Number.NEGATIVE_INFINITY

  /** It broke just now: in how many ms. */
  delayMs(now: number): number {
    this.#breaks = now - this.#brokeAt < CALM_MS ? this.#breaks + 1 : 0
    this.#brokeAt = now
    return Math.min(RETRY_MS * 2 ** this.#breaks, RETRY_MS_MAX)
  }
}

/** Between two tries to bind a port that somebody else took meanwhile. */
export const LISTEN_AGAIN_MS = 1_000

const RETRY_MS = 50
const RETRY_MS_MAX = 5_000
/** Without a break for as long, the next one is the first again. */
const CALM_MS = 60_000
