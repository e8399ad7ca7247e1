/**
 * Drives one machine: one event after the other, each on record before its commands run, one
 * timer armed at the machine's deadline. No policy and no I/O of its own.
 */
import type { Instant, Machine } from '../../core/machine.ts'

export interface PumpOptions<Event, Command> {
  readonly machine: Machine<Event, Command>
  readonly tick: Event
  /** Runs one command. What it causes comes back through {@link Pump.send}, also at once. */
  readonly apply: (command: Command) => void
  readonly journal: PumpJournal<Event, Command>
  /** Something may have changed; once for any number of events in one turn of the event loop. */
  readonly onChange: () => void
  /** The machine or a command broke its contract. The pump takes nothing more. */
  readonly onFault: (fault: PumpFault<Event>) => void
  readonly clock?: PumpClock
}

export interface PumpJournal<Event, Command> {
  /** Before the events of a turn. */
  ready(now: Instant): void
  record(now: Instant, event: Event, commands: readonly Command[]): void
  fault(now: Instant, event: Event, error: unknown): void
  /** All that was recorded is on disk when this returns. */
  flush(now: Instant): void
}

export interface PumpFault<Event> {
  readonly error: unknown
  /** The event in hand; absent when running a command failed. */
  readonly event?: Event
}

/** A monotonic clock and its timers. */
export interface PumpClock {
  /** Milliseconds, with a fraction. */
  now(): number
  /** Calls back after at least about `ms`, at most {@link TIMER_MS_MAX}; cancel with the answer. */
  after(ms: number, run: () => void): () => void
  /** Calls back when the events at hand are done. */
  soon(run: () => void): void
}

export class Pump<Event, Command> {
  readonly #options: PumpOptions<Event, Command>
  readonly #clock: PumpClock
  #inbox: Event[] = []
  #state: 'idle' | 'busy' | 'yielding' | 'stopped' = 'idle'
  #timer: { readonly at: Instant; readonly cancel: () => void } | undefined
  #changed = false
  #dropped = 0

  constructor(options: PumpOptions<Event, Command>) {
    this.#options = options
    this.#clock = options.clock ?? realClock
  }

  /**
   * Whole milliseconds: snapshots keep what remains of a timer, and only whole numbers are added
   * and subtracted without loss, so that a restored machine ticks at exactly the same instants.
   */
  now(): Instant {
    return Math.floor(this.#clock.now())
  }

  /** Events that came after the end. */
  get dropped(): number {
    return this.#dropped
  }

  /** Takes an event now, or right after the one in hand. Never re-enters the machine. */
  send(event: Event): void {
    if (this.#state === 'stopped') {
      this.#dropped += 1
      return
    }
    this.#inbox.push(event)
    if (this.#state === 'idle') this.#run()
  }

  /** Takes nothing more: no event, no tick. Commands already in hand are still run. */
  stop(): void {
    this.#state = 'stopped'
    this.#dropped += this.#inbox.length
    this.#inbox = []
    this.#disarm()
  }

  #run(): void {
    this.#state = 'busy'
    for (let turn = 0; this.#inbox.length > 0 && this.#state === 'busy'; turn++) {
      if (turn === TURNS_MAX) {
        // Commands that answer at once must not keep sockets and signals waiting for ever.
        this.#state = 'yielding'
        this.#clock.soon(() => {
          if (this.#state === 'yielding') this.#run()
        })
        return
      }
      this.#turn(this.#inbox.splice(0, BATCH_MAX))
    }
    if (this.#state !== 'busy') return
    this.#state = 'idle'
    this.#arm()
  }

  /** Steps a batch, writes it down with one write, then runs its commands in order. */
  #turn(batch: readonly Event[]): void {
    const { machine, journal, apply } = this.#options
    const commands: Command[] = []
    let fault: PumpFault<Event> | undefined
    journal.ready(this.now())
    for (const event of batch) {
      const now = this.now()
      const caused: Command[] = []
      try {
        machine.step(event, now, caused)
        journal.record(now, event, caused)
      } catch (error) {
        fault = { error, event }
        this.#noteFault(now, event, error)
        break
      }
      for (const command of caused) commands.push(command)
    }
    journal.flush(this.now())
    this.#notify()
    try {
      for (const command of commands) apply(command)
    } catch (error) {
      fault ??= { error }
    }
    if (fault === undefined) return
    this.stop()
    this.#options.onFault(fault)
  }

  #noteFault(now: Instant, event: Event, error: unknown): void {
    try {
      this.#options.journal.fault(now, event, error)
    } catch {
      // An event that is not JSON is what failed; it is reported with the fault itself.
    }
  }

  #notify(): void {
    if (this.#changed) return
    this.#changed = true
    this.#clock.soon(() => {
      this.#changed = false
      this.#options.onChange()
    })
  }

  #arm(): void {
    const at = this.#options.machine.deadline()
    if (this.#timer !== undefined && this.#timer.at === at) return
    this.#disarm()
    if (at === undefined) return
    const delay = Math.ceil(at - this.#clock.now())
    const ms = Math.min(Math.max(delay, 1), TIMER_MS_MAX)
    this.#timer = { at, cancel: this.#clock.after(ms, () => this.#onTimer()) }
  }

  #onTimer(): void {
    this.#timer = undefined
    if (this.#state !== 'idle') return // the turn in hand arms again at its end
    const at = this.#options.machine.deadline()
    if (at !== undefined && at <= this.now()) this.send(this.#options.tick)
    else this.#arm() // early, or a deadline further away than one timer reaches
  }

  #disarm(): void {
    this.#timer?.cancel()
    this.#timer = undefined
  }
}

/** setTimeout takes a signed 32-bit number, and fires at once above it. */
export const TIMER_MS_MAX = 2 ** 31 - 1

const realClock: PumpClock = {
  now: () => performance.now(),
  after: (ms, run) => {
    const timer = setTimeout(run, ms)
    return () => clearTimeout(timer)
  },
  soon: (run) => {
    setImmediate(run)
  },
}

/** Events of one write. More would only make the first command wait. */
const BATCH_MAX = 64
const TURNS_MAX = 1_000
