/**
 * The ports that replicas of this node listen on: each endpoint of each replica gets one of its
 * own, from a range outside the kernel's ephemeral one, and a port that was given back rests
 * before it is given again, so that a late connection never reaches the next program.
 */
import { assert, type Instant } from '../../machine.ts'

export interface PortRange {
  /** Both inclusive. */
  readonly from: number
  readonly to: number
}

export interface ReplicaPortsSnapshot {
  readonly cursor: number
  readonly leased: readonly (readonly [port: number, owner: string])[]
  readonly resting: readonly (readonly [port: number, remainsMs: number])[]
}

export class ReplicaPorts {
  readonly range: PortRange
  /** Port to its owner, in the order of leasing. */
  readonly leased = new Map<number, string>()
  /** Port to the end of its rest, earliest first: every rest is equally long. */
  readonly #resting = new Map<number, Instant>()
  #cursor: number

  /** The seed spreads nodes of one machine over the range, so that they seldom ask for one port. */
  constructor(range: PortRange, seed: number) {
    assert(range.from <= range.to, `port range ${range.from}-${range.to} is empty`)
    this.range = range
    this.#cursor = range.from + ((seed >>> 0) % (range.to - range.from + 1))
  }

  /**
   * Leases the next free port to `owner`; undefined when every port is leased, resting or
   * `taken` by a listener. Amortised O(1): the cursor goes round.
   */
  lease(owner: string, taken: (port: number) => boolean, now: Instant): number | undefined {
    this.#wake(now)
    const size = this.range.to - this.range.from + 1
    for (let tried = 0; tried < size; tried++) {
      const port = this.#cursor
      this.#cursor = port === this.range.to ? this.range.from : port + 1
      if (this.leased.has(port) || this.#resting.has(port) || taken(port)) continue
      this.leased.set(port, owner)
      return port
    }
    return undefined
  }

  /** Gives a port back; it rests for {@link PORT_REST_MS} from now. */
  release(port: number, now: Instant): void {
    assert(this.leased.delete(port), `port ${port} was not leased`)
    this.#resting.delete(port)
    this.#resting.set(port, now + PORT_REST_MS)
  }

  snapshot(now: Instant): ReplicaPortsSnapshot {
    this.#wake(now)
    return {
      cursor: this.#cursor,
      leased: [...this.leased],
      resting: [...this.#resting].map(([port, until]) => [port, until - now]),
    }
  }

  restore(snapshot: ReplicaPortsSnapshot, now: Instant): void {
    this.#cursor = snapshot.cursor
    for (const [port, owner] of snapshot.leased) this.leased.set(port, owner)
    for (const [port, remainsMs] of snapshot.resting) this.#resting.set(port, now + remainsMs)
  }

  #wake(now: Instant): void {
    for (const [port, until] of this.#resting) {
      if (until > now) return
      this.#resting.delete(port)
    }
  }
}

/** As long as Linux keeps a connection in TIME_WAIT. */
export const PORT_REST_MS = 60_000
export const REPLICA_PORTS: PortRange = { from: 20_000, to: 29_999 }
