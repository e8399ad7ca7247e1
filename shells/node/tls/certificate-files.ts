/** The files of a certificate directory, by the name they are for. */
import { open, readdir } from 'node:fs/promises'
import path from 'node:path'
import { reasonOf } from '../socket-errors.ts'
import type { PairFile } from './pair.ts'

/** What is there for one name: both files, or one, or one that cannot be read. */
export interface Found {
  certificate?: FoundFile
  key?: FoundFile
}

export type FoundFile =
  | ({ readonly ok: true } & PairFile)
  | { readonly ok: false; readonly name: string; readonly problem: string }

export interface Listing {
  readonly found: ReadonlyMap<string, Found>
  /** Of files that are nobody's. */
  readonly problems: readonly string[]
}

/** `default`, for whom there is no other certificate. */
export const DEFAULT_NAME = 'default'

/** Rejects with the system's error when the directory cannot be read. `namesMax`: of so many names. */
export async function readCertificateFiles(
  directory: string,
  namesMax = NAMES_MAX,
): Promise<Listing> {
  const found = new Map<string, Found>()
  const leftOut = new Set<string>()
  const problems: string[] = []
  // Sorted, so that of two files for one thing it is always the same one that counts.
  for (const file of (await readdir(directory)).toSorted()) {
    const [, stem, ending] = FILE.exec(file) ?? []
    if (stem === undefined) continue
    const name = nameOf(stem)
    if (name === undefined) {
      problems.push(`${file} is not used: "${stem}" is no name that a client can ask for`)
      continue
    }
    const kind = ending === 'crt' ? 'certificate' : 'key'
    const pair = found.get(name) ?? {}
    const other = pair[kind]
    if (other !== undefined) {
      problems.push(`${file} is not used: ${other.name} is for ${name} already`)
    } else if (found.size >= namesMax && !found.has(name)) {
      leftOut.add(name)
    } else {
      found.set(name, { ...pair, [kind]: await read(directory, file) })
    }
  }
  if (leftOut.size > 0) {
    const [first] = leftOut
    const more = leftOut.size === 1 ? '' : ` and ${leftOut.size - 1} more`
    problems.push(`${first}${more}: not used, there are ${namesMax} names already`)
  }
  return { found, problems }
}

/** What a file is, going by its name; undefined: none of a pair. */
export function pairPartOf(
  file: string,
): { readonly name: string; readonly kind: 'certificate' | 'key' } | undefined {
  const [, stem, ending] = FILE.exec(file) ?? []
  const name = stem === undefined ? undefined : nameOf(stem)
  return name === undefined ? undefined : { name, kind: ending === 'crt' ? 'certificate' : 'key' }
}

/** `_.example.com` and `*.example.com` are `*.example.com`; undefined: nobody can ask for it. */
function nameOf(stem: string): string | undefined {
  const name = stem.toLowerCase().replace(/^_\./, '*.')
  return SERVER_NAME.test(name) ? name : undefined
}

async function read(directory: string, name: string): Promise<FoundFile> {
  try {
    const file = await open(path.join(directory, name))
    try {
      const { size } = await file.stat()
      if (size > FILE_BYTES_MAX) {
        return { ok: false, name, problem: `${name} is larger than ${FILE_BYTES_MAX} bytes` }
      }
      return { ok: true, name, text: await file.readFile('utf8') }
    } finally {
      await file.close()
    }
  } catch (error) {
    return { ok: false, name, problem: `${name} cannot be read: ${fileReasonOf(error)}` }
  }
}

/** Why a file or directory cannot be read. */
export function fileReasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return WORDS[code] ?? reasonOf(error)
}

/** Hidden ones are somebody's scratch files, or Kubernetes' own. */
const FILE = /^(?!\.)(.+)\.(crt|key)$/
/**
 * A host name (RFC 1123, 2.1), also with underscores; or a wildcard for one more label before at
 * least two others, since only names of three labels and more are looked up so.
 */
const SERVER_NAME =
  /^(?=.{1,253}$)(?:\*\.(?=[^.]+\.[^.]))?[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_][a-z0-9_-]{0,62})*$/
const NAMES_MAX = 10_000
const FILE_BYTES_MAX = 1_048_576
const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'it is not there',
  ENOTDIR: 'it is not a directory',
  EISDIR: 'it is a directory',
}
