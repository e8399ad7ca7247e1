/** One-based, as editors count. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Where in the tree: keys and list indexes from the root. */
export type Path = readonly (string | number)[]

/** Path (as {@link pathKey}) to the position of its key or item in the file. */
export type Positions = ReadonlyMap<string, Position>

/** Something wrong with a deployment file: what, where, and what to do. */
export interface Problem {
  readonly path: Path
  readonly message: string
}

/** A JSON pointer (RFC 6901), usable as a map key. */
export const pathKey = (path: Path): string =>
  path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')

/** The nearest position known for a path: its own, or that of the closest parent. */
export function positionOf(path: Path, positions: Positions): Position {
  for (let length = path.length; length >= 0; length--) {
    const position = positions.get(pathKey(path.slice(0, length)))
    if (position !== undefined) return position
  }
  return { line: 1, column: 1 }
}

/** `FILE:LINE:COLUMN: message`, the form editors and people can jump from. */
export function formatProblem(problem: Problem, file: string, positions: Positions): string {
  const { line, column } = positionOf(problem.path, positions)
  return `${file}:${line}:${column}: ${problem.message}`
}
