/** One-based, as editors count. */
export interface Position {
  readonly line: number
  readonly column: number
}

/** Where in the tree: keys and list indexes from the root. */
export type Path = readonly (string | number)[]

/**
 * Where things stand in the file: a path's key or item under its {@link pathKey}, and a scalar's
 * own text under its {@link valueKey}.
 */
export type Positions = ReadonlyMap<string, Position>

/** Something wrong with a deployment file: what, where, and what to do. */
export interface Problem {
  readonly path: Path
  readonly message: string
  /** Which end of `key: value` is at fault; the key when not said. */
  readonly at?: 'key' | 'value'
}

/** A JSON pointer (RFC 6901), usable as a map key. */
export const pathKey = (path: Path): string => path.map(pointerPart).join('')

/** One step of a {@link pathKey}. */
export const pointerPart = (part: string | number): string =>
  `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`

/** The key of a scalar's own position; no pointer begins with `=`. */
export const valueKey = (pointer: string): string => `=${pointer}`

/** The nearest position known for a path: its own, or that of the closest parent. */
export function positionOf(
  path: Path,
  positions: Positions,
  at: 'key' | 'value' = 'key',
): Position {
  const pointer = pathKey(path)
  const own = at === 'value' ? positions.get(valueKey(pointer)) : undefined
  if (own !== undefined) return own
  for (let length = path.length; length >= 0; length--) {
    const position = positions.get(
      length === path.length ? pointer : pathKey(path.slice(0, length)),
    )
    if (position !== undefined) return position
  }
  return { line: 1, column: 1 }
}

/** `FILE:LINE:COLUMN: message`, the form editors and people can jump from. */
export function formatProblem(problem: Problem, file: string, positions: Positions): string {
  const { line, column } = positionOf(problem.path, positions, problem.at)
  return `${file}:${line}:${column}: ${problem.message}`
}
