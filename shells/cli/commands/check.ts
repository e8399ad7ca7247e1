/** `weir check` and `weir schema`: deployment file and node file without a node. */
import { defaultNodeSettings } from '../../../core/spec/node/settings.ts'
import { jsonSchema, loadDeployment } from '../../node/file/deployment-file.ts'
import { type LoadedNodeFile, loadNodeFile, nodeFileSchema } from '../../node/file/node-file.ts'
import { readNodeSource, readSource } from '../arguments.ts'
import { DONE, FAILED } from '../failure.ts'
import { countText } from '../screen/describe.ts'
import type { Terminal } from '../screen/terminal.ts'
import { placedProblem, printProblems, printWarnings } from './problems.ts'

export interface CheckOptions {
  readonly json?: boolean
  /** The node file. */
  readonly node?: string
}

export function check(terminal: Terminal, file: string, options: CheckOptions): number {
  const node = options.node === undefined ? undefined : nodeSettings(options.node, file)
  const source = readSource(file)
  // without good settings nothing is known of what the node has
  const settings = node?.ok ? node.settings : undefined
  const loaded = loadDeployment(source.text, file, settings, source.directory)
  const problems = [
    ...placed(options.node ?? '', node?.ok === false ? node.problems : []),
    ...placed(file, loaded.ok ? [] : loaded.problems),
  ]
  const warnings = [
    ...placed(options.node ?? '', node?.ok ? node.warnings : []),
    ...placed(file, loaded.ok ? loaded.warnings : []),
  ]
  const isGood = loaded.ok && problems.length === 0
  if (options.json) {
    const answer = isGood
      ? {
          ok: true,
          deployment: loaded.deployment.name,
          services: Object.keys(loaded.deployment.services).sort(),
          warnings: warnings.map(({ text, of }) => placedProblem(text, of)),
        }
      : { ok: false, problems: problems.map(({ text, of }) => placedProblem(text, of)) }
    terminal.out(`${JSON.stringify(answer, null, 2)}\n`)
    return isGood ? DONE : FAILED
  }
  const texts = (found: typeof problems) => found.map(({ text }) => text)
  printProblems(terminal, texts(problems))
  if (!isGood) return FAILED
  printWarnings(terminal, texts(warnings))
  const services = countText(Object.keys(loaded.deployment.services).length, 'service')
  const fits = options.node === undefined ? '' : `; ${options.node}: ok`
  terminal.out(`${file}: ok, deployment ${loaded.deployment.name} with ${services}${fits}\n`)
  return DONE
}

export function schema(terminal: Terminal, options: { readonly node?: boolean }): number {
  terminal.out(`${JSON.stringify(options.node ? nodeFileSchema() : jsonSchema(), null, 2)}\n`)
  return DONE
}

/** What the node file says, or the defaults when there is none; its paths count from its directory. */
export function nodeSettings(file: string | undefined, deploymentFile: string): LoadedNodeFile {
  if (file === undefined) return { ok: true, settings: defaultNodeSettings, warnings: [] }
  const source = readNodeSource(file, deploymentFile)
  return loadNodeFile(source.text, file, source.directory)
}

const placed = (of: string, texts: readonly string[]): { of: string; text: string }[] =>
  texts.map((text) => ({ of, text }))
