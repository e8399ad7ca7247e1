/** Tells a directory of ours from one that somebody keeps other things in. */
import fs from 'node:fs'
import path from 'node:path'

/** Under this name a state directory is always ours. */
export const STATE_DIRECTORY = '.weir'

/**
 * Names of what speaks against this directory being ours; none when it is empty or a node has
 * used it. Throws what readdir(2) answers.
 */
export function foreignIn(directory: string): string[] {
  const names = fs.readdirSync(directory).filter((name) => name !== 'lost+found')
  if (holdsJournal(directory)) return []
  const foreign = names.filter((name) => !OWN_NAME.test(name))
  if (foreign.length > 0) return foreign.sort()
  // `logs` alone is a name that many use; in ours each deployment has a directory
  if (names.length !== 1 || names[0] !== 'logs') return []
  return entriesOf(path.join(directory, 'logs')).every((entry) => entry.isDirectory())
    ? []
    : ['logs']
}

/** The one thing that nobody else makes, and that outlives a node. */
const holdsJournal = (directory: string): boolean =>
  entriesOf(path.join(directory, 'journal')).some((entry) => JOURNAL_FILE.test(entry.name))

function entriesOf(directory: string): fs.Dirent[] {
  try {
    return fs.readdirSync(directory, { withFileTypes: true })
  } catch {
    return [] // missing, or a file
  }
}

const JOURNAL_FILE = /^\d{6,}\.jsonl$/
/** What a node writes, what it was writing when it was killed, and what it moved aside. */
const OWN_NAME = /^(journal|logs|socket|weir\.sock|node\.json)(\.\d+|\.broken-.*)?$/
