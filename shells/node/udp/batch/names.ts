/** The addresses of backends that are known by name, looked up by the parent. */
import type { ResolvedName } from './messages.ts'

type Found = (answer: ResolvedName, now: number) => void

export class Names {
  readonly #ask: (host: string) => void
  readonly #waiting = new Map<string, Found[]>()
  readonly #known = new Map<string, Known>()

  /** `ask` is answered by {@link resolved}, some time. */
  constructor(ask: (host: string) => void) {
    this.#ask = ask
  }

  /** Calls back at once for a name just looked up, else when it was. */
  lookUp(host: string, now: number, then: Found): void {
    const known = this.#known.get(host)
    if (known !== undefined && now - known.at < FRESH_MS) {
      then(known.answer, now)
      return
    }
    const waiting = this.#waiting.get(host)
    if (waiting !== undefined) {
      waiting.push(then)
      return
    }
    this.#waiting.set(host, [then])
    this.#ask(host)
  }

  resolved(host: string, answer: ResolvedName, now: number): void {
    const waiting = this.#waiting.get(host) ?? []
    this.#waiting.delete(host)
    for (const [name, { at }] of this.#known) if (now - at >= FRESH_MS) this.#known.delete(name)
    this.#known.set(host, { answer, at: now })
    for (const then of waiting) then(answer, now)
  }
}

interface Known {
  readonly answer: ResolvedName
  readonly at: number
}

/** One look-up for the flows of a moment; longer would be a cache, which the system may have. */
const FRESH_MS = 1_000
