/**
 * The hash of the journal: FNV-1a, 64 bits, over UTF-8 bytes.
 *
 * Specified here so that a journal written by one version is checked by any other, in any
 * language. Source: draft-eastlake-fnv, offset basis cbf29ce484222325, prime 100000001b3. It finds
 * accidents, not attackers: every change of a single byte changes it, and nothing more is promised.
 *
 * Two 32-bit halves instead of a BigInt: one event is hashed for every thing that happens to a
 * node, and this form allocates nothing.
 */

/** A hash under way. Feed it text, read it as 16 hex digits at any time. */
export class Digest {
  #high: number
  #low: number

  private constructor(high: number, low: number) {
    this.#high = high
    this.#low = low
  }

  static empty(): Digest {
    return new Digest(BASIS_HIGH, BASIS_LOW)
  }

  /** Goes on from what {@link hex} gave; undefined when the text is not 16 lower-case hex digits. */
  static parse(hex: string): Digest | undefined {
    if (!/^[0-9a-f]{16}$/.test(hex)) return undefined
    return new Digest(Number.parseInt(hex.slice(0, 8), 16), Number.parseInt(hex.slice(8), 16))
  }

  /** Adds the UTF-8 bytes of a text. A lone surrogate counts as U+FFFD, as every encoder has it. */
  text(text: string): this {
    for (let at = 0; at < text.length; at++) {
      const unit = text.charCodeAt(at)
      if (unit < 0x80) this.#byte(unit)
      else at += this.#wide(text, at)
    }
    return this
  }

  /** 16 lower-case hex digits. */
  hex(): string {
    return hex32(this.#high) + hex32(this.#low)
  }

  /** Adds the code point at `at`, not ASCII; says how many more units than one it took. */
  #wide(text: string, at: number): 0 | 1 {
    const point = text.codePointAt(at)!
    if (point > 0xffff) {
      this.#byte(0xf0 | (point >> 18))
      this.#byte(0x80 | ((point >> 12) & 0x3f))
      this.#byte(0x80 | ((point >> 6) & 0x3f))
      this.#byte(0x80 | (point & 0x3f))
      return 1
    }
    const scalar = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point
    if (scalar > 0x7ff) {
      this.#byte(0xe0 | (scalar >> 12))
      this.#byte(0x80 | ((scalar >> 6) & 0x3f))
    } else {
      this.#byte(0xc0 | (scalar >> 6))
    }
    this.#byte(0x80 | (scalar & 0x3f))
    return 0
  }

  /**
   * (hash ^ byte) * (2^40 + 0x1b3) mod 2^64. The prime's upper part moves the low half up by
   * 40 bits, of which the high half sees the low half times 2^8. No product exceeds 2^42.
   */
  #byte(byte: number): void {
    const low = (this.#low ^ byte) >>> 0
    const product = low * PRIME_LOW
    const nextLow = product >>> 0
    const carry = (product - nextLow) / 2 ** 32
    this.#high = (this.#high * PRIME_LOW + low * 0x100 + carry) >>> 0
    this.#low = nextLow
  }
}

/** The digest of one text. */
export const digestOf = (text: string): string => Digest.empty().text(text).hex()

const hex32 = (value: number): string => value.toString(16).padStart(8, '0')

const BASIS_HIGH = 0xcbf29ce4
const BASIS_LOW = 0x84222325
const PRIME_LOW = 0x1b3
