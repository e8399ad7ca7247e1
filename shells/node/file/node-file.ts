/**
 * Node files: YAML text in, settings of a node or problems as `FILE:LINE:COLUMN: message` out.
 * Nothing an operator can write makes it throw, hang or eat the memory.
 */
import { decodeNodeFile } from '../../../core/spec/node/file.ts'
import type { NodeSettings } from '../../../core/spec/node/settings.ts'
import type { Problem } from '../../../core/spec/problem.ts'
import { problemLines } from './problem-lines.ts'
import { readYaml } from './yaml-tree.ts'

export { nodeJsonSchema as nodeFileSchema } from '../../../core/spec/node/file.ts'

export type LoadedNodeFile =
  | { readonly ok: true; readonly settings: NodeSettings; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/** `file` is only shown. `certificates` is what the file says: relative to the file's directory. */
export function loadNodeFile(text: string, file: string): LoadedNodeFile {
  const read = readYaml(text)
  const print = (problems: readonly Problem[]) => problemLines(problems, file, read.positions)
  if (read.tree === undefined) return { ok: false, problems: print(read.problems) }
  const decoded = decodeNodeFile(read.tree)
  if (!decoded.ok || read.problems.length > 0) {
    const problems = decoded.ok ? [] : decoded.problems
    return { ok: false, problems: print([...read.problems, ...problems]) }
  }
  return { ok: true, settings: decoded.settings, warnings: print(decoded.warnings) }
}
