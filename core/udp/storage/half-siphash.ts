/**
 * HalfSipHash (Aumasson and Bernstein; 32-bit words, 64-bit key): who does not know the key cannot
 * choose client addresses that meet in the table. With 1 and 3 rounds it is what Linux hashes its
 * own tables with (`hsiphash` on 32-bit machines).
 */

/**
 * `words[0..last]` is the padded message as SipHash asks: its octets as little-endian words, the
 * last word with 0-3 octets and the message's length in its highest byte. Signed, 32 bits.
 */
export function halfSipHash(
  words: Int32Array,
  from: number,
  last: number,
  key0: number,
  key1: number,
  compressionRounds = 1,
  finalRounds = 3,
): number {
  let v0 = key0
  let v1 = key1
  let v2 = 0x6c796765 ^ key0
  let v3 = 0x74656462 ^ key1
  let word = 0
  // The final rounds are rounds of an empty word after the last.
  for (let at = from; at <= last + 1; at++) {
    let rounds = compressionRounds
    if (at <= last) word = words[at]!
    else {
      word = 0
      v2 ^= 0xff
      rounds = finalRounds
    }
    v3 ^= word
    for (; rounds > 0; rounds--) {
      v0 = (v0 + v1) | 0
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0
      v0 = (v0 << 16) | (v0 >>> 16)
      v2 = (v2 + v3) | 0
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2
      v0 = (v0 + v3) | 0
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0
      v2 = (v2 + v1) | 0
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2
      v2 = (v2 << 16) | (v2 >>> 16)
    }
    v0 ^= word
  }
  return v1 ^ v3
}
