/**
 * Who really holds which TCP port of the simulated host. Two holders are impossible here as they
 * are in a kernel: the second one is refused. Strangers are programs Weir knows nothing about.
 */
import type { ReplicaId } from '../../core/services/identity.ts'
import type { Prng, Ratio } from '../prng.ts'
import type { World } from '../world.ts'

export type Holder =
  | { readonly type: 'stranger' }
  // a process group of a replica; `pid` is its first process
  | { readonly type: 'group'; readonly pid: number; readonly replica: ReplicaId }
  | { readonly type: 'listener'; readonly listener: string }

export interface HostPortFaults {
  /** A stranger sits on a port just when a listener or a program wants it. */
  readonly strangerArrives: Ratio
  readonly strangerStaysMsMax: number
}

export class HostPorts {
  private readonly holders = new Map<number, Holder>()
  private readonly world: World
  private readonly faults: HostPortFaults

  constructor(world: World, faults: HostPortFaults) {
    this.world = world
    this.faults = faults
  }

  holder(port: number): Holder | undefined {
    return this.holders.get(port)
  }

  /** False when somebody holds it already. */
  take(port: number, holder: Holder): boolean {
    if (this.holders.has(port)) return false
    this.holders.set(port, holder)
    this.world.change({ type: 'port-taken', port, by: labelOf(holder) })
    return true
  }

  free(port: number): void {
    const holder = this.holders.get(port)
    if (holder === undefined) return
    this.holders.delete(port)
    this.world.change({ type: 'port-freed', port, by: labelOf(holder) })
  }

  /** Gives a stranger the chance to be there first. */
  tempt(port: number, draw: Prng): void {
    if (this.world.healed || !draw.chance(this.faults.strangerArrives)) return
    this.settleStranger(port, draw.between(1, this.faults.strangerStaysMsMax))
  }

  /** A stranger takes a free port, for a while. */
  settleStranger(port: number, forMs: number): void {
    const stranger: Holder = { type: 'stranger' }
    if (!this.take(port, stranger)) return
    this.world.at(forMs, () => {
      if (this.holders.get(port) === stranger) this.free(port)
    })
  }

  /** Strangers leave, except from ports taken for good. */
  heal(): void {
    for (const [port, holder] of [...this.holders]) {
      if (holder.type === 'stranger') this.free(port)
    }
  }

  held(): ReadonlyMap<number, Holder> {
    return this.holders
  }
}

export function labelOf(holder: Holder): string {
  switch (holder.type) {
    case 'stranger':
      return 'a stranger'
    case 'group':
      return `${holder.replica} (pid ${holder.pid})`
    case 'listener':
      return `listener ${holder.listener}`
  }
}
