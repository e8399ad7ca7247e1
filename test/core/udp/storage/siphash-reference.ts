/**
 * HalfSipHash octet by octet, as its authors specify it, with nothing in common with the code: no
 * padded words, and arithmetic on numbers of any size.
 */
export function referenceHash(
  octets: readonly number[],
  key: readonly [key0: number, key1: number],
  [compressionRounds, finalRounds]: readonly [number, number] = [1, 3],
): number {
  const key0 = BigInt(key[0] >>> 0)
  const key1 = BigInt(key[1] >>> 0)
  let v = [key0, key1, key0 ^ 0x6c796765n, key1 ^ 0x74656462n] as Four
  const padded = [...octets]
  while (padded.length % 4 !== 3) padded.push(0)
  padded.push(octets.length % 256)
  for (let at = 0; at < padded.length; at += 4) {
    const word = padded.slice(at, at + 4).reduce((sum, octet, place) => sum + octet * 256 ** place)
    v[3] ^= BigInt(word)
    for (let round = 0; round < compressionRounds; round++) v = sipRound(v)
    v[0] ^= BigInt(word)
  }
  v[2] ^= 0xffn
  for (let round = 0; round < finalRounds; round++) v = sipRound(v)
  return Number(v[1] ^ v[3])
}

type Four = [bigint, bigint, bigint, bigint]

function sipRound([v0, v1, v2, v3]: Four): Four {
  const left = [(v0 + v1) % WORD, rotated(v1, 5n)] as const
  const right = [(v2 + v3) % WORD, rotated(v3, 8n)] as const
  const [a, b] = [rotated(left[0], 16n), left[1] ^ left[0]]
  const [c, d] = [right[0], right[1] ^ right[0]]
  const [e, f] = [(a + d) % WORD, (c + b) % WORD]
  return [e, rotated(b, 13n) ^ f, rotated(f, 16n), rotated(d, 7n) ^ e]
}

const rotated = (word: bigint, bits: bigint): bigint =>
  ((word << bits) | (word >> (32n - bits))) % WORD

const WORD = 2n ** 32n

/** The octets of a padded key: its last word says how many there are. */
export function octetsOf(words: Int32Array, last: number): number[] {
  const octets = [...new Uint8Array(words.slice(0, last + 1).buffer)]
  return octets.slice(0, octets.at(-1))
}

/** Octets as the code wants them: little-endian words, the length in the last one's top byte. */
export function paddedWords(octets: readonly number[]): Int32Array {
  const words = new Int32Array((octets.length >> 2) + 1)
  const bytes = new Uint8Array(words.buffer)
  bytes.set(octets)
  bytes[bytes.length - 1] = octets.length
  return words
}
