/**
 * The directory a node keeps its things in. Whatever is found there, a start goes on where there
 * is any way forward: what is in the way is moved aside and said, never deleted.
 */
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Effect, type Scope } from 'effect'
import { messageOf } from '../journal/format.ts'
import { isRunning, type ProcessMark, readProcess } from '../process/processes.ts'
import { askSocket } from './ask-socket.ts'
import { holdGuard } from './lock.ts'
import { isDirectory, makeDirectory } from './make-directory.ts'
import { foreignIn, STATE_DIRECTORY } from './mark.ts'
import { moveAside } from './move-aside.ts'
import {
  defaultSocket,
  nodeIdOf,
  readSmall,
  recordedSocket,
  runtimeSocket,
  usable,
} from './places.ts'
import { AlreadyRunning, type NodeStartError, StateUnusable } from './start-error.ts'

export interface StateDirectory {
  /** Real path, no symbolic links. */
  readonly path: string
  readonly nodeId: string
  readonly journalDirectory: string
  readonly logsDirectory: string
  /** Where the operator socket may be, best first; nothing is there. */
  readonly socketPlaces: readonly string[]
  /** Tells clients and the next start which place it is. */
  recordSocket(socketPath: string): void
  /** From now on a second start waits for us to be gone instead of giving up. */
  leave(): void
}

export interface StateOptions {
  readonly path: string
  /** Of Weir. */
  readonly version: string
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
}

/** Prepares the directory and holds it against every other node until the scope ends. */
export const openStateDirectory = (
  options: StateOptions,
): Effect.Effect<StateDirectory, NodeStartError, Scope.Scope> =>
  Effect.gen(function* () {
    const real = yield* attempt(async () => prepare(options))
    const nodeId = nodeIdOf(real)
    const guard = yield* Effect.acquireRelease(
      attempt(() => holdGuard({ nodeId, socketPath: defaultSocket(real), log: options.log })),
      (held) => Effect.promise(() => held.release()),
    )
    const socketPlaces = yield* attempt(() => freeSocketPlaces(real, nodeId, options))
    yield* Effect.acquireRelease(
      Effect.sync(() => writeNodeFile(real, nodeId, options)),
      () => Effect.sync(() => removeNodeFile(real)),
    )
    return {
      path: real,
      nodeId,
      journalDirectory: path.join(real, 'journal'),
      logsDirectory: path.join(real, 'logs'),
      socketPlaces,
      recordSocket: (socketPath) => recordSocket(real, socketPath, options),
      leave: () => guard.leave(),
    }
  })

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, NodeStartError> =>
  Effect.tryPromise({
    try: run,
    catch: (error) => error as NodeStartError, // each of these functions throws nothing else
  })

/** The real path of a directory that exists and takes files. */
function prepare({ path: wanted, log }: StateOptions): string {
  const directory = path.resolve(wanted)
  try {
    clearPlace(directory, log)
    if (makeDirectory(directory)) log('info', `state: created ${directory}`)
    else takeOver(directory, log)
    for (const name of ['journal', 'logs']) prepareInside(path.join(directory, name), log)
    return fs.realpathSync(directory)
  } catch (error) {
    if (error instanceof StateUnusable) throw error
    throw new StateUnusable({ path: directory, reason: messageOf(error) })
  }
}

/** What is in the way is moved aside in our own place only; elsewhere it is somebody's file. */
function clearPlace(directory: string, log: StateOptions['log']): void {
  const found = fs.lstatSync(directory, { throwIfNoEntry: false })
  if (found === undefined || isDirectory(directory)) return
  if (path.basename(directory) !== STATE_DIRECTORY) {
    const what = found.isFile() ? 'a file' : 'no directory'
    throw new StateUnusable({ path: directory, reason: `it is ${what}; name a directory` })
  }
  const moved = moveAside(directory)
  if (moved === undefined) {
    const reason = 'it is no directory and cannot be renamed'
    throw new StateUnusable({ path: directory, reason })
  }
  log('warn', `state: ${directory} is no directory; moved it to ${moved}`)
}

/** Takes a directory that was there: an empty one, or one that a node has used before. */
function takeOver(directory: string, log: StateOptions['log']): void {
  const foreign = path.basename(directory) === STATE_DIRECTORY ? [] : foreignIn(directory)
  if (foreign.length > 0) {
    const names = foreign.slice(0, NAMES_SHOWN_MAX).join(', ')
    const more = foreign.length > NAMES_SHOWN_MAX ? ', ...' : ''
    throw new StateUnusable({
      path: directory,
      reason:
        `it holds what is not Weir's (${names}${more}); ` +
        `name an empty or a new directory, like ${path.join(directory, STATE_DIRECTORY)}`,
    })
  }
  closeToOthers(directory, log)
}

/** 0700: logs and the journal hold what programs print and what operators ask for. */
function closeToOthers(directory: string, log: StateOptions['log']): void {
  const mode = fs.statSync(directory).mode & 0o777
  if (mode === 0o700) return
  try {
    fs.chmodSync(directory, 0o700)
  } catch (error) {
    log('warn', `state: ${directory} is open to others and stays so (${messageOf(error)})`)
  }
}

