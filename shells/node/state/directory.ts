/**
 * The directory a node keeps its things in. Whatever is found there, a start goes on where there
 * is any way forward: what is in the way is moved aside and said, never deleted.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { Effect, type Scope } from 'effect'
import { messageOf } from '../journal/format.ts'
import { isRunning, type ProcessMark, readProcess } from '../process/processes.ts'
import { askSocket, holdGuard } from './lock.ts'
import { isDirectory, makeDirectory } from './make-directory.ts'
import { moveAside } from './move-aside.ts'
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

/** First 16 hex digits of the SHA-256 of the real path; the directory itself may be missing. */
export function nodeIdOf(directory: string): string {
  return createHash('sha256')
    .update(realPathOf(path.resolve(directory)))
    .digest('hex')
    .slice(0, 16)
}

/** Where a client looks for the operator socket, best first. */
export function socketPathsOf(directory: string): string[] {
  const runtime = runtimeSocket(nodeIdOf(directory))
  const places = [recordedSocket(directory), defaultSocket(path.resolve(directory)), runtime]
  return [...new Set(places)].filter(
    (place) => place !== undefined && fitsSocket(place),
  ) as string[]
}

const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, NodeStartError> =>
  Effect.tryPromise({
    try: run,
    catch: (error) => error as NodeStartError, // each of these functions throws nothing else
  })

/** The real path of a directory that exists and takes files. */
function prepare({ path: wanted, log }: StateOptions): string {
  const directory = path.resolve(wanted)
  try {
    const found = fs.lstatSync(directory, { throwIfNoEntry: false })
    if (found !== undefined && !isDirectory(directory)) {
      const moved = moveAside(directory)
      if (moved === undefined) {
        throw new StateUnusable({
          path: directory,
          reason: 'it is no directory and cannot be renamed',
        })
      }
      log('warn', `state: ${directory} is no directory; moved it to ${moved}`)
    }
    if (makeDirectory(directory)) log('info', `state: created ${directory}`)
    closeToOthers(directory, log)
    for (const name of ['journal', 'logs']) prepareInside(path.join(directory, name), log)
    return fs.realpathSync(directory)
  } catch (error) {
    if (error instanceof StateUnusable) throw error
    throw new StateUnusable({ path: directory, reason: messageOf(error) })
  }
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

const usable = (places: readonly (string | undefined)[]): string[] =>
  [...new Set(places)].filter((place) => place !== undefined && fitsSocket(place)) as string[]

/** Sockets have short names: 108 bytes with the final zero, on Linux. */
const fitsSocket = (socketPath: string): boolean =>
  Buffer.byteLength(socketPath) <= SOCKET_PATH_BYTES_MAX

const defaultSocket = (directory: string): string => path.join(directory, 'weir.sock')

/**
 * In a directory of our own in the system's place for temporary things. Undefined when somebody
 * else has that directory: who listens there is not to be believed.
 */
function runtimeSocket(nodeId: string): string | undefined {
  const { uid } = os.userInfo()
  const name = path.join(`weir-${uid}`, `${nodeId}.sock`)
  const preferred = path.join(os.tmpdir(), name)
  const place = fitsSocket(preferred) ? preferred : path.join('/tmp', name)
  const found = fs.lstatSync(path.dirname(place), { throwIfNoEntry: false })
  return found === undefined || (found.isDirectory() && found.uid === uid) ? place : undefined
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

function recordedSocket(directory: string): string | undefined {
  const text = readSmall(path.join(directory, 'socket'))?.trim()
  return text !== undefined && path.isAbsolute(text) && !text.includes('\0') ? text : undefined
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

/** A small file of ours; whatever else is under its name is no such file. */
function readSmall(file: string): string | undefined {
  try {
    const found = fs.statSync(file)
    if (!found.isFile() || found.size > SMALL_BYTES_MAX) return undefined
    return fs.readFileSync(file, 'utf8')
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

function realPathOf(directory: string): string {
  try {
    return fs.realpathSync(directory)
  } catch {
    const parent = path.dirname(directory)
    return parent === directory
      ? directory
      : path.join(realPathOf(parent), path.basename(directory))
  }
}

const SOCKET_PATH_BYTES_MAX = 107
const SMALL_BYTES_MAX = 64 * 1024
