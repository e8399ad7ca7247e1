/**
 * Looks into the ClientHello that a TLS connection begins with (RFC 8446, 4.1.2 and 5.1; RFC 6066,
 * 3), for the name it asks for and nothing else. Whether the rest of it is any good is for the TLS
 * server to say.
 *
 * A hello comes in any number of segments and of records. What was looked at once is not looked at
 * again: between two segments only the places of the message's fragments are kept.
 */

export interface ClientHello {
  /** In lower case, without a dot at its end; undefined where it asks for none, or for nonsense. */
  readonly serverName: string | undefined
}

/** Of one message, without its own 4 bytes of type and length. */
export const HELLO_BYTES_MAX = 16_384
/** Each brings at least one byte of the message, and 5 of its own. */
export const HELLO_RECORDS_MAX = 1_024

export class ClientHelloReader {
  /** Everything before was read. */
  #at: number
  /** Bytes of this record to come. */
  #recordLeft = 0
  #records = 0
  /** Where the message is: from, to, from, to... */
  readonly #fragments: number[] = []
  /** Bytes in them. */
  #gathered = 0

  /** `from`: where TLS begins. */
  constructor(from = 0) {
    this.#at = from
  }

  /**
   * `bytes` is all there is by now, what was there before unchanged. `invalid`: that is no
   * ClientHello, or a bigger one than {@link HELLO_BYTES_MAX}. Never throws.
   */
  read(bytes: Uint8Array): 'partial' | 'invalid' | ClientHello {
    for (;;) {
      if (this.#recordLeft === 0) {
        const begun = this.#beginRecord(bytes)
        if (begun !== 'begun') return begun
      }
      const count = Math.min(this.#recordLeft, bytes.length - this.#at)
      if (count === 0) return 'partial'
      this.#gather(count)
      const wanted = this.#messageLength(bytes)
      if (wanted === undefined) return 'invalid'
      if (this.#gathered >= wanted) return parse(this.#message(bytes, wanted)) ?? 'invalid'
    }
  }

  #beginRecord(bytes: Uint8Array): 'begun' | 'partial' | 'invalid' {
    const at = this.#at
    const there = bytes.length - at
    if (there > 0 && bytes[at] !== HANDSHAKE) return 'invalid'
    if (there > 1 && bytes[at + 1] !== VERSION_MAJOR) return 'invalid'
    if (there < RECORD_HEADER_BYTES) return 'partial'
    const length = uint16(bytes, at + 3)
    this.#records += 1
    if (length === 0 || length > RECORD_BYTES_MAX) return 'invalid'
    if (this.#records > HELLO_RECORDS_MAX) return 'invalid'
    this.#at = at + RECORD_HEADER_BYTES
    this.#recordLeft = length
    return 'begun'
  }

  #gather(count: number): void {
    const fragments = this.#fragments
    const at = this.#at
    if (fragments.at(-1) === at) fragments[fragments.length - 1] = at + count
    else fragments.push(at, at + count)
    this.#at = at + count
    this.#recordLeft -= count
    this.#gathered += count
  }

  /** With its type and length; undefined when it is another message, or too long. */
  #messageLength(bytes: Uint8Array): number | undefined {
    if (this.#gathered < MESSAGE_HEADER_BYTES) return MESSAGE_HEADER_BYTES
    const header = this.#message(bytes, MESSAGE_HEADER_BYTES)
    if (header[0] !== CLIENT_HELLO) return undefined
    const length = header[1]! * 0x1_0000 + uint16(header, 2)
    return length > HELLO_BYTES_MAX ? undefined : MESSAGE_HEADER_BYTES + length
  }

  /** Its first `length` bytes: copied only where they are in several records. */
  #message(bytes: Uint8Array, length: number): Uint8Array {
    const [from, to] = this.#fragments as [number, number]
    if (to - from >= length) return bytes.subarray(from, from + length)
    const message = new Uint8Array(length)
    for (let filled = 0, each = 0; filled < length; each += 2) {
      const begin = this.#fragments[each]!
      const count = Math.min(this.#fragments[each + 1]! - begin, length - filled)
      message.set(bytes.subarray(begin, begin + count), filled)
      filled += count
    }
    return message
  }
}

/** Undefined when its parts do not fit into each other. */
function parse(message: Uint8Array): ClientHello | undefined {
  const end = message.length
  const suites = vectorEnd(message, MESSAGE_HEADER_BYTES + VERSION_AND_RANDOM_BYTES, 1, end)
  const compressions = vectorEnd(message, suites, 2, end)
  const extensions = vectorEnd(message, compressions, 1, end)
  if (extensions < 0) return undefined
  if (extensions === end) return { serverName: undefined } // TLS 1.2 asks for none
  if (vectorEnd(message, extensions, 2, end) !== end) return undefined
  let hello: ClientHello | undefined
  for (let at = extensions + 2; at < end; ) {
    const next = vectorEnd(message, at + 2, 2, end)
    if (next < 0) return undefined
    if (uint16(message, at) === SERVER_NAME) {
      if (hello !== undefined) return undefined // the TLS server might believe the other one
      hello = namedIn(message, at + 4, next)
      if (hello === undefined) return undefined
    }
    at = next
  }
  return hello ?? { serverName: undefined }
}

/** The host name in a list of names; names of other types are nothing to us. */
function namedIn(message: Uint8Array, from: number, to: number): ClientHello | undefined {
  if (vectorEnd(message, from, 2, to) !== to) return undefined
  let hello: ClientHello | undefined
  for (let at = from + 2; at < to; ) {
    const next = vectorEnd(message, at + 1, 2, to)
    if (next < 0) return undefined
    if (message[at] === HOST_NAME) {
      if (hello !== undefined) return undefined // "MUST NOT contain more than one"
      hello = { serverName: hostName(message.subarray(at + 3, next)) }
    }
    at = next
  }
  return hello ?? { serverName: undefined }
}

/** A domain name as in certificates; anything else is no name of ours. */
function hostName(octets: Uint8Array): string | undefined {
  if (octets.length > HOST_NAME_BYTES_MAX + 1) return undefined
  const name = String.fromCharCode(...octets).toLowerCase()
  const plain = name.endsWith('.') ? name.slice(0, -1) : name
  return plain.length <= HOST_NAME_BYTES_MAX && DOMAIN_NAME.test(plain) ? plain : undefined
}

/** The place after a vector whose length is in the `size` bytes at `at`; -1 if it goes beyond `end`. */
function vectorEnd(bytes: Uint8Array, at: number, size: 1 | 2, end: number): number {
  if (at < 0 || at + size > end) return -1
  const next = at + size + (size === 1 ? bytes[at]! : uint16(bytes, at))
  return next > end ? -1 : next
}

const uint16 = (bytes: Uint8Array, at: number): number => bytes[at]! * 256 + bytes[at + 1]!

const HANDSHAKE = 22
/** Of SSL 3 and all TLS there ever was. */
const VERSION_MAJOR = 3
const RECORD_HEADER_BYTES = 5
const RECORD_BYTES_MAX = 16_384
const CLIENT_HELLO = 1
const MESSAGE_HEADER_BYTES = 4
const VERSION_AND_RANDOM_BYTES = 34
const SERVER_NAME = 0
const HOST_NAME = 0
const HOST_NAME_BYTES_MAX = 253
/** The underscore is not in host names, but people have them. */
const DOMAIN_NAME = /^[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*$/
