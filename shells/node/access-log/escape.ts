/**
 * What came from clients, as part of a log line: nothing of it ends the line, or its own place in it.
 * Texts are Latin-1, one byte a character; lines are ASCII.
 */

/** A JSON string. Bytes beyond ASCII are `\u00hh`. */
export const jsonText = (text: string): string => `"${text.replace(ODD_EACH, jsonEscape)}"`

/** Likewise, of a text that is plain. */
export const plainText = (text: string): string => `"${text}"`

/** Nothing of it is escaped. */
export const isPlain = (text: string): boolean => !ODD.test(text)

/**
 * Between quotes, as Apache's ap_escape_logitem does it: `\"`, `\\`, `\n` and the like, else `\xhh`;
 * `-` for nothing.
 */
export function apacheText(text: string): string {
  if (text === '') return '-'
  return ODD.test(text) ? text.replace(ODD_EACH, apacheEscape) : text
}

const jsonEscape = (character: string): string =>
  character === '"' || character === '\\'
    ? `\\${character}`
    : `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`

function apacheEscape(character: string): string {
  const known = APACHE_ESCAPES[character]
  if (known !== undefined) return known
  const code = character.charCodeAt(0)
  // no byte of a head is above 255; should one be, both of its halves are shown
  const low = `\\x${hex(code & 0xff)}`
  return code > 0xff ? `\\x${hex(code >>> 8)}${low}` : low
}

const hex = (byte: number): string => byte.toString(16).padStart(2, '0')

const APACHE_ESCAPES: Readonly<Record<string, string>> = {
  '"': '\\"',
  '\\': '\\\\',
  '\b': '\\b',
  '\n': '\\n',
  '\r': '\\r',
  '\t': '\\t',
  '\v': '\\v',
}

const ODD = /[^ !#-[\]-~]/
const ODD_EACH = /[^ !#-[\]-~]/g
