/** Problems as lines that editors and people can jump from. */
import {
  formatProblem,
  type Positions,
  type Problem,
  positionOf,
} from '../../../core/spec/problem.ts'

/** In the order of the file; a file that is wrong all over is not printed to the end. */
export function problemLines(
  problems: readonly Problem[],
  file: string,
  positions: Positions,
): string[] {
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
