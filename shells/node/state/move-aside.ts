/** Keeps what is in our way instead of deleting it. */
import fs from 'node:fs'

/**
 * Renames `PATH` to `PATH.broken-<timestamp>` and says the new path; undefined when that failed.
 * A dangling symbolic link is moved as it is.
 */
export function moveAside(path: string): string | undefined {
  const stamp = new Date().toISOString().replaceAll(/[-:]|\.\d+/g, '')
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    const target = `${path}.broken-${stamp}${attempt === 1 ? '' : `-${attempt}`}`
    try {
      // rename() would replace an older one; only a name that is free is good.
      if (fs.lstatSync(target, { throwIfNoEntry: false }) !== undefined) continue
      fs.renameSync(path, target)
      return target
    } catch {
      return undefined
    }
  }
  return undefined
}

const ATTEMPTS_MAX = 100
