/**
 * What simulated datagrams say. Each request carries its number and each answer the number of its
 * request, and every byte follows from that: one that is lost, changed or somebody else's is seen.
 */

/** Below that a datagram cannot say whose it is. */
export const MARKED_BYTES = 6

/** `length` bytes of request `number`; shorter ones than {@link MARKED_BYTES} bear no mark. */
export const requestBytes = (number: number, length: number): Uint8Array =>
  marked(number, 0, length)

/** Answer `part` (from 1) to request `number`. */
export const answerBytes = (number: number, part: number, length: number): Uint8Array =>
  marked(number, part, length)

export interface Mark {
  readonly number: number
  /** 0: the request itself. */
  readonly part: number
}

/**
 * Undefined when it is too short to tell, or begins with something else; `spoilt` when its bytes
 * are not what was sent.
 */
export function markOf(bytes: Uint8Array): Mark | 'spoilt' | undefined {
  if (bytes.length < MARKED_BYTES || bytes[0] !== MAGIC) return undefined
  const number = ((bytes[1]! << 24) | (bytes[2]! << 16) | (bytes[3]! << 8) | bytes[4]!) >>> 0
  const part = bytes[5]!
  const whole = marked(number, part, bytes.length)
  for (let at = 0; at < bytes.length; at++) if (bytes[at] !== whole[at]) return 'spoilt'
  return { number, part }
}

function marked(number: number, part: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++) bytes[at] = number * 31 + part * 17 + at * 7
  if (length < MARKED_BYTES) return bytes
  bytes[0] = MAGIC
  bytes[1] = number >>> 24
  bytes[2] = number >>> 16
  bytes[3] = number >>> 8
  bytes[4] = number
  bytes[5] = part
  return bytes
}

/** Not the first octet of a PROXY protocol header. */
const MAGIC = 0xda
