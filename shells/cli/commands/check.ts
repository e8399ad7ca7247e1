/** `weir check` and `weir schema`: the deployment file without a node. */
import { jsonSchema, loadDeployment } from '../../node/file/deployment-file.ts'
import { readSource } from '../arguments.ts'
import { DONE, FAILED } from '../failure.ts'
import { countText } from '../screen/describe.ts'
import { styled } from '../screen/table.ts'
import type { Terminal } from '../screen/terminal.ts'

export function check(terminal: Terminal, file: string, options: { json?: boolean }): number {
  const source = readSource(file)
  const loaded = loadDeployment(source.text, file)
  if (options.json) {
    const answer = loaded.ok
      ? {
          ok: true,
          deployment: loaded.deployment.name,
          services: Object.keys(loaded.deployment.services).sort(),
          warnings: loaded.warnings.map((text) => placedProblem(text, file)),
        }
      : { ok: false, problems: loaded.problems.map((text) => placedProblem(text, file)) }
    terminal.out(`${JSON.stringify(answer, null, 2)}\n`)
    return loaded.ok ? DONE : FAILED
  }
  if (!loaded.ok) {
    printProblems(terminal, loaded.problems)
    return FAILED
  }
  printWarnings(terminal, loaded.warnings)
  const services = countText(Object.keys(loaded.deployment.services).length, 'service')
  terminal.out(`${file}: ok, deployment ${loaded.deployment.name} with ${services}\n`)
  return DONE
}

export function schema(terminal: Terminal): number {
  terminal.out(`${JSON.stringify(jsonSchema(), null, 2)}\n`)
  return DONE
}

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
