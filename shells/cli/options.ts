/** Arguments and options that several commands share, and what is printed around them. */
import { styleText } from 'node:util'
import { Argument, Option } from 'commander'
import {
  DEPLOYMENT_FILE,
  directoryName,
  fileName,
  STATE_DIRECTORY,
  wholeNumber,
} from './arguments.ts'

export const fileArgument = (): Argument =>
  new Argument('[FILE]', 'deployment file, or - for standard input').default(DEPLOYMENT_FILE)

/** The value is named FILE, so that completion offers files. */
export const nodeFileOption = (text: string): Option =>
  new Option('--node <FILE>', text).argParser(fileName)

export const stateOption = (
  text: string = `state directory of the node (default: WEIR_STATE, or the nearest ${STATE_DIRECTORY})`,
): Option => new Option('--state <DIR>', text).argParser(directoryName)

export const jsonOption = (text: string = 'print JSON'): Option => new Option('--json', text)

export const replicaOption = (text: string): Option =>
  new Option('--replica <N>', text).argParser(wholeNumber(1, REPLICAS_MAX))

export const examples = (...lines: readonly string[]): string =>
  `\n${styleText('bold', lines.length === 1 ? 'Example:' : 'Examples:', { validateStream: false })}\n${lines
    .map((line) => `  ${line}`)
    .join('\n')}`

/** Commander's message as our one line: what, and what to do. */
export function callError(text: string, words: readonly string[]): string {
  const what = text
    .trim()
    .replace(/\s*\n\s*/g, ' ')
    .replace(/^error: /, '')
    .replace(/\.$/, '')
  if (what.includes('Did you mean')) return `weir: ${what}`
  const command = words.find((word) => !word.startsWith('-'))
  const known = command !== undefined && !what.startsWith('unknown command')
  return `weir: ${what}; see weir ${known ? `${command} ` : ''}--help`
}

export const REPLICAS_MAX = 10_000
