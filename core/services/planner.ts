/**
 * The scale planner: from what a service should be and what it is, the next commands. It is level
 * triggered: it looks at the set of slots, never at a script's position, so after any failure
 * planning again from what is observed gets to the same end (services W1-W6, property 2).
 *
 * A service wants the slots 1..N. While replicas of an old revision are replaced, up to
 * `surgeMax` slots above N stand in, and a ready replica is only stopped while enough others
 * remain (services W16, property 7). A slot that failed comes back when its pause is over.
 */
import type { Instant } from '../machine.ts'

/** One slot as it is. */
export interface ObservedSlot {
  readonly number: number
  readonly role: string
  readonly revision: number
  /** `empty`: no replica. `ready` counts for availability, `coming` does not yet. */
  readonly state: 'empty' | 'coming' | 'ready' | 'unhealthy' | 'leaving'
  /** Ready: since when. */
  readonly readyAt: Instant
  /** Empty: not to be started before. */
  readonly startAt: Instant
  /** Taken out for good by `errors.on_panic: isolate`. */
  readonly isolated: boolean
  /** Started above N for an update; an ordinary slot that is not wanted any more is surplus. */
  readonly standsIn: boolean
}

export interface DesiredService {
  /** Role of each slot 1..N, in order. */
  readonly roles: readonly string[]
  readonly revision: number
  readonly surgeMax: number
  readonly unavailableMax: number
  readonly readyMinMs: number
}

export interface Plan {
  readonly start: readonly { readonly number: number; readonly role: string }[]
  readonly stop: readonly { readonly number: number; readonly why: StopReason }[]
  /** Plan again then, if nothing happens before. */
  readonly wakeAt: Instant | undefined
}

export type StopReason = 'surplus' | 'outdated'

/** `slots` ascending by number, each number once. O(slots). */
export function planService(
  desired: DesiredService,
  slots: readonly ObservedSlot[],
  now: Instant,
): Plan {
  const planning = new Planning(desired, now)
  planning.observe(slots)
  planning.dropSurplus()
  planning.replaceOutdated()
  planning.fillHoles()
  return { start: planning.start, stop: planning.stop, wakeAt: planning.wakeAt }
}

class Planning {
  readonly start: { number: number; role: string }[] = []
  readonly stop: { number: number; why: StopReason }[] = []
  wakeAt: Instant | undefined
  readonly #desired: DesiredService
  readonly #now: Instant
  readonly #wanted: number
  /** Slots 1..N, by number minus one. */
  readonly #own: (ObservedSlot | undefined)[]
  readonly #beyond: ObservedSlot[] = []
  readonly #outdated: ObservedSlot[] = []
  /** Replicas that take traffic now and may be counted on. */
  #available = 0
  /** Those of them in the slots 1..N. */
  #ownAvailable = 0

  constructor(desired: DesiredService, now: Instant) {
    this.#desired = desired
    this.#now = now
    this.#wanted = desired.roles.length
    this.#own = new Array<ObservedSlot | undefined>(this.#wanted).fill(undefined)
  }

  observe(slots: readonly ObservedSlot[]): void {
    for (const slot of slots) {
      const own = slot.number <= this.#wanted
      if (own) this.#own[slot.number - 1] = slot
      else this.#beyond.push(slot)
      if (this.#isAvailable(slot)) {
        this.#available += 1
        if (own) this.#ownAvailable += 1
      }
      if (own && isLive(slot) && !this.#isCurrent(slot)) this.#outdated.push(slot)
    }
  }

  /** Slots above N end, highest first; stand-ins stay until all slots below have proved themselves. */
  dropSurplus(): void {
    const updating = this.#outdated.length > 0
    const missing = this.#wanted - this.#ownAvailable
    const standIns = updating ? this.#desired.surgeMax : Math.min(this.#desired.surgeMax, missing)
    for (const slot of this.#beyond.toReversed()) {
      if (!isLive(slot)) continue
      const standsIn = slot.standsIn && slot.number <= this.#wanted + standIns
      if (standsIn && slot.revision === this.#desired.revision) continue
      if (standsIn && slot.state === 'ready' && !this.#canSpare()) continue
      if (this.#isAvailable(slot)) this.#available -= 1
      this.stop.push({ number: slot.number, why: standsIn ? 'outdated' : 'surplus' })
    }
  }

  /** Old replicas go one by one, lowest number first, those that do not serve at once. */
  replaceOutdated(): void {
    for (const slot of this.#outdated) {
      if (slot.state === 'ready' && !this.#canSpare()) continue
      if (slot.state === 'ready') this.#available -= 1
      this.stop.push({ number: slot.number, why: 'outdated' })
    }
    const first = this.#outdated[0]
    if (first === undefined) return
    const ready = this.#outdated.filter((slot) => slot.state === 'ready').length
    for (let extra = 1; extra <= Math.min(this.#desired.surgeMax, ready); extra++) {
      const number = this.#wanted + extra
      const present = this.#beyond.find((slot) => slot.number === number)
      if (present === undefined || (present.state === 'empty' && !present.isolated)) {
        this.#startAt(number, present, this.#roleOf(first))
      }
    }
  }

  fillHoles(): void {
    for (let index = 0; index < this.#wanted; index++) {
      const slot = this.#own[index]
      if (slot !== undefined && (slot.state !== 'empty' || slot.isolated)) continue
      this.#startAt(index + 1, slot, this.#desired.roles[index] ?? '')
    }
  }

  #startAt(number: number, slot: ObservedSlot | undefined, role: string): void {
    if (slot !== undefined && slot.startAt > this.#now) this.#wake(slot.startAt)
    else this.start.push({ number, role })
  }

  /** Would enough replicas remain if one more left? */
  #canSpare(): boolean {
    const { surgeMax, unavailableMax } = this.#desired
    const floor = this.#wanted - (surgeMax === 0 ? Math.max(1, unavailableMax) : unavailableMax)
    return this.#available - 1 >= floor
  }

  /** A new replica counts once it has been ready for `readyMin`; an old one has proved itself. */
  #isAvailable(slot: ObservedSlot): boolean {
    if (slot.state !== 'ready') return false
    if (slot.revision !== this.#desired.revision) return true
    const provenAt = slot.readyAt + this.#desired.readyMinMs
    if (provenAt <= this.#now) return true
    this.#wake(provenAt)
    return false
  }

  #isCurrent(slot: ObservedSlot): boolean {
    return slot.revision === this.#desired.revision && slot.role === this.#roleOf(slot)
  }

  #roleOf(slot: ObservedSlot): string {
    return this.#desired.roles[slot.number - 1] ?? slot.role
  }

  #wake(at: Instant): void {
    this.wakeAt = Math.min(this.wakeAt ?? at, at)
  }
}

const isLive = (slot: ObservedSlot): boolean => slot.state !== 'empty' && slot.state !== 'leaving'
