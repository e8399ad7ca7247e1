/** What a UDP probe sends and expects: text in UTF-8, with escapes for bytes that are none. */

/**
 * The bytes of `ping\x00`: `\xNN` is a byte, `\0`, `\t`, `\n`, `\r` and `\\` are what they are in
 * most languages, everything else is itself. Undefined where a `\` begins nothing of these.
 */
export function parseProbeBytes(text: string): readonly number[] | undefined {
  const bytes: number[] = []
  for (const [part, letter, hex] of text.matchAll(PARTS)) {
    if (hex !== undefined) bytes.push(Number.parseInt(hex, 16))
    else if (letter !== undefined) bytes.push(ESCAPES[letter]!)
    else if (part === '\\') return undefined
    else pushUtf8(part.codePointAt(0)!, bytes)
  }
  return bytes
}

/** Two digits a byte, as commands carry them. */
export const hexOf = (bytes: readonly number[]): string =>
  bytes.map((byte) => byte.toString(16).padStart(2, '0')).join('')

/** A surrogate without its other half becomes U+FFFD, as everywhere. */
function pushUtf8(written: number, bytes: number[]): void {
  const point = written >= 0xd800 && written <= 0xdfff ? 0xfffd : written
  if (point < 0x80) {
    bytes.push(point)
    return
  }
  const followers = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3
  bytes.push(LEADERS[followers]! | (point >> (6 * followers)))
  for (let left = followers - 1; left >= 0; left--) {
    bytes.push(0x80 | ((point >> (6 * left)) & 0x3f))
  }
}

const LEADERS = [0, 0xc0, 0xe0, 0xf0]
const ESCAPES: Readonly<Record<string, number>> = { '0': 0, t: 9, n: 10, r: 13, '\\': 92 }
const PARTS = /\\([0tnr\\])|\\x([0-9A-Fa-f]{2})|[\s\S]/gu
