/**
 * Splits a command written as one text into words the way a shell would, without a shell: quotes
 * and backslashes count; variables, globs, pipes and the like mean nothing.
 */

export type Split =
  | { readonly ok: true; readonly words: readonly string[] }
  | { readonly ok: false; readonly reason: string }

export function splitWords(text: string): Split {
  const words: string[] = []
  let word: string | undefined
  let bare = true // nothing of the word was quoted
  const finish = (): string | undefined => {
    if (word === undefined) return undefined
    if (bare && OPERATORS.has(word)) return word
    words.push(word)
    word = undefined
    bare = true
    return undefined
  }
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!
    if (SPACE.test(character)) {
      const operator = finish()
      if (operator !== undefined) return needsShell(operator)
    } else if (character === "'" || character === '"') {
      const quoted = readQuoted(text, at)
      if (quoted === undefined) {
        return { ok: false, reason: `the ${character} at character ${at + 1} is never closed` }
      }
      word = (word ?? '') + quoted.text
      bare = false
      at = quoted.end
    } else if (character === '\\') {
      at++
      if (at === text.length) return { ok: false, reason: 'it ends in a lone backslash' }
      if (text[at] === '\n') continue // the shell's way to go on in the next line
      word = (word ?? '') + text[at]
      bare = false
    } else word = (word ?? '') + character
  }
  const operator = finish()
  return operator === undefined ? { ok: true, words } : needsShell(operator)
}

/** From the opening quote to the closing one; undefined when there is none. */
function readQuoted(text: string, start: number): { text: string; end: number } | undefined {
  const mark = text[start]!
  if (mark === "'") {
    const end = text.indexOf(mark, start + 1)
    return end === -1 ? undefined : { text: text.slice(start + 1, end), end }
  }
  let read = ''
  for (let at = start + 1; at < text.length; at++) {
    const character = text[at]!
    if (character === mark) return { text: read, end: at }
    const next = text[at + 1]
    if (character !== '\\' || next === undefined || !ESCAPED_IN_DOUBLE.includes(next)) {
      read += character
      continue
    }
    if (next !== '\n') read += next
    at++
  }
  return undefined
}

const needsShell = (operator: string): Split => ({
  ok: false,
  reason: `no shell reads it, so ${operator} would be an ordinary word; write [sh, -c, "..."], or quote it`,
})

const SPACE = /[ \t\r\n]/
const ESCAPED_IN_DOUBLE = '"\\$`\n'
/** Words that are almost certainly meant for a shell. */
const OPERATORS = new Set(['&&', '||', '|', ';', '&', '>', '>>', '<', '2>&1', '2>', '&>'])
