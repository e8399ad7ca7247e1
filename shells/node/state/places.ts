/**
 * Where the node of a state directory is to be found. Every call of `weir` loads this file, so it
 * loads nothing but Node.
 */
import { createHash } from 'node:crypto'
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'

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
  return usable([recordedSocket(directory), defaultSocket(path.resolve(directory)), runtime])
}

/** Those that are known and fit, each once. */
export const usable = (places: readonly (string | undefined)[]): string[] =>
  [...new Set(places)].filter((place) => place !== undefined && fitsSocket(place)) as string[]

/** Sockets have short names: 108 bytes with the final zero, on Linux. */
const fitsSocket = (socketPath: string): boolean =>
  Buffer.byteLength(socketPath) <= SOCKET_PATH_BYTES_MAX

export const defaultSocket = (directory: string): string => path.join(directory, 'weir.sock')

/**
 * In a directory of our own in the system's place for temporary things. Undefined when somebody
 * else has that directory: who listens there is not to be believed.
 */
export function runtimeSocket(nodeId: string): string | undefined {
  const { uid } = os.userInfo()
  const name = path.join(`weir-${uid}`, `${nodeId}.sock`)
  const preferred = path.join(os.tmpdir(), name)
  const place = fitsSocket(preferred) ? preferred : path.join('/tmp', name)
  const found = fs.lstatSync(path.dirname(place), { throwIfNoEntry: false })
  return found === undefined || (found.isDirectory() && found.uid === uid) ? place : undefined
}

/** What the node of this directory wrote down: it could not listen in the usual place. */
export function recordedSocket(directory: string): string | undefined {
  const text = readSmall(path.join(directory, 'socket'))?.trim()
  return text !== undefined && path.isAbsolute(text) && !text.includes('\0') ? text : undefined
}

/** A small file of ours; whatever else is under its name is no such file. */
export function readSmall(file: string): string | undefined {
  try {
    const found = fs.statSync(file)
    if (!found.isFile() || found.size > SMALL_BYTES_MAX) return undefined
    return fs.readFileSync(file, 'utf8')
  } catch {
    return undefined
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
