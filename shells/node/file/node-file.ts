/**
 * Node files: YAML text in, settings of a node or problems as `FILE:LINE:COLUMN: message` out.
 * Nothing an operator can write makes it throw, hang or eat the memory.
 */
import { resolve } from 'node:path'
import { decodeNodeFile } from '../../../core/spec/node/file.ts'
import type { NodeSettings } from '../../../core/spec/node/settings.ts'
import type { Problem } from '../../../core/spec/problem.ts'
import { findCertificates } from './certificate-names.ts'
import { problemLines } from './problem-lines.ts'
import { readYaml } from './yaml-tree.ts'

export { nodeJsonSchema as nodeFileSchema } from '../../../core/spec/node/file.ts'

export type LoadedNodeFile =
  | { readonly ok: true; readonly settings: NodeSettings; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * `file` is only shown. With the `directory` that its paths count from they become absolute, and a
 * directory of certificates that cannot be read is a problem.
 */
export function loadNodeFile(text: string, file: string, directory?: string): LoadedNodeFile {
  const read = readYaml(text)
  const print = (problems: readonly Problem[]) => problemLines(problems, file, read.positions)
  if (read.tree === undefined) return { ok: false, problems: print(read.problems) }
  const decoded = decodeNodeFile(read.tree)
  if (!decoded.ok || read.problems.length > 0) {
    const problems = decoded.ok ? [] : decoded.problems
    return { ok: false, problems: print([...read.problems, ...problems]) }
  }
  const { settings, warnings } = decoded
  if (directory === undefined || settings.certificates === undefined) {
    return { ok: true, settings, warnings: print(warnings) }
  }
  const certificates = resolve(directory, settings.certificates)
  const found = findCertificates(certificates)
  if (!found.ok) {
    const message = `certificates cannot be read: ${certificates}: ${found.reason}`
    return { ok: false, problems: print([{ path: ['certificates'], message, at: 'value' }]) }
  }
  return { ok: true, settings: { ...settings, certificates }, warnings: print(warnings) }
}
