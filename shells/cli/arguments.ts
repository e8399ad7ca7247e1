/** From the words of a call to files, directories and numbers. */
import { existsSync, readFileSync, statSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { STATE_DIRECTORY } from '../node/state/mark.ts'
import { failed, systemText, wrongCall } from './failure.ts'

/** A deployment file, or a node file, as it was read. */
export interface Source {
  readonly text: string
  /** As the operator wrote it: problems are printed with it, so that an editor can jump there. */
  readonly file: string
  /** Absolute; the file's programs run here, its paths begin here. */
  readonly directory: string
}

export const DEPLOYMENT_FILE = 'weir.yaml'
export { STATE_DIRECTORY }

/** Instead of a file. */
const STANDARD_INPUT = '-'

/** Reads the deployment file, or standard input (`-`). A file that is not there is a wrong call, one that cannot be read a failure. */
export const readSource = (file: string = DEPLOYMENT_FILE): Source =>
  readFileOf(file, 'deployment file', `, ${join(file, DEPLOYMENT_FILE)}`)

/** Likewise the node file of a call that reads `deploymentFile`. */
export function readNodeSource(file: string, deploymentFile: string): Source {
  if (file === STANDARD_INPUT && deploymentFile === STANDARD_INPUT) {
    throw wrongCall('standard input is one file: name the deployment file, or the node file')
  }
  return readFileOf(file, 'node file', '')
}

/** `inDirectory`: what to name when it is a directory. */
function readFileOf(file: string, kind: string, inDirectory: string): Source {
  try {
    if (file === STANDARD_INPUT) {
      return { text: readFileSync(0, 'utf8'), file, directory: process.cwd() }
    }
    const text = readFileSync(file, 'utf8')
    return { text, file, directory: dirname(resolve(file)) }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ENOTDIR') {
      throw wrongCall(`there is no file ${file}: name the ${kind}, or create it`)
    }
    if (code === 'EISDIR') throw wrongCall(`${file} is a directory: name the ${kind}${inDirectory}`)
    throw failed(`cannot read ${file}: ${systemText(error)}`)
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/** Where `up` keeps its state: --state, else WEIR_STATE, else `.weir` beside the file. Absolute. */
export function stateForNode(
  given: string | undefined,
  fileDirectory: string,
  env: Environment = process.env,
): string {
  return resolve(given ?? fromEnvironment(env) ?? join(fileDirectory, STATE_DIRECTORY))
}

/**
 * The state directory of the node to talk to: --state, else WEIR_STATE, else the nearest `.weir`
 * here or in a directory above. Absolute.
 */
export function stateOfNode(
  given: string | undefined,
  env: Environment = process.env,
  from: string = process.cwd(),
): string {
  const named = given ?? fromEnvironment(env)
  if (named !== undefined) return resolve(from, named)
  for (let directory = from; ; directory = dirname(directory)) {
    const candidate = join(directory, STATE_DIRECTORY)
    if (isDirectory(candidate)) return candidate
    if (directory === dirname(directory)) break
  }
  throw failed(
    `no node was ever started here: there is no ${STATE_DIRECTORY} in ${from} or above; ` +
      'start one with `weir up`, or name its state directory with --state DIR',
  )
}

/** A parser for commander: a whole number in a range. */
export function wholeNumber(min: number, max: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN
    if (value >= min && value <= max) return value
    throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`)
  }
}

/** A parser for commander: the value of --state. Empty is a variable of a script that is not set. */
export function directoryName(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('Name a directory.')
}

/** A parser for commander: the value of --node. */
export function fileName(text: string): string {
  if (text !== '') return text
  throw new InvalidArgumentError('Name a file.')
}

const fromEnvironment = (env: Environment): string | undefined => env.WEIR_STATE || undefined

const isDirectory = (path: string): boolean =>
  existsSync(path) && statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
