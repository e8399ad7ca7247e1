/** What this machine allows this process, as far as Linux tells us. */
import { readFileSync } from 'node:fs'
import type { HostLimits } from '../../../../core/publish/host/flow-budget.ts'

export const readHostLimits = (read: (path: string) => string = readText): HostLimits => ({
  descriptors: descriptorsIn(read('/proc/self/limits')),
  localPorts: portsIn(read('/proc/sys/net/ipv4/ip_local_port_range')),
})

/** `Max open files            1024                 4096                 files`: the soft one. */
function descriptorsIn(limits: string): number | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)/m.exec(limits)?.[1]
  if (soft === undefined) return undefined
  return soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft)
}

/** `32768	60999`, both inclusive. */
function portsIn(range: string): number | undefined {
  const [, from, to] = /^(\d+)\s+(\d+)/.exec(range) ?? []
  if (from === undefined || to === undefined) return undefined
  return Math.max(0, Number(to) - Number(from) + 1)
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return '' // not Linux, or not for us to read
  }
}
