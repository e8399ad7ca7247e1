/**
 * The hash of the journal: FNV-1a, 64 bits, over UTF-8 bytes.
 *
 * Specified here so that a journal written by one version is checked by any other, in any
 * language. Source: draft-eastlake-fnv, offset basis cbf29ce484222325, prime 100000001b3. It finds
 * accidents, not attackers: every change of a single byte changes it, and nothing more is promised.
 *
 * Four 16-bit limbs instead of a BigInt: everything that happens to a node is hashed, and with
 * these the engine stays in small integers and allocates nothing.
 */

/** A hash under way. Feed it text, read it as 16 hex digits at any time. */
export class Digest {
  /** The lowest 16 bits first. */
  #limbs: readonly [number, number, number, number]

  private constructor(limbs: readonly [number, number, number, number]) {
    this.#limbs = limbs
  }

  static empty(): Digest {
    return new Digest(BASIS)
  }

  /** Goes on from what {@link hex} gave; undefined when the text is not 16 lower-case hex digits. */
  static parse(hex: string): Digest | undefined {
    if (!/^[0-9a-f]{16}$/.test(hex)) return undefined
    const limb = (at: number): number => Number.parseInt(hex.slice(at, at + 4), 16)
    return new Digest([limb(12), limb(8), limb(4), limb(0)])
  }

  /** Adds the UTF-8 bytes of a text. A lone surrogate counts as U+FFFD, as every encoder has it. */
  text(text: string): this {
    const bytes = isAscii(text) ? text : asUtf8(text)
    let [a, b, c, d] = this.#limbs
    for (let at = 0; at < bytes.length; at++) {
      // times 2^40 + 0x1b3: the upper part moves two limbs up, and by 8 bits. Nothing reaches 2^26.
      const low = a ^ bytes.charCodeAt(at)
      const product0 = low * PRIME_LOW
      const product1 = b * PRIME_LOW + (product0 >>> 16)
      const product2 = c * PRIME_LOW + (low << 8) + (product1 >>> 16)
      d = (d * PRIME_LOW + (b << 8) + (product2 >>> 16)) & 0xffff
      a = product0 & 0xffff
      b = product1 & 0xffff
      c = product2 & 0xffff
    }
    this.#limbs = [a, b, c, d]
    return this
  }

  /** 16 lower-case hex digits. */
  hex(): string {
    const [a, b, c, d] = this.#limbs
    return hex16(d) + hex16(c) + hex16(b) + hex16(a)
  }
}

/** The digest of one text. */
export const digestOf = (text: string): string => Digest.empty().text(text).hex()

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) > 0x7f) return false
  return true
}

/** A text whose units are the bytes of another one. */
function asUtf8(text: string): string {
  let bytes = ''
  for (const character of text) {
    const point = character.codePointAt(0)!
    const scalar = point >= 0xd800 && point <= 0xdfff ? 0xfffd : point
    if (scalar < 0x80) bytes += character
    else if (scalar < 0x800) bytes += unit(0xc0 | (scalar >> 6)) + tail(scalar)
    else if (scalar < 0x10000) {
      bytes += unit(0xe0 | (scalar >> 12)) + tail(scalar >> 6) + tail(scalar)
    } else {
      bytes += unit(0xf0 | (scalar >> 18)) + tail(scalar >> 12) + tail(scalar >> 6) + tail(scalar)
    }
  }
  return bytes
}

const unit = (code: number): string => String.fromCharCode(code)

const tail = (bits: number): string => unit(0x80 | (bits & 0x3f))

const hex16 = (limb: number): string => limb.toString(16).padStart(4, '0')

const BASIS = [0x2325, 0x8422, 0x9ce4, 0xcbf2] as const
const PRIME_LOW = 0x1b3
