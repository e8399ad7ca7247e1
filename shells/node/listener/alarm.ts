/** Wakes a machine at its deadline. One that rings early only causes a tick that does nothing. */
export class Alarm {
  readonly #ring: () => void
  #timer: NodeJS.Timeout | undefined
  #at = Number.POSITIVE_INFINITY

  constructor(ring: () => void) {
    this.#ring = ring
  }

  /** Rings then, or earlier; `at` on the clock of `performance.now`. */
  set(at: number | undefined): void {
    if (at === undefined || this.#at <= at) return
    clearTimeout(this.#timer)
    this.#at = at
    const delayMs = Math.min(Math.max(0, Math.ceil(at - performance.now())), TIMER_MS_MAX)
    // Sockets keep the process alive, a timer alone has nothing to do.
    this.#timer = setTimeout(() => {
      this.#at = Number.POSITIVE_INFINITY
      this.#ring()
    }, delayMs).unref()
  }

  /** Never rings again, unless it is set. */
  clear(): void {
    clearTimeout(this.#timer)
    this.#at = Number.POSITIVE_INFINITY
  }
}

/** What `setTimeout` takes. */
const TIMER_MS_MAX = 2 ** 31 - 1
