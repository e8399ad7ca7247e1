/** Reads the last lines of log files, from the end, so that the size of a file does not matter. */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'

/** How many files one log has at most, the one being written included. */
export const FILES = 4

/** The files of one log, newest first. */
export const rotatedPaths = (path: string): string[] =>
  Array.from({ length: FILES }, (_, index) => (index === 0 ? path : `${path}.${index}`))

/**
 * The last lines of one log, oldest first. `paths` are its files, the newest first; `pending` is
 * what still has to follow the first `size` bytes of the newest. What cannot be read is left out.
 */
export function readLastLines(
  paths: readonly string[],
  linesMax: number,
  pending: Buffer = EMPTY,
  size?: number,
): string[] {
  let lines: string[] = []
  for (const [index, path] of paths.entries()) {
    const wanted = linesMax - lines.length
    if (wanted <= 0) break
    const after = index === 0 ? pending : EMPTY
    lines = [...lastLines(path, wanted, after, index === 0 ? size : undefined), ...lines]
  }
  return lines
}

function lastLines(path: string, wanted: number, pending: Buffer, size?: number): string[] {
  const blocks = [pending]
  let feeds = countFeeds(pending)
  let descriptor: number | undefined
  try {
    descriptor = openSync(path, 'r')
    let from = size ?? fstatSync(descriptor).size
    // one more than wanted: the line feed before the first wanted line
    while (from > 0 && feeds <= wanted) {
      const length = Math.min(from, BLOCK_BYTES)
      from -= length
      const block = Buffer.alloc(length)
      const filled = block.subarray(0, readSync(descriptor, block, 0, length, from))
      feeds += countFeeds(filled)
      blocks.unshift(filled)
    }
  } catch {
    // not there (yet, any more): what is pending is all there is
  } finally {
    if (descriptor !== undefined) closeSync(descriptor)
  }
  const text = Buffer.concat(blocks).toString('utf8')
  if (text === '') return []
  return (text.endsWith('\n') ? text.slice(0, -1) : text).split('\n').slice(-wanted)
}

/** Does the file end in the middle of a line? */
export function endsTorn(descriptor: number, size: number): boolean {
  if (size === 0) return false
  const last = Buffer.alloc(1)
  return readSync(descriptor, last, 0, 1, size - 1) === 1 && last[0] !== LINE_FEED
}

export function countFeeds(bytes: Buffer): number {
  let feeds = 0
  for (let at = bytes.indexOf(LINE_FEED); at !== -1; at = bytes.indexOf(LINE_FEED, at + 1)) feeds++
  return feeds
}

const EMPTY = Buffer.alloc(0)
const LINE_FEED = 0x0a
const BLOCK_BYTES = 64 * 1024
