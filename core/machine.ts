/**
 * The contract every machine in `core/` keeps: one door in, a list of commands out, one deadline.
 *
 * A machine never reads a clock, draws a random number or does I/O. The same events at the same
 * instants give the same commands, in every process.
 */

/** Milliseconds on a monotonic clock the caller owns; only differences mean anything. */
export type Instant = number

/** Says which question an answer belongs to. An answer whose token is not the current one is stale. */
export type Attempt = number

export interface Machine<Event, Command> {
  /**
   * Feeds one event and appends the commands it causes, in the order they must run.
   * Throws only {@link InvariantError}: a caller that broke the contract, never bad input.
   */
  step(event: Event, now: Instant, out: Command[]): void
  /**
   * The earliest instant at which the machine wants a `{ type: 'tick' }`, if any.
   * After a tick at `t` it is greater than `t` or undefined, so a shell never spins.
   */
  deadline(): Instant | undefined
}

/** A bug in Weir or in the caller. Never caused by what a peer or an operator sends. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError'
}

export function assert(ok: boolean, message: string): asserts ok {
  if (!ok) throw new InvariantError(message)
}

/** Ends a switch over a union: a new variant breaks the build here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected variant: ${JSON.stringify(value)}`)
}
