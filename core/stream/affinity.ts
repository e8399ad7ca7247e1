import { AFFINITY_SEED, AffinityHash } from '../balance/affinity/hash.ts'
import type { AffinityKey } from '../balance/strategy.ts'
import type { PackedAddress } from '../net/packed-address.ts'

/**
 * What all connections of one client have in common: its address without the port, as the hash of
 * its 16 octets (those of an IPv4 address are the IPv4-mapped one's). The same in every process.
 */
export function clientKey({ a, b, c, d }: PackedAddress): AffinityKey {
  const octets = new Uint8Array(16)
  const words = [a, b, c, d]
  for (let at = 0; at < 16; at++) octets[at] = words[at >> 2]! >> (8 * (at & 3))
  return new AffinityHash().begin(AFFINITY_SEED, NO_KEY).add(octets).finish()
}

const NO_KEY: AffinityKey = { high: 0, low: 0 }
