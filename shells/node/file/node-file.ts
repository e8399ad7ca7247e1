/**
 * Node files: YAML text in, settings of a node or problems as `FILE:LINE:COLUMN: message` out.
 * Nothing an operator can write makes it throw, hang or eat the memory.
 */
import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { decodeNodeFile } from '../../../core/spec/node/file.ts'
import type { NodeSettings } from '../../../core/spec/node/settings.ts'
import type { Problem } from '../../../core/spec/problem.ts'
import { findCertificates } from './certificate-names.ts'
import { pemFault, systemText } from './pem-file.ts'
import { problemLines } from './problem-lines.ts'
import { readYaml } from './yaml-tree.ts'

export { nodeJsonSchema as nodeFileSchema } from '../../../core/spec/node/file.ts'

export type LoadedNodeFile =
  | { readonly ok: true; readonly settings: NodeSettings; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/**
 * `file` is only shown. With the `directory` that its paths count from they become absolute, and what
 * they name is looked at: a directory of certificates that cannot be read is a problem, and so is a
 * place where no access log can be, or a file of certificates that holds none.
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
  const warnings = print(decoded.warnings)
  if (directory === undefined) return { ok: true, settings: decoded.settings, warnings }
  const settings = withAbsolutePaths(decoded.settings, directory)
  const problems = placeProblems(settings)
  return problems.length > 0
    ? { ok: false, problems: print(problems) }
    : { ok: true, settings, warnings }
}

function withAbsolutePaths(settings: NodeSettings, directory: string): NodeSettings {
  const { certificates, accessLog, acme } = settings
  return {
    ...settings,
    ...(certificates === undefined ? {} : { certificates: resolve(directory, certificates) }),
    ...(accessLog === undefined
      ? {}
      : { accessLog: { ...accessLog, file: resolve(directory, accessLog.file) } }),
    ...(acme?.ca === undefined ? {} : { acme: { ...acme, ca: resolve(directory, acme.ca) } }),
  }
}

function placeProblems({ certificates, accessLog, acme }: NodeSettings): readonly Problem[] {
  const found: Problem[] = []
  const add = (path: Problem['path'], fault: string | undefined): void => {
    if (fault !== undefined) found.push({ path, message: `${path.at(-1)} ${fault}`, at: 'value' })
  }
  if (certificates !== undefined) {
    const listed = findCertificates(certificates)
    add(
      ['certificates'],
      listed.ok ? undefined : `cannot be read: ${certificates}: ${listed.reason}`,
    )
  }
  if (accessLog !== undefined) add(['access_log', 'file'], logFault(accessLog.file))
  if (acme?.ca !== undefined) add(['acme', 'ca'], pemFault(acme.ca))
  return found
}

/** The file itself need not be there; it is not opened here. */
function logFault(file: string): string | undefined {
  try {
    const parent = dirname(file)
    if (!statSync(parent).isDirectory()) return `cannot be written: ${parent} is not a directory`
    const log = statSync(file, { throwIfNoEntry: false })
    return log?.isDirectory() ? `cannot be written: ${file} is a directory` : undefined
  } catch (error) {
    return `cannot be written: ${dirname(file)}: ${systemText(error)}`
  }
}
