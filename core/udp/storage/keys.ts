/**
 * The keys flows are found by: at most 23 octets as padded words, as `halfSipHash` reads them.
 * Unused words are 0 and the length is in the last one, so equal words are equal keys.
 */
import { isIpv4, type PackedAddress } from '../../net/packed-address.ts'
import { KEY_WORDS } from './flow-records.ts'

/** Room for one key; the flow table has one and fills it for each datagram. */
export class KeyBuilder {
  readonly words = new Int32Array(KEY_WORDS)
  /** The last word in use. */
  last = 0

  /**
   * A client socket and the local address it contacted: 8 octets for IPv4, 20 for IPv6; 3 more
   * where each backend (a number below 2^24) has a flow of its own.
   */
  setSocket(from: PackedAddress, local: number, backend?: number): void {
    const { words } = this
    const port = (from.port >>> 8) | ((from.port & 0xff) << 8) | (local << 16)
    const tail = backend === undefined ? 0 : (3 << 24) | backend
    if (isIpv4(from)) {
      words[0] = from.d
      words[1] = port
      words[2] = (8 << 24) + tail
      words[3] = 0
      words[4] = 0
      words[5] = 0
      this.last = 2
      return
    }
    words[0] = from.a
    words[1] = from.b
    words[2] = from.c
    words[3] = from.d
    words[4] = port
    words[5] = (20 << 24) + tail
    this.last = 5
  }

  /** An address: 4 or 16 octets; with its port, 6 or 18. */
  setAddress(address: PackedAddress, withPort: boolean): void {
    const { words } = this
    const port = (address.port >>> 8) | ((address.port & 0xff) << 8)
    const tail = withPort ? (2 << 24) | port : 0
    words.fill(0)
    if (isIpv4(address)) {
      words[0] = address.d
      words[1] = (4 << 24) + tail
      this.last = 1
      return
    }
    words[0] = address.a
    words[1] = address.b
    words[2] = address.c
    words[3] = address.d
    words[4] = (16 << 24) + tail
    this.last = 4
  }

  /** A caller's key. False when it has more than 18 octets. */
  setOctets(octets: Uint8Array): boolean {
    const { words } = this
    const { length } = octets
    if (length > CALLER_OCTETS_MAX) return false
    words.fill(0)
    for (let at = 0; at < length; at++) words[at >> 2]! |= octets[at]! << ((at & 3) * 8)
    this.last = length >> 2
    words[this.last]! |= length << 24
    return true
  }
}

const CALLER_OCTETS_MAX = 18
