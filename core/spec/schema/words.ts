/** How problems speak: short, quoting what was written, safe to print on a terminal. */
import type { Path } from '../problem.ts'

/** A value as a person would recognise it, at most some forty characters. */
export function show(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (Array.isArray(value)) return value.length === 0 ? 'an empty list' : 'a list'
  switch (typeof value) {
    case 'object':
      return 'a map'
    case 'string':
      return quote(value)
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value)
    default:
      return `a ${typeof value}`
  }
}

/** Text in double quotes, cut when long, with nothing in it a terminal would obey. */
export function quote(text: string): string {
  const cut = text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}...` : text
  return JSON.stringify(cut).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** A key as it is written: bare when it is plain, quoted otherwise. */
export const showKey = (key: string): string => (/^[\w.-]{1,64}$/.test(key) ? key : quote(key))

/** What a path's last step is called: `port`, `backends[2]`, `the file`. */
export function subject(path: Path): string {
  let indexes = ''
  for (let at = path.length - 1; at >= 0; at--) {
    const part = path[at]!
    if (typeof part === 'string') return showKey(part) + indexes
    indexes = `[${part}]${indexes}`
  }
  return path.length === 0 ? 'the file' : `item ${indexes}`
}

/** `a`, `a or b`, `a, b or c`. */
export function alternatives(words: readonly string[]): string {
  if (words.length < 2) return words.join('')
  return `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`
}

const SHOWN_MAX = 40
