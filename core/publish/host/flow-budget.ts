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
 * those that ask for 0 equal shares of what the others leave, however much that is no less than
 * {@link leastShare}.
 */
export function flowShares(budget: number, asked: readonly number[]): readonly number[] {
  const share = Math.min(
    FLOWS_MAX,
    Math.max(leastShare(budget, asked.length), restOf(budget, asked)),
  )
  return asked.map((flows) => (flows === 0 ? share : flows))
}

/** Where explicit numbers ask for more than there is. */
export interface FlowStrain {
  /** The sum of the explicit numbers. */
  readonly explicit: number
  /** The last of them may find no socket; false where the system does not say what there is. */
  readonly exceedsBudget: boolean
  /** What those that ask for 0 have, where the others leave less than the least; else undefined. */
  readonly squeezedTo: number | undefined
}

export function flowStrain(limits: HostLimits, asked: readonly number[]): FlowStrain {
  const budget = flowBudget(limits)
  const explicit = sumOf(asked)
  const least = leastShare(budget, asked.length)
  const isSqueezed = explicit > 0 && asked.includes(0) && restOf(budget, asked) < least
  return {
    explicit,
    exceedsBudget: limits.descriptors !== undefined && explicit > budget,
    squeezedTo: isSqueezed ? least : undefined,
  }
}

/**
 * Half of what each would have if nobody asked for a number: enough to work with, and little beside
 * what is not planned for flows.
 */
const leastShare = (budget: number, listeners: number): number =>
  Math.max(1, Math.min(LEAST_SHARE_MAX, Math.floor(budget / (2 * listeners))))

/** What explicit numbers leave for each of the others; may be negative. */
const restOf = (budget: number, asked: readonly number[]): number =>
  Math.floor((budget - sumOf(asked)) / Math.max(1, asked.filter((flows) => flows === 0).length))

const sumOf = (asked: readonly number[]): number => asked.reduce((sum, flows) => sum + flows, 0)

/** The rest is for connections, programs, files and the journal. */
const DESCRIPTORS_SHARE = 0.7
/** The rest is for connections of others. */
const LOCAL_PORTS_SHARE = 0.9
/** Linux: 32768 to 60999 (net.ipv4.ip_local_port_range). */
const LOCAL_PORTS_USUAL = 28_232
export const FLOWS_FALLBACK = 1_024
const LEAST_SHARE_MAX = 1_024
/** Slots of a flow table. */
const FLOWS_MAX = 2 ** 20
