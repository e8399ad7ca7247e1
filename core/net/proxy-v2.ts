/**
 * Headers of the PROXY protocol, version 2 (HAProxy's `proxy-protocol.txt`, section 2.2): who the
 * client is and which address it contacted, in front of the first bytes a proxy passes on.
 */
import { isIpv4, type PackedAddress, packIpv4, unscopedB } from './packed-address.ts'

export interface ProxyHeader {
  /** Bytes of the whole header, extensions (TLVs) included: the payload begins there. */
  readonly length: number
  /** Absent when the proxy speaks for itself (`LOCAL`) or does not know (`UNSPEC`). */
  readonly announced:
    | { readonly source: PackedAddress; readonly destination: PackedAddress }
    | undefined
  /** `unspecified` when nothing is announced. */
  readonly transport: ProxyTransport | 'unspecified'
}

export type ProxyTransport = 'dgram' | 'stream'

/**
 * 28 bytes for two IPv4 addresses, else 52: of a mixed pair the IPv4 one is written IPv4-mapped,
 * so that neither is lost. An interface number does not leave this host.
 */
export function proxyHeader(
  source: PackedAddress,
  destination: PackedAddress,
  transport: ProxyTransport,
): Uint8Array {
  const both4 = isIpv4(source) && isIpv4(destination)
  const size = both4 ? 4 : 16
  const header = new Uint8Array(FIXED_BYTES + 2 * size + 4)
  header.set(SIGNATURE)
  header[12] = VERSION | PROXY
  header[13] = (both4 ? INET : INET6) | (transport === 'dgram' ? DGRAM : STREAM)
  header[15] = 2 * size + 4
  const addresses = [source, destination]
  for (let each = 0; each < 2; each++) {
    const address = addresses[each]!
    const words = [address.a, unscopedB(address), address.c, address.d].slice(-size / 4)
    for (let at = 0; at < size; at++) {
      header[FIXED_BYTES + each * size + at] = words[at >> 2]! >> (8 * (at & 3))
    }
    header[FIXED_BYTES + 2 * size + 2 * each] = address.port >> 8
    header[FIXED_BYTES + 2 * size + 2 * each + 1] = address.port
  }
  return header
}

/** 16 bytes: the proxy speaks for itself, or does not know its client (`LOCAL`). */
export function localHeader(): Uint8Array {
  const header = new Uint8Array(FIXED_BYTES)
  header.set(SIGNATURE)
  header[12] = VERSION | LOCAL
  return header
}

/**
 * Reads what a payload begins with: `none` without the signature, `malformed` when what follows it
 * is cut short or not of version 2, and for Unix sockets, which we have no use for. Never throws.
 */
export function readProxyHeader(payload: Uint8Array): 'none' | 'malformed' | ProxyHeader {
  if (!SIGNATURE.every((octet, at) => payload[at] === octet)) return 'none'
  // What is missing reads as NaN here, and no comparison with NaN holds.
  const length = FIXED_BYTES + (payload[14]! * 256 + payload[15]!)
  if (!(length <= payload.length)) return 'malformed'
  const kind = payload[13]!
  // The family of LOCAL is to be ignored.
  const isLocal = payload[12] === (VERSION | LOCAL)
  const isProxy = payload[12] === (VERSION | PROXY)
  if (isLocal || (isProxy && kind === UNSPEC)) {
    return { length, announced: undefined, transport: 'unspecified' }
  }
  const size = kind >> 4 === INET >> 4 ? 4 : kind >> 4 === INET6 >> 4 ? 16 : 0
  const protocol = kind & 15
  const isKnown = isProxy && size > 0 && (protocol === STREAM || protocol === DGRAM)
  if (!isKnown || length < FIXED_BYTES + 2 * size + 4) return 'malformed'
  const source = addressAt(payload, 0, size)
  const destination = addressAt(payload, 1, size)
  if (source === undefined || destination === undefined) return 'malformed'
  const transport = protocol === DGRAM ? 'dgram' : 'stream'
  return { length, announced: { source, destination }, transport }
}

/**
 * Bytes of the header that a stream begins with, extensions included: `none` when it begins with
 * something else, `partial` until the first 16 bytes are there. {@link readProxyHeader} reads it when
 * all of it is.
 */
export function proxyHeaderLength(bytes: Uint8Array): number | 'none' | 'partial' {
  const begun = Math.min(bytes.length, SIGNATURE.length)
  for (let at = 0; at < begun; at++) if (bytes[at] !== SIGNATURE[at]) return 'none'
  if (bytes.length < FIXED_BYTES) return 'partial'
  return FIXED_BYTES + bytes[14]! * 256 + bytes[15]!
}

/** Undefined for what looks like an embedded interface number: no link-local address has it. */
function addressAt(payload: Uint8Array, each: number, size: number): PackedAddress | undefined {
  const from = FIXED_BYTES + each * size
  const portAt = FIXED_BYTES + 2 * size + 2 * each
  const port = payload[portAt]! * 256 + payload[portAt + 1]!
  if (size === 4) return { ...packIpv4(0, port), d: wordAt(payload, from) }
  const [a, b] = [wordAt(payload, from), wordAt(payload, from + 4)]
  const [c, d] = [wordAt(payload, from + 8), wordAt(payload, from + 12)]
  const address = { a, b, c, d, port }
  return unscopedB(address) === b ? address : undefined
}

const wordAt = (octets: Uint8Array, at: number): number =>
  octets[at]! | (octets[at + 1]! << 8) | (octets[at + 2]! << 16) | (octets[at + 3]! << 24)

const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
/** Signature, version and command, family and transport, length of the rest. */
const FIXED_BYTES = 16
const VERSION = 0x20
const LOCAL = 0
const PROXY = 1
const UNSPEC = 0
const INET = 0x10
const INET6 = 0x20
const STREAM = 1
const DGRAM = 2
