/**
 * What simulated messages carry. Every body is a piece of one long text that repeats nowhere near,
 * so that a byte that is lost, doubled or somebody else's is seen; and the text is full of what
 * looks like framing, so that who looks for an end in it finds one where there is none.
 */
import { Prng } from '../../prng.ts'

/** `length` bytes, one character each, of message `number`. */
export function contentOf(number: number, length: number): string {
  const from = (number * 7_919) % PERIOD
  return TEXT.slice(from, from + Math.min(length, CONTENT_MAX))
}

export const toBytes = (text: string): Uint8Array => {
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}

export function toText(bytes: Uint8Array): string {
  let text = ''
  for (let at = 0; at < bytes.length; at += SLICE) {
    text += String.fromCharCode(...bytes.subarray(at, at + SLICE))
  }
  return text
}

export const CONTENT_MAX = 20_000

const PERIOD = 32_749
const SLICE = 4_096

const TRAPS = [
  '\r\n',
  '\r\n\r\n',
  '0\r\n\r\n',
  '\r\n0\r\n',
  'HTTP/1.1 200 OK\r\n',
  'GET / HTTP/1.1\r\n',
]

const TEXT = longText()

function longText(): string {
  const draw = new Prng(1, 'content')
  let text = ''
  while (text.length < PERIOD) {
    const trap = draw.below(8) === 0
    text += trap ? draw.pick(TRAPS) : String.fromCharCode(draw.below(256))
  }
  text = text.slice(0, PERIOD)
  return text + text.slice(0, CONTENT_MAX)
}
