/** The file as it was written, for rules that must say which of several texts is at fault. */
import type { Path } from '../problem.ts'

/** What stands at a place; undefined when there is none. */
export function writtenAt(tree: unknown, path: Path): unknown {
  let value = tree
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Readonly<Record<string | number, unknown>>)[part]
  }
  return value
}

/** The text at a place, or those of the list or the map there. */
export function textsAt(tree: unknown, path: Path): readonly { at: Path; text: string }[] {
  const value = writtenAt(tree, path)
  if (typeof value === 'string') return [{ at: path, text: value }]
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, text]) =>
    typeof text === 'string'
      ? [{ at: [...path, Array.isArray(value) ? Number(key) : key], text }]
      : [],
  )
}
