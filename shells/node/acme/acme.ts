/**
 * Gets certificates and renews them (RFC 8555): asks the planner what to do, does it, and tells it
 * what became of it. The pairs go into the directory of certificates, which is watched.
 */
import { randomInt } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { Effect, type Scope } from 'effect'
import type { AcmeCommand } from '../../../core/acme/commands.ts'
import type { AcmeEvent, Span } from '../../../core/acme/events.ts'
import { type AcmeConfig, type AcmeCounters, AcmePlanner } from '../../../core/acme/planner.ts'
import { type Attempt, unreachable } from '../../../core/machine.ts'
import type { AcmeSettings } from '../../../core/spec/node/settings.ts'
import { messageOf } from '../journal/format.ts'
import { MachineLoop } from '../listener/machine-loop.ts'
import type { Certificates } from '../tls/certificates.ts'
import { Accounts } from './account.ts'
import { AcmeFailure } from './failure.ts'
import { leafOf, PairFiles } from './pair-files.ts'
import { order } from './protocol.ts'

export interface Acme {
  /** All names that shall have a certificate, in the place of those before. */
  want(names: readonly string[]): void
  readonly counters: Readonly<AcmeCounters>
  nameCounts(): ReturnType<AcmePlanner['nameCounts']>
}

export interface AcmeOptions {
  readonly settings: AcmeSettings
  /** Of certificates. */
  readonly directory: string
  /** What is in use. */
  readonly certificates: Pick<Certificates, 'names'>
  /** What is answered for a token at port 80 (8.3); undefined: nothing any more. */
  readonly challenge: (token: string, answer: string | undefined) => void
  readonly notice: (level: 'info' | 'warn', text: string) => void
  /** Milliseconds since 1970; default: the system's. */
  readonly wallClock?: () => number
  readonly config?: Partial<AcmeConfig>
  /** Between two questions about an order; default: a second at first. */
  readonly pollMs?: number
}

/** Until the scope ends; an order under way is given up then. */
export const makeAcme = (options: AcmeOptions): Effect.Effect<Acme, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => new AcmeRunner(options)),
    (runner) => Effect.promise(() => runner.close()),
  )

class AcmeRunner implements Acme {
  readonly #options: AcmeOptions
  readonly #planner: AcmePlanner
  readonly #loop: MachineLoop<AcmeEvent, AcmeCommand>
  readonly #files: PairFiles
  readonly #accounts: Accounts
  #order: CurrentOrder | undefined

  constructor(options: AcmeOptions) {
    this.#options = options
    const { renewBeforeMs } = options.settings
    this.#planner = new AcmePlanner({ renewBeforeMs, seed: randomInt(2 ** 31), ...options.config })
    this.#loop = new MachineLoop(this.#planner, (command) => this.#apply(command))
    this.#files = new PairFiles(options.directory)
    this.#accounts = new Accounts(this.#files.private)
  }

  want(names: readonly string[]): void {
    this.#loop.step({ type: 'names', names })
  }

  get counters(): Readonly<AcmeCounters> {
    return this.#planner.counters
  }

  nameCounts(): ReturnType<AcmePlanner['nameCounts']> {
    return this.#planner.nameCounts(performance.now())
  }

  async close(): Promise<void> {
    this.#loop.stop()
    const order = this.#order
    this.#order = undefined
    order?.controller.abort()
    await order?.done
  }

  #apply(command: AcmeCommand): void {
    switch (command.type) {
      case 'look':
        return this.#look()
      case 'order':
        return this.#begin(command.attempt, command.name)
      case 'cancel-order':
        return this.#cancel(command.attempt)
      case 'notice':
        return this.#options.notice(command.level, command.text)
      default:
        return unreachable(command)
    }
  }

  #look(): void {
    const certificates = this.#options.certificates.names().map(({ name, ...each }) => ({
      name,
      validFromMs: each.validFrom.getTime(),
      validToMs: each.validTo.getTime(),
    }))
    this.#loop.step({ type: 'certificates', wallClockMs: this.#wallClock(), certificates })
  }

  #begin(attempt: Attempt, name: string): void {
    const controller = new AbortController()
    const work = this.#get(name, controller.signal).then(
      (span): AcmeEvent => ({ type: 'issued', attempt, wallClockMs: this.#wallClock(), ...span }),
      (error: unknown): AcmeEvent => ({ type: 'failed', attempt, ...failureOf(error) }),
    )
    const done = work.then((event) => {
      if (this.#order?.attempt !== attempt) return // cancelled
      this.#order = undefined
      this.#loop.step(event)
    })
    this.#order = { attempt, controller, done }
  }

  #cancel(attempt: Attempt): void {
    if (this.#order?.attempt !== attempt) return
    this.#order.controller.abort()
    this.#order = undefined
  }

  async #get(name: string, signal: AbortSignal): Promise<Span> {
    const { settings, challenge, pollMs = POLL_MS } = this.#options
    const { directory: server, email, ca } = settings
    await this.#files.prepare(name)
    const pair =
      (await this.#pending(name)) ??
      (await order({
        server,
        email,
        ca: ca === undefined ? undefined : await readFile(ca, 'utf8'),
        accounts: this.#accounts,
        name,
        challenge,
        signal,
        pollMs,
      }))
    const leaf = leafOf(name, pair, this.#wallClock())
    signal.throwIfAborted()
    await this.#files.place(name, pair)
    return {
      validFromMs: leaf.validFromDate.getTime(),
      validToMs: leaf.validToDate.getTime(),
    }
  }

  /** Got before, when there was no room or no right to put it into its place. */
  async #pending(name: string) {
    const pair = await this.#files.pending(name)
    try {
      if (pair !== undefined) leafOf(name, pair, this.#wallClock())
      return pair
    } catch {
      return undefined
    }
  }

  #wallClock(): number {
    return this.#options.wallClock?.() ?? Date.now()
  }
}

interface CurrentOrder {
  readonly attempt: Attempt
  readonly controller: AbortController
  /** Never rejects. */
  readonly done: Promise<void>
}

type Failed = Omit<Extract<AcmeEvent, { type: 'failed' }>, 'type' | 'attempt'>

/** What is not of the protocol is of the file system. */
function failureOf(error: unknown): Failed {
  if (!(error instanceof AcmeFailure)) return { cause: 'files', text: messageOf(error) }
  const { reason: cause, message: text, retryAfterMs } = error
  return { cause, text, retryAfterMs }
}

const POLL_MS = 1_000
