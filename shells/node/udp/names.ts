/** The addresses of backends that are known by name: one look-up for all who ask at once. */

type Found<Answer> = (answer: Answer, now: number) => void

export class Names<Answer> {
  readonly #ask: (host: string) => void
  /** Names asked for; who waits no longer is not in there. */
  readonly #waiting = new Map<string, Set<Waiter<Answer>>>()
  readonly #known = new Map<string, Known<Answer>>()

  /** `ask` is answered by {@link resolved}, some time. */
  constructor(ask: (host: string) => void) {
    this.#ask = ask
  }

  /**
   * Calls back at once for a name just looked up, else when it was, unless what this returns is
   * called before.
   */
  lookUp(host: string, now: number, then: Found<Answer>): (() => void) | undefined {
    const known = this.#known.get(host)
    if (known !== undefined && now - known.at < FRESH_MS) {
      then(known.answer, now)
      return undefined
    }
    const waiter = { then }
    const waiting = this.#waiting.get(host)
    if (waiting !== undefined) {
      waiting.add(waiter)
      return () => void waiting.delete(waiter)
    }
    const first = new Set([waiter])
    this.#waiting.set(host, first)
    this.#ask(host)
    return () => void first.delete(waiter)
  }

  /** How many wait, for all names together. */
  get waiting(): number {
    let count = 0
    for (const waiting of this.#waiting.values()) count += waiting.size
    return count
  }

  resolved(host: string, answer: Answer, now: number): void {
    const waiting = this.#waiting.get(host)
    this.#waiting.delete(host)
    for (const [name, { at }] of this.#known) if (now - at >= FRESH_MS) this.#known.delete(name)
    this.#known.set(host, { answer, at: now })
    if (waiting === undefined) return
    // One that is answered may end others, which are not answered then.
    for (const { then } of waiting) then(answer, now)
  }
}

interface Waiter<Answer> {
  readonly then: Found<Answer>
}

interface Known<Answer> {
  readonly answer: Answer
  readonly at: number
}

/** One look-up for the flows of a moment; longer would be a cache, which the system may have. */
const FRESH_MS = 1_000
