/**
 * Ends what left the process group of a replica (`setsid`, daemons), once the group itself is gone.
 *
 * Recognised as leftovers are, though by the marks of the one replica: its name and the node's in
 * the environment the process was started with, or one of the replica's own pipes as an output.
 * One pass over `/proc` serves all removals that wait for one, in slices, so that neither their
 * number nor that of the processes keeps the node from its work.
 */
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises'
import type { ReplicaId } from '../../../core/services/identity.ts'
import {
  hasProc,
  isRunning,
  lineOf,
  listPids,
  outputPaths,
  type ProcessMark,
  readEnviron,
  readProcess,
  runs,
  signalMarked,
} from './processes.ts'
import { instanceMark, nodeMark } from './program-env.ts'

/** What tells the processes of one replica from all others. */
export interface ReplicaMarks {
  readonly replica: ReplicaId
  /** Paths of its outputs. */
  readonly pipes: readonly string[]
}

/** Pids, ascending. */
export interface Ended {
  readonly ended: readonly number[]
  readonly surviving: readonly number[]
}

export interface EscapedOptions {
  readonly nodeId: string
  /** Between SIGTERM and SIGKILL. */
  readonly graceMs?: number
}

interface Request {
  readonly marks: ReplicaMarks
  readonly found: ProcessMark[]
  readonly answer: () => void
}

export class EscapedEnder {
  readonly #nodeMark: string
  readonly #graceMs: number
  readonly #active = new Set<Promise<unknown>>()
  readonly #waiting: Request[] = []
  #serving = false
  #notBefore = 0
  #closed = false
  #passes = 0

  constructor({ nodeId, graceMs = GRACE_MS }: EscapedOptions) {
    this.#nodeMark = nodeMark(nodeId)
    this.#graceMs = graceMs
  }

  /** How often `/proc` was gone through since the start. */
  get passes(): number {
    return this.#passes
  }

  /** To be asked when the group of the replica is gone. */
  async end(marks: ReplicaMarks): Promise<Ended> {
    const ending = this.#end(marks)
    this.#active.add(ending)
    return ending.finally(() => this.#active.delete(ending))
  }

  /** Kills what is being ended at once, and looks for no more. */
  async close(): Promise<void> {
    this.#closed = true
    for (const { answer } of this.#waiting.splice(0)) answer()
    await Promise.all(this.#active)
  }

  async #end(marks: ReplicaMarks): Promise<Ended> {
    const seen: ProcessMark[] = []
    for (let round = 0; hasProc && !this.#closed && round < ROUNDS_MAX; round++) {
      const found = await this.#terminate(marks)
      if (found.length === 0) break
      seen.push(...found)
      // it has got SIGTERM already
      await gone(found, this.#graceMs, () => this.#closed)
      for (const left of found) signalMarked(left, 'SIGKILL')
      await gone(found, KILL_WAIT_MS, () => false)
    }
    const surviving = new Set(seen.filter(isRunning).map(({ pid }) => pid))
    const ended = seen.map(({ pid }) => pid).filter((pid) => !surviving.has(pid))
    return { ended: sorted(ended), surviving: sorted(surviving) }
  }

  /** Looks in the next pass, in which whatever it finds gets SIGTERM. */
  #terminate(marks: ReplicaMarks): Promise<ProcessMark[]> {
    return new Promise((resolve) => {
      const found: ProcessMark[] = []
      this.#waiting.push({ marks, found, answer: () => resolve(found) })
      if (!this.#serving) void this.#serve()
    })
  }

  async #serve(): Promise<void> {
    this.#serving = true
    while (this.#waiting.length > 0) {
      // whoever asks in the same turn, or soon after another pass, is served by one
      await nextTurn()
      const waitMs = this.#notBefore - performance.now()
      if (waitMs > 0) await pause(waitMs)
      const requests = this.#waiting.splice(0)
      await this.#pass(requests)
      this.#notBefore = performance.now() + PASS_GAP_MS
      for (const { answer } of requests) answer()
    }
    this.#serving = false
  }

  async #pass(requests: readonly Request[]): Promise<void> {
    if (requests.length === 0) return
    this.#passes += 1
    const byMark = new Map<string, Request>()
    for (const request of requests) {
      byMark.set(instanceMark(request.marks.replica), request)
      for (const path of request.marks.pipes) byMark.set(path, request)
    }
    let sliceEndsAt = performance.now() + SLICE_MS
    for (const pid of listPids()) {
      if (performance.now() > sliceEndsAt) {
        await nextTurn()
        if (this.#closed) return
        sliceEndsAt = performance.now() + SLICE_MS
      }
      const owner = this.#ownerOf(pid, byMark)
      if (owner === undefined) continue
      const state = readProcess(pid)
      // asked again: only with the start time known in between is it about this very process
      if (state === undefined || !runs(state) || this.#ownerOf(pid, byMark) !== owner) continue
      if (isOurOwn(pid)) continue
      owner.found.push({ pid, startedAt: state.startedAt })
      signalMarked(state, 'SIGTERM')
    }
  }

  #ownerOf(pid: number, byMark: ReadonlyMap<string, Request>): Request | undefined {
    const environ = readEnviron(pid)
    if (environ.includes(`\0${this.#nodeMark}\0`)) {
      return byMark.get(entryNamed('WEIR_INSTANCE', environ))
    }
    for (const path of outputPaths(pid)) {
      const owner = byMark.get(path.replace(/ \(deleted\)$/, ''))
      if (owner !== undefined) return owner
    }
    return undefined
  }
}

/** Waits until none of them runs, or the bound is reached, or it is to stop. */
async function gone(
  marks: readonly ProcessMark[],
  boundMs: number,
  isToStop: () => boolean,
): Promise<void> {
  const giveUpAt = performance.now() + boundMs
  for (let pauseMs = 5; marks.some(isRunning); pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
    if (isToStop() || performance.now() > giveUpAt) return
    await pause(pauseMs)
  }
}

/** Us, our ancestors, and our children: programs have groups of their own, which are seen to. */
function isOurOwn(pid: number): boolean {
  if (lineOf(process.pid).includes(pid)) return true
  // as the first process of a container we are the parent of all orphans, too
  return process.pid !== 1 && lineOf(pid).includes(process.pid)
}

function entryNamed(name: string, environ: string): string {
  const start = environ.indexOf(`\0${name}=`) + 1
  return start === 0 ? '' : environ.slice(start, environ.indexOf('\0', start))
}

const sorted = (pids: Iterable<number>): number[] => [...new Set(pids)].sort((a, b) => a - b)

const GRACE_MS = 1_000
const KILL_WAIT_MS = 1_000
/** What it starts while it is being ended is found in the next round; not endlessly. */
const ROUNDS_MAX = 3
const PAUSE_MAX_MS = 100
const PASS_GAP_MS = 100
const SLICE_MS = 5
