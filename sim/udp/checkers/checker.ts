import type { Instant } from '../../../core/machine.ts'
import type { PackedAddress } from '../../../core/net/packed-address.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import type { FlowEvent } from '../../../core/udp/events.ts'
import type { Request } from '../network/servers.ts'
import type { SimulatedTable, UdpWorld } from '../world.ts'

/** One event, and what the table made of it. */
export interface UdpStep {
  readonly event: FlowEvent
  readonly commands: readonly FlowCommand[]
  readonly now: Instant
  readonly before: { readonly flowCount: number; readonly deadline: Instant | undefined }
  readonly table: SimulatedTable
}

/** What a client sent, with who it says it is. */
export interface SentRequest {
  readonly number: number
  readonly from: PackedAddress
  readonly to: PackedAddress
  /** Whom a proxy's header announces. */
  readonly announced: PackedAddress | undefined
}

/** As `Checker` of `sim/checkers`: it watches and never steers, and judges by what is true. */
export interface UdpChecker {
  /** A new process, with an empty table. */
  onLife?(world: UdpWorld): void
  /** Before the commands are run. */
  onStep?(step: UdpStep, world: UdpWorld): void
  /** A backend received it. */
  onRequest?(request: Request, world: UdpWorld): void
  /** Somebody received it, `sent` being the request it answers, if it says so. */
  onAnswer?(
    from: PackedAddress,
    to: PackedAddress,
    bytes: Uint8Array,
    sent: SentRequest | undefined,
    world: UdpWorld,
  ): void
  /** Every command of a batch was run. */
  afterBatch?(world: UdpWorld): void
  /** The table says that it is empty. */
  atEnd?(world: UdpWorld): void
}
