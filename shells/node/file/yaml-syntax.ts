/** What is wrong with a text before it is a tree: no UTF-8, no YAML, something never closed. */
import { type CST, type Document, Parser, type YAMLError } from 'yaml'
import {
  type Position,
  type Positions,
  type Problem,
  pointerPart,
} from '../../../core/spec/problem.ts'

export interface SyntaxProblems {
  readonly positions: Positions
  readonly problems: readonly Problem[]
}

interface Fault {
  readonly offset: number
  readonly message: string
}

/**
 * Where a file stops being text. Decoding has put U+FFFD where bytes were no UTF-8, and every
 * other byte of UTF-16 is NUL.
 */
export function encodingProblems(text: string): SyntaxProblems {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: NUL is what is looked for
  const offset = text.search(/[\u0000\ufffd]/)
  if (offset === -1) return placed([], NOWHERE)
  const before = text.slice(0, offset).split('\n')
  const position = { line: before.length, column: before.at(-1)!.length + 1 }
  const message = 'the file is not UTF-8 text here; save it as UTF-8'
  return placed([{ offset, message }], () => position)
}

export function syntaxProblems(
  text: string,
  document: Document.Parsed,
  positionAt: (offset: number) => Position,
): SyntaxProblems {
  const unknownTags = document.warnings.filter(({ code, message }) => {
    return code === 'TAG_RESOLVE_FAILED' && !/Unresolved tag: ![^!]/.test(message)
  })
  const errors = [...document.errors, ...unknownTags]
  const tooDeep = errors.find(({ code }) => code === 'RESOURCE_EXHAUSTION')
  if (tooDeep !== undefined) return placed([faultOf(tooDeep)], positionAt)
  const open = errors.some(isUnclosed) ? unclosed(text) : []
  const others = open.length === 0 ? errors : errors.filter((error) => !isUnclosed(error))
  return placed([...open, ...others.map(faultOf)], positionAt)
}

/** Errors of the text itself have no place in a tree, so each gets a path of its own. */
function placed(
  faults: readonly Fault[],
  positionAt: (offset: number) => Position,
): SyntaxProblems {
  const positions = new Map<string, Position>()
  const problems: Problem[] = []
  for (const { offset, message } of faults) {
    const path = [`yaml ${offset}`]
    const key = pointerPart(path[0]!)
    if (positions.has(key)) continue // what follows from the first error at a place
    positions.set(key, positionAt(offset))
    problems.push({ path, message })
  }
  return { positions, problems }
}

function faultOf({ code, message, pos }: YAMLError): Fault {
  // the library quotes the file, which may hold what a terminal would obey
  const plain = message.replace(/[\p{Cc}\p{Cf}\s]+/gu, ' ').trim()
  const explained = (): string => {
    switch (code) {
      case 'TAB_AS_INDENT':
        return 'a tab cannot indent YAML; use spaces'
      case 'MULTIPLE_DOCS':
        return 'a second document begins here; a file holds one deployment'
      case 'BAD_INDENT':
      case 'BLOCK_AS_IMPLICIT_KEY':
      case 'MULTILINE_IMPLICIT_KEY':
        return `the indentation or a colon is wrong here: ${lowered(plain)}`
      case 'RESOURCE_EXHAUSTION':
        return 'the file is nested too deeply'
      default:
        return `not YAML: ${lowered(plain)}`
    }
  }
  return { offset: pos[0], message: explained() }
}

const lowered = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1)

/** The library says these where the file ends, which is not where the mistake is. */
const isUnclosed = ({ message }: YAMLError): boolean =>
  /^Flow (map|sequence) .*must .*end with a|^Missing closing ["']quote/.test(message)

/** A bracket or quote without an end; `fault` is unset where that only follows from one inside. */
interface Open {
  readonly offset: number
  fault: string | undefined
  readonly outer: Open | undefined
}

/** Goes through the tokens with a stack of its own: brackets nest deeper than calls can. */
function unclosed(text: string): readonly Fault[] {
  const found: Open[] = []
  const stack: { token: CST.Token | null | undefined; outer: Open | undefined }[] = []
  for (const token of new Parser().parse(text)) stack.push({ token, outer: undefined })
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    const { token, outer } = top
    if (token === null || token === undefined) continue
    const ending = endingOf(token)
    const open = ending && { offset: token.offset, fault: ending.fault, outer }
    if (open !== undefined) found.push(open)
    // what swallowed the ends of those around it is the one mistake
    if (ending?.swallows === true) {
      for (let each = outer; each?.fault !== undefined; each = each.outer) each.fault = undefined
    }
    if ('items' in token) {
      for (const { key, value } of token.items as readonly CST.CollectionItem[]) {
        stack.push({ token: key, outer: open ?? outer }, { token: value, outer: open ?? outer })
      }
    } else if (token.type === 'document') stack.push({ token: token.value, outer })
  }
  return found.flatMap(({ offset, fault }) =>
    fault === undefined ? [] : [{ offset, message: fault }],
  )
}

/** What is wrong with the end of a token, and whether ends around it went missing with it. */
function endingOf(token: CST.Token): { fault: string; swallows: boolean } | undefined {
  if (token.type === 'double-quoted-scalar' || token.type === 'single-quoted-scalar') {
    const mark = token.source.charAt(0)
    if (token.source.length > 1 && token.source.endsWith(mark)) return undefined
    return { fault: `the ${mark} that begins here is never closed`, swallows: true }
  }
  if (token.type !== 'flow-collection') return undefined
  const isMap = token.start.type === 'flow-map-start'
  const [begin, end] = isMap ? ['{', '}'] : ['[', ']']
  const last = token.end.find(({ type }) => /^flow-(map|seq|error)-end$/.test(type))
  if (last?.type === (isMap ? 'flow-map-end' : 'flow-seq-end')) return undefined
  const fault = `the ${begin} that begins here is never closed`
  if (last !== undefined && last.type !== 'flow-error-end') {
    return { fault: `${fault}: a ${last.source} comes before its ${end}`, swallows: true }
  }
  const advice = `its ${end} must come before any line that is not indented more`
  return { fault: `${fault}; ${advice}`, swallows: false }
}

const NOWHERE = (): Position => ({ line: 1, column: 1 })
