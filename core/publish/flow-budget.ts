/**
 * How many UDP flows this machine can have, and how many of them each listener gets. A flow takes a
 * socket: a descriptor, and a local port of its own whatever its backend is (udp W18). What is
 * planned is planned for all listeners together.
 */

/** What the system allows one process; undefined where it does not say. */
export interface HostLimits {
  /** Descriptors it may have open, the soft limit; may be infinite. */
  readonly descriptors: number | undefined
  /** Ports the kernel picks local ones from. */
  readonly localPorts: number | undefined
}

/** Flows of all listeners together; at least 1. */
export function flowBudget({ descriptors, localPorts }: HostLimits): number {
  if (descriptors === undefined) return FLOWS_FALLBACK
  const byDescriptors = Math.floor(descriptors * DESCRIPTORS_SHARE)
  const byPorts = Math.floor((localPorts ?? LOCAL_PORTS_USUAL) * LOCAL_PORTS_SHARE)
  return Math.max(1, Math.min(byDescriptors, byPorts))
}

/**
 * What each listener gets of the budget, in the order of `asked`: as many flows as it asks for, and
 * those that ask for 0 equal shares of what the others leave, at least 1.
 */
export function flowShares(budget: number, asked: readonly number[]): readonly number[] {
  const explicit = asked.reduce((sum, flows) => sum + flows, 0)
  const sharing = asked.filter((flows) => flows === 0).length
  const share = Math.max(1, Math.min(FLOWS_MAX, Math.floor((budget - explicit) / sharing)))
  return asked.map((flows) => (flows === 0 ? share : flows))
}

/** A listener that asks for so many may find no socket for the last of them. */
export const exceedsBudget = (limits: HostLimits, asked: number): boolean =>
  limits.descriptors !== undefined && asked > limits.descriptors * DESCRIPTORS_SHARE

/** The rest is for connections, programs, files and the journal. */
const DESCRIPTORS_SHARE = 0.7
/** The rest is for connections of others. */
const LOCAL_PORTS_SHARE = 0.9
/** Linux: 32768 to 60999 (net.ipv4.ip_local_port_range). */
const LOCAL_PORTS_USUAL = 28_232
export const FLOWS_FALLBACK = 1_024
/** Slots of a flow table. */
const FLOWS_MAX = 2 ** 20
