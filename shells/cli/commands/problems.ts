/** What is wrong with a file, for people and for programs. Loads nothing that reads files. */
import { styled } from '../screen/table.ts'
import type { Terminal } from '../screen/terminal.ts'

/** Each on a line of its own, unchanged: editors jump to FILE:LINE:COLUMN. */
export function printProblems(terminal: Terminal, problems: readonly string[]): void {
  for (const problem of problems) terminal.error(`${problem}\n`)
}

export function printWarnings(terminal: Terminal, warnings: readonly string[]): void {
  const mark = styled('warning:', 'yellow', terminal.errorColour)
  for (const warning of warnings) terminal.error(`${mark} ${warning}\n`)
}

/** `FILE:LINE:COLUMN: message` taken apart for programs; `file` may hold colons itself. */
export function placedProblem(
  text: string,
  file: string,
): { file: string; line?: number; column?: number; message: string } {
  const rest = text.startsWith(`${file}:`) ? text.slice(file.length + 1) : text
  const place = /^(\d+):(\d+): (.*)$/s.exec(rest)
  if (place === null) return { file, message: text }
  return { file, line: Number(place[1]), column: Number(place[2]), message: place[3]! }
}
