/**
 * Ends what an earlier life of this node left running.
 *
 * A process is one of ours when it carries the node's mark in the environment it was started
 * with, or prints into one of the node's pipes (some programs overwrite their environment). Both
 * are read from the living process: no file is needed, and no pid from a file is ever believed.
 */

import { pipeMark } from './pipes.ts'
import {
  hasEnvironEntry,
  isRunning,
  listProcesses,
  outputsInto,
  ownLine,
  type ProcessMark,
  type ProcessState,
  signalMarked,
} from './processes.ts'
import { nodeMark } from './program-env.ts'

export interface ReapOptions {
  readonly nodeId: string
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs: number
  /** Process groups this life of the node started. */
  readonly ownGroups: ReadonlySet<number>
  /** How long killed processes may take to go. */
  readonly killWaitMs?: number
}

/** Pids, ascending. */
export interface Reaped {
  readonly reaped: readonly number[]
  readonly surviving: readonly number[]
}

export async function reapLeftovers(options: ReapOptions, signal?: AbortSignal): Promise<Reaped> {
  const seen = new Map<string, ProcessMark>()
  const running = (): ProcessMark[] => [...seen.values()].filter(isRunning)
  // those that appear meanwhile (a leftover may fork or restart its children) join in
  const sweep = (send: NodeJS.Signals): number => {
    const fresh = findLeftovers(options).filter((found) => !seen.has(keyOf(found)))
    for (const found of fresh) {
      seen.set(keyOf(found), { pid: found.pid, startedAt: found.startedAt })
      signalMarked(found, send)
    }
    return fresh.length
  }
  // gone, and a last look finds no newcomer
  const wait = async (send: NodeJS.Signals, boundMs: number): Promise<void> => {
    const giveUpAt = performance.now() + boundMs
    for (let round = 1; performance.now() < giveUpAt && signal?.aborted !== true; round++) {
      if (running().length === 0 && sweep(send) === 0) return
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
      if (round % ROUNDS_PER_SWEEP === 0) sweep(send)
    }
  }
  if (sweep('SIGTERM') > 0) {
    await wait('SIGTERM', options.graceMs)
    for (const left of running()) signalMarked(left, 'SIGKILL')
    await wait('SIGKILL', options.killWaitMs ?? KILL_WAIT_MS)
  }
  const surviving = new Set(running().map((mark) => mark.pid))
  const reaped = [...seen.values()].map((mark) => mark.pid).filter((pid) => !surviving.has(pid))
  return { reaped: sorted(reaped), surviving: sorted(surviving) }
}

/** Everything that carries the node's mark, except ourselves and what this life started. */
export function findLeftovers(options: Pick<ReapOptions, 'nodeId' | 'ownGroups'>): ProcessMark[] {
  const ancestors = new Set(ownLine())
  const processes = listProcesses()
  const byPid = new Map(processes.map((process) => [process.pid, process]))
  return processes.filter(
    (process) =>
      !'ZXx'.includes(process.state) &&
      !ancestors.has(process.pid) &&
      !options.ownGroups.has(process.group) &&
      !descendsFromUs(process, byPid) &&
      (hasEnvironEntry(process.pid, nodeMark(options.nodeId)) ||
        outputsInto(process.pid, pipeMark(options.nodeId))),
  )
}

function descendsFromUs(of: ProcessState, byPid: ReadonlyMap<number, ProcessState>): boolean {
  const visited = new Set<number>()
  for (let at: ProcessState | undefined = of; at !== undefined; at = byPid.get(at.parent)) {
    // parents are read one by one, so a chain may bite its tail after a pid was used again
    if (visited.has(at.pid)) return false
    visited.add(at.pid)
    if (at.parent === process.pid) return true
  }
  return false
}

const keyOf = (mark: ProcessMark): string => `${mark.pid} ${mark.startedAt}`
const sorted = (pids: Iterable<number>): number[] => [...new Set(pids)].sort((a, b) => a - b)

const PAUSE_MS = 25
const ROUNDS_PER_SWEEP = 10
const KILL_WAIT_MS = 5_000
