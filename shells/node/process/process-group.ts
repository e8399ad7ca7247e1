/**
 * The process group of one program, and who may be signalled in it.
 *
 * A bare pid is never signalled. While the leader lives, its start time must match. After it is
 * gone its number stays taken as long as the group has a member, so one member seen before (or
 * one that carries our mark) proves that the group is still ours; without such a witness the
 * number may belong to a stranger, and nothing is sent.
 */
import {
  hasEnvironEntry,
  hasProc,
  listProcesses,
  type ProcessMark,
  type ProcessState,
  readProcess,
  runs,
} from './processes.ts'

export class ProcessGroup {
  readonly pid: number
  /** Undefined where the system does not tell. */
  readonly startedAt: number | undefined
  readonly #mark: string
  #life: 'led' | 'orphaned' | 'gone' = 'led'
  #witnesses: readonly ProcessMark[] = []

  /**
   * Right after the spawn, when the leader cannot have been collected yet.
   * `mark` is the `NAME=value` that every member was started with.
   */
  constructor(pid: number, mark: string, startedAt = readProcess(pid)?.startedAt) {
    this.pid = pid
    this.startedAt = startedAt
    this.#mark = mark
  }

  /** The leader runs (a zombie does not). */
  leaderRuns(): boolean {
    if (this.#life !== 'led') return false
    if (!hasProc) return this.#exists()
    const leader = readProcess(this.pid)
    return leader !== undefined && leader.startedAt === this.startedAt && runs(leader)
  }

  /** To be called as soon as the leader's exit is known: who is left is our witness from now on. */
  leaderExited(): void {
    if (this.#life !== 'led') return
    this.#life = this.#exists() && readProcess(this.pid) === undefined ? 'orphaned' : 'gone'
    if (this.#life === 'orphaned' && hasProc) {
      // a program started by us leads a session too; a member of another one is a stranger
      this.#witnesses = this.members().filter((member) => member.session === this.pid)
    }
  }

  /** Sends to every member; false when nothing of ours is there (any more). */
  send(signal: NodeJS.Signals): boolean {
    if (!this.#isOurs()) {
      if (this.#life === 'orphaned') this.#life = 'gone'
      return false
    }
    return this.#kill(signal)
  }

  /** Kills until no member runs; false when some are still there after `boundMs`. */
  async killUntilGone(boundMs: number): Promise<boolean> {
    const giveUpAt = performance.now() + boundMs
    for (let pauseMs = 2; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MAX_MS)) {
      if (!this.send('SIGKILL')) return true
      await new Promise((resolve) => setTimeout(resolve, pauseMs))
      if (!this.#exists()) return true
      // zombies nobody collects count as group members for the kernel, not for us; looking
      // through all processes is dear, so only when the cheap question does not settle it
      if (pauseMs >= SCAN_FROM_MS && hasProc && this.members().length === 0) return true
      if (performance.now() > giveUpAt) return false
    }
  }

  /** Those that run. */
  members(): ProcessState[] {
    return listProcesses().filter((process) => process.group === this.pid && runs(process))
  }

  #isOurs(): boolean {
    if (this.#life === 'gone') return false
    if (!hasProc) return this.#exists()
    if (this.#life === 'led') {
      return this.startedAt !== undefined && readProcess(this.pid)?.startedAt === this.startedAt
    }
    const members = this.members()
    const known = members.some(
      (member) =>
        this.#witnesses.some((seen) => isSame(seen, member)) ||
        hasEnvironEntry(member.pid, this.#mark),
    )
    if (known) this.#witnesses = members
    return known
  }

  #exists(): boolean {
    return this.#kill(0)
  }

  #kill(signal: NodeJS.Signals | 0): boolean {
    // kill(-1) is everybody and kill(0) is ourselves
    if (this.pid <= 1) return false
    try {
      return process.kill(-this.pid, signal)
    } catch (error) {
      // EPERM: a member is there, though not ours to signal
      return (error as NodeJS.ErrnoException).code === 'EPERM'
    }
  }
}

const isSame = (a: ProcessMark, b: ProcessMark): boolean =>
  a.pid === b.pid && a.startedAt === b.startedAt

const PAUSE_MAX_MS = 100
const SCAN_FROM_MS = 32
