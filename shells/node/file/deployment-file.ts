/**
 * Deployment files: YAML text in, a {@link Deployment} or problems as `FILE:LINE:COLUMN: message`
 * out. Nothing an operator can write makes it throw, hang or eat the memory.
 */
import { type Unbuilt, unbuilt } from '../../../core/spec/built.ts'
import { decodeDeployment } from '../../../core/spec/decode.ts'
import type { Deployment } from '../../../core/spec/deployment.ts'
import {
  formatProblem,
  type Positions,
  type Problem,
  positionOf,
} from '../../../core/spec/problem.ts'
import { readYaml } from './yaml-tree.ts'

export { jsonSchema } from '../../../core/spec/decode.ts'

export type LoadedDeployment =
  | { readonly ok: true; readonly deployment: Deployment; readonly warnings: readonly string[] }
  | { readonly ok: false; readonly problems: readonly string[] }

/** What can be checked: fields whose work is not built yet are warned of. `file` is only shown. */
export function loadDeployment(text: string, file: string): LoadedDeployment {
  return load(text, file, (found) => ({
    refused: [],
    warned: found.map(({ path, level, message }) => ({
      path,
      message: level === 'refuse' ? `${message} (weir up refuses it)` : message,
    })),
  }))
}

/** What can be run: fields whose work is not built yet are refused when ignoring them would lie. */
export function admitDeployment(text: string, file: string): LoadedDeployment {
  return load(text, file, (found) => ({
    refused: found.filter(({ level }) => level === 'refuse'),
    warned: found.filter(({ level }) => level === 'warn'),
  }))
}

function load(
  text: string,
  file: string,
  judge: (found: readonly Unbuilt[]) => { refused: readonly Problem[]; warned: readonly Problem[] },
): LoadedDeployment {
  const read = readYaml(text)
  const print = (problems: readonly Problem[]) => printed(problems, file, read.positions)
  if (read.tree === undefined) return { ok: false, problems: print(read.problems) }
  const decoded = decodeDeployment(read.tree)
  if (!decoded.ok || read.problems.length > 0) {
    const problems = decoded.ok ? [] : decoded.problems
    return { ok: false, problems: print([...read.problems, ...problems]) }
  }
  const { deployment } = decoded
  const { refused, warned } = judge(unbuilt(deployment))
  if (refused.length > 0) return { ok: false, problems: print(refused) }
  return { ok: true, deployment, warnings: print(warned) }
}

/** In the order of the file; a file that is wrong all over is not printed to the end. */
function printed(problems: readonly Problem[], file: string, positions: Positions): string[] {
  const placed = problems.map((problem) => ({
    problem,
    at: positionOf(problem.path, positions, problem.at),
  }))
  placed.sort((a, b) => a.at.line - b.at.line || a.at.column - b.at.column)
  const lines = placed
    .slice(0, PROBLEMS_MAX)
    .map(({ problem }) => formatProblem(problem, file, positions))
  const more = placed.length - lines.length
  const at = placed[PROBLEMS_MAX]?.at
  if (at !== undefined) lines.push(`${file}:${at.line}:${at.column}: and ${more} more problems`)
  return [...new Set(lines)]
}

export const PROBLEMS_MAX = 1000
