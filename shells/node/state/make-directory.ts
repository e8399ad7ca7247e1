/** Makes a directory and the ones above it, for the owner alone. */
import fs from 'node:fs'
import path from 'node:path'

/**
 * True when it was made, false when it was there. Throws what mkdir(2) answers.
 *
 * Not mkdir's own `recursive`: where mkdir answers ENOENT although the parent exists, as in
 * `/proc`, that one never returns.
 */
export function makeDirectory(directory: string): boolean {
  try {
    fs.mkdirSync(directory, { mode: 0o700 })
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'EEXIST' && isDirectory(directory)) return false
    const parent = path.dirname(directory)
    if (code !== 'ENOENT' || fs.lstatSync(parent, { throwIfNoEntry: false }) !== undefined) {
      throw error
    }
    makeDirectory(parent)
    fs.mkdirSync(directory, { mode: 0o700 })
    return true
  }
}

export const isDirectory = (where: string): boolean =>
  fs.statSync(where, { throwIfNoEntry: false })?.isDirectory() === true
