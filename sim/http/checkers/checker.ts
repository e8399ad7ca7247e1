import type { IngressCommand } from '../../../core/http/commands.ts'
import type { IngressEvent } from '../../../core/http/events.ts'
import type { Instant } from '../../../core/machine.ts'
import type { HttpWorld, SimulatedIngress } from '../world.ts'

/** One event, and what the ingress made of it. */
export interface HttpStep {
  readonly event: IngressEvent
  readonly commands: readonly IngressCommand[]
  readonly now: Instant
  /** Of the ingress, before. */
  readonly deadline: Instant | undefined
  readonly ingress: SimulatedIngress
}

/** As `Checker` of `sim/checkers`: it watches and never steers, and judges by what is true. */
export interface HttpChecker {
  /** Before the commands are run. */
  onStep?(step: HttpStep, world: HttpWorld): void
  /** Before this one is run. */
  onCommand?(command: IngressCommand, step: HttpStep, world: HttpWorld): void
  /** Every command of a step was run. */
  afterStep?(step: HttpStep, world: HttpWorld): void
  /** Everything was closed. */
  atEnd?(world: HttpWorld): void
}
