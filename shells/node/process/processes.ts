/**
 * What the system says about processes: `/proc`, read synchronously (it never touches a disk).
 * Where there is no `/proc` (macOS) everything here answers "nothing known".
 */
import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** A process for certain: a pid alone may be somebody else's by now. */
export interface ProcessMark {
  readonly pid: number
  /** Clock ticks after boot, as `/proc/PID/stat` has it. */
  readonly startedAt: number
}

export interface ProcessState extends ProcessMark {
  /** One letter: `R`, `S`, `D`, `Z`... see proc_pid_stat(5). */
  readonly state: string
  readonly parent: number
  readonly group: number
  readonly session: number
}

export const hasProc = existsSync('/proc/self/stat')

export function readProcess(pid: number): ProcessState | undefined {
  const stat = readProcText(pid, 'stat')
  // the name is in parentheses and may hold anything, parentheses and newlines too
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')
  if (fields === undefined || fields.length < 20) return undefined
  return {
    pid,
    startedAt: Number(fields[19]),
    state: fields[0] ?? '',
    parent: Number(fields[1]),
    group: Number(fields[2]),
    session: Number(fields[3]),
  }
}

export function listProcesses(): ProcessState[] {
  const found: ProcessState[] = []
  for (const pid of listPids()) {
    const process = readProcess(pid)
    if (process !== undefined) found.push(process)
  }
  return found
}

export const listPids = (): number[] => listProc().map(Number).filter(Number.isInteger)

/** Still there, still the same, and not merely waiting for its parent to collect its exit code. */
export function isRunning(mark: ProcessMark): boolean {
  const now = readProcess(mark.pid)
  return now !== undefined && now.startedAt === mark.startedAt && runs(now)
}

export const runs = (process: ProcessState): boolean => !'ZXx'.includes(process.state)

/** Does the process carry exactly this `NAME=value`? Only for processes we may look into. */
export function hasEnvironEntry(pid: number, entry: string): boolean {
  return readEnviron(pid).includes(`\0${entry}\0`)
}

/** What it was started with, each `NAME=value` between zero bytes; '' when we may not look. */
export function readEnviron(pid: number): string {
  return `\0${readProcText(pid, 'environ') ?? ''}\0`
}

/** Does the path of its stdout or stderr hold this text? Deleted files keep their path there. */
export function outputsInto(pid: number, pathPart: string): boolean {
  return outputPaths(pid).some((path) => path.includes(pathPart))
}

/** Of its stdout and stderr, as far as we may look; behind a deleted one the system adds a word. */
export function outputPaths(pid: number): string[] {
  const paths: string[] = []
  for (const descriptor of [1, 2]) {
    try {
      paths.push(readlinkSync(`/proc/${pid}/fd/${descriptor}`))
    } catch {
      // closed, or not ours to look at
    }
  }
  return paths
}

/** This process and all it descends from, nearest first. */
export const ownLine = (): number[] => lineOf(process.pid)

/** A process and all it descends from, nearest first. */
export function lineOf(of: number): number[] {
  const line: number[] = []
  // parents are read one by one, so a chain may bite its tail after a pid was used again
  for (let pid = of; pid > 0 && !line.includes(pid); ) {
    line.push(pid)
    pid = readProcess(pid)?.parent ?? 0
  }
  return line
}

/** Sends when the process is certainly still the one meant. */
export function signalMarked(mark: ProcessMark, signal: NodeJS.Signals): void {
  if (mark.pid <= 1 || !isRunning(mark)) return
  try {
    process.kill(mark.pid, signal)
  } catch {
    // gone meanwhile, or not ours to signal: then it is among the survivors
  }
}

function listProc(): string[] {
  try {
    return readdirSync('/proc')
  } catch {
    return []
  }
}

function readProcText(pid: number, file: string): string | undefined {
  try {
    // one byte, one character: the text may be in any encoding, and what is compared is ASCII
    return readFileSync(`/proc/${pid}/${file}`, 'latin1')
  } catch {
    return undefined
  }
}
