/** What holds for every machine, here of the flow table. */
import type { UdpWorld } from '../world.ts'
import type { UdpChecker, UdpStep } from './checker.ts'

export class UdpUniversal implements UdpChecker {
  /** Datagrams the table was told of, from either side. */
  #told = 0
  #dropped = new Map<string, number>()

  onLife(): void {
    this.#told = 0
    this.#dropped = new Map()
  }

  onStep({ event, commands, now, table }: UdpStep, world: UdpWorld): void {
    table.checkInvariants()
    const deadline = table.deadline()
    if (event.type === 'tick' && deadline !== undefined && deadline <= now) {
      world.fail(NAME, `after a tick at ${now} the deadline is ${deadline}: a busy loop`)
    }
    if (table.isEmpty && table.flowCount === 0 && deadline !== undefined && !world.listening) {
      world.fail(NAME, `nothing is left, but a deadline at ${deadline}`)
    }
    if (commands.length > COMMANDS_BASE + 2 * table.flowCount + CLOSES_MAX) {
      world.fail(NAME, `${commands.length} commands for one ${event.type}`)
    }
    this.#countDatagrams({ event, table }, world)
  }

  /** Each datagram is forwarded, returned, held or dropped, and counted there once. */
  #countDatagrams({ event, table }: Pick<UdpStep, 'event' | 'table'>, world: UdpWorld): void {
    if (event.type === 'client-datagram' || event.type === 'upstream-datagram') this.#told += 1
    const { datagramsUp, datagramsDown, dropped } = table.counters
    let gone = 0
    for (const [reason, count] of Object.entries(dropped)) {
      gone += count
      if (count > (this.#dropped.get(reason) ?? 0)) world.trace.mark(`udp drop ${reason}`)
      this.#dropped.set(reason, count)
    }
    const held = this.#told - datagramsUp - datagramsDown - gone
    if (held < 0) world.fail(NAME, `${-held} datagrams were counted twice`)
    if (table.flowCount === 0 && held > 0) world.fail(NAME, `${held} datagrams are not counted`)
  }
}

const NAME = 'udp universal'
const COMMANDS_BASE = 32
const CLOSES_MAX = 1_024