function prepareInside(directory: string, log: StateOptions['log']): void {
  const found = fs.lstatSync(directory, { throwIfNoEntry: false })
  if (found !== undefined && !isDirectory(directory)) {
    const moved = moveAside(directory)
    log('warn', `state: ${directory} is no directory; moved it to ${moved ?? 'nowhere'}`)
  }
  makeDirectory(directory)
}

/** Finds a node that runs already, then clears the places of the socket. */
async function freeSocketPlaces(
  directory: string,
  nodeId: string,
  { log }: StateOptions,
): Promise<string[]> {
  const places = usable([defaultSocket(directory), runtimeSocket(nodeId)])
  for (const place of usable([...places, recordedSocket(directory)])) {
    const answer = await askSocket(place)
    const pid = answer.type === 'silent' ? livePid(directory) : undefined
    if (answer.type === 'weir') throw new AlreadyRunning({ pid: answer.pid, socket: place })
    if (pid !== undefined) throw new AlreadyRunning({ pid, socket: place })
    clearSocket(place, answer.type === 'dead', log)
  }
  const pid = livePid(directory)
  if (pid !== undefined) throw new AlreadyRunning({ pid, socket: defaultSocket(directory) })
  return places
}

function clearSocket(place: string, dead: boolean, log: StateOptions['log']): void {
  const found = fs.lstatSync(place, { throwIfNoEntry: false })
  if (found === undefined) return
  if (found.isSocket() && dead) {
    try {
      fs.unlinkSync(place)
      log('info', `state: removed the socket an earlier node left at ${place}`)
    } catch (error) {
      log('warn', `state: a stale socket stays at ${place} (${messageOf(error)})`)
    }
    return
  }
  const moved = moveAside(place)
  log('warn', `state: ${place} is not ours; moved it to ${moved ?? 'nowhere'}`)
}

/** Makes the directory of a runtime socket; says why it must not be used. */
export function prepareRuntimeDirectory(socketPath: string): string | undefined {
  const directory = path.dirname(socketPath)
  try {
    makeDirectory(directory)
    const found = fs.lstatSync(directory)
    if (!found.isDirectory()) return `${directory} is no directory`
    if (found.uid !== os.userInfo().uid) return `${directory} belongs to somebody else`
    if ((found.mode & 0o077) !== 0) fs.chmodSync(directory, 0o700)
    return undefined
  } catch (error) {
    return messageOf(error)
  }
}

function recordSocket(directory: string, socketPath: string, { log }: StateOptions): void {
  const file = path.join(directory, 'socket')
  try {
    if (socketPath === defaultSocket(directory)) fs.rmSync(file, { force: true })
    else replaceFile(file, `${socketPath}\n`)
  } catch (error) {
    log('warn', `state: ${file} cannot be written (${messageOf(error)})`)
  }
}

/** For people, and for a start that finds the socket silent. */
function writeNodeFile(directory: string, nodeId: string, { version, log }: StateOptions): void {
  const file = path.join(directory, 'node.json')
  const content = {
    pid: process.pid,
    startTime: readProcess(process.pid)?.startedAt ?? null,
    node: nodeId,
    version,
    since: new Date().toISOString(),
  }
  try {
    const known = fs.lstatSync(file, { throwIfNoEntry: false })
    if (known !== undefined && readNodeFile(directory) === undefined) {
      log('warn', `state: ${file} is garbage; moved it to ${moveAside(file) ?? 'nowhere'}`)
    }
    replaceFile(file, `${JSON.stringify(content)}\n`)
  } catch (error) {
    log('warn', `state: ${file} cannot be written (${messageOf(error)})`)
  }
}

function removeNodeFile(directory: string): void {
  if (readNodeFile(directory)?.pid !== process.pid) return
  fs.rmSync(path.join(directory, 'node.json'), { force: true })
}

/** The process that wrote node.json, when it is still the same one; never ourselves. */
function livePid(directory: string): number | undefined {
  const known = readNodeFile(directory)
  if (known === undefined || known.pid === process.pid) return undefined
  return isRunning(known) ? known.pid : undefined
}

function readNodeFile(directory: string): ProcessMark | undefined {
  try {
    const value: unknown = JSON.parse(readSmall(path.join(directory, 'node.json')) ?? '')
    if (typeof value !== 'object' || value === null) return undefined
    const { pid, startTime } = value as { pid?: unknown; startTime?: unknown }
    if (typeof pid !== 'number' || !Number.isSafeInteger(pid) || pid <= 0) return undefined
    return { pid, startedAt: typeof startTime === 'number' ? startTime : Number.NaN }
  } catch {
    return undefined
  }
}

/** Readers see the old content or the new, never half of it. */
function replaceFile(file: string, text: string): void {
  const draft = `${file}.${process.pid}`
  try {
    fs.writeFileSync(draft, text, { mode: 0o600 })
    fs.renameSync(draft, file)
  } catch (error) {
    fs.rmSync(draft, { force: true })
    throw error
  }
}

const NAMES_SHOWN_MAX = 4
