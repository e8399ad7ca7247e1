/**
 * The first bytes of a connection, as clients and the proxies before them really send them: PROXY
 * headers (HAProxy's `proxy-protocol.txt`) and a TLS ClientHello (RFC 8446, 4.1.2) with or without a
 * server name (RFC 6066, 3).
 */
import { formatIp, parseIp } from '../../core/net/address.ts'
import { type PackedAddress, packAddress, unpackAddress } from '../../core/net/packed-address.ts'
import type { Peers } from '../../core/stream/entrance/events.ts'
import type { Prng } from '../prng.ts'

/** What is in front of a request. */
export interface Greeting {
  readonly header: HeaderKind
  readonly tls: 'none' | 'hello' | 'rubbish'
  readonly serverName: string | undefined
  /** Bytes that arrive together. */
  readonly pieceBytes: number
  /** After so many bytes nothing more comes. */
  readonly stallsAfter: number | undefined
}

export const HEADER_KINDS = [
  'none',
  'v1',
  'v2',
  'unknown',
  'local',
  'broken-v1',
  'broken-v2',
] as const
/** `unknown` and `local` announce nobody. */
export type HeaderKind = (typeof HEADER_KINDS)[number]

export const PLAIN: Greeting = {
  header: 'none',
  tls: 'none',
  serverName: undefined,
  pieceBytes: 64,
  stallsAfter: undefined,
}

export function headerBytes(kind: HeaderKind, { source, destination }: Peers): Uint8Array {
  switch (kind) {
    case 'none':
      return new Uint8Array(0)
    case 'v1':
      return ascii(`PROXY ${v1Of(source, destination)}\r\n`)
    case 'unknown':
      return ascii('PROXY UNKNOWN\r\n')
    case 'broken-v1':
      return ascii('PROXY TCP4 10.0.0.1 10.0.0.300 1 2\r\n')
    case 'v2':
      return v2Header(source, destination)
    case 'local':
      return localHeader()
    case 'broken-v2':
      return Uint8Array.of(...SIGNATURE, 0x31, 0x11, 0, 12, ...new Uint8Array(12))
  }
}

/** Version 2, over TCP; of a mixed pair the IPv4 address is written as an IPv4-mapped one. */
export function v2Header(source: PackedAddress, destination: PackedAddress): Uint8Array {
  const both4 = [source, destination].every((each) => unpackAddress(each).ip.family === 4)
  const addresses = [source, destination].flatMap((each) => octetsOf(each, both4))
  const ports = [source, destination].flatMap(({ port }) => [port >> 8, port & 255])
  const rest = [...addresses, ...ports]
  return Uint8Array.of(...SIGNATURE, 0x21, both4 ? 0x11 : 0x21, 0, rest.length, ...rest)
}

/** What a proxy says that has nobody to speak for. */
export const localHeader = (): Uint8Array => Uint8Array.of(...SIGNATURE, 0x20, 0, 0, 0)

function octetsOf(address: PackedAddress, as4: boolean): number[] {
  const { ip } = unpackAddress(address)
  if (ip.family === 6) return ip.groups.flatMap((group) => [group >> 8, group & 255])
  const octets = [ip.bits >>> 24, (ip.bits >>> 16) & 255, (ip.bits >>> 8) & 255, ip.bits & 255]
  return as4 ? octets : [...new Array<number>(10).fill(0), 255, 255, ...octets]
}

function v1Of(source: PackedAddress, destination: PackedAddress): string {
  const [from, to] = [unpackAddress(source), unpackAddress(destination)]
  const both4 = from.ip.family === 4 && to.ip.family === 4
  return `${both4 ? 'TCP4' : 'TCP6'} ${formatIp(from.ip)} ${formatIp(to.ip)} ${from.port} ${to.port}`
}

/**
 * A ClientHello in one record, or in two: a server must not count on one. `rubbish` is what a client
 * sends that speaks something else.
 */
export function tlsBytes({ tls, serverName }: Greeting, draw: Prng): Uint8Array {
  if (tls === 'none') return new Uint8Array(0)
  if (tls === 'rubbish') return ascii('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n')
  const random = Array.from({ length: 32 }, () => draw.below(256))
  const body = [
    ...[3, 3, ...random],
    ...[0, 0, 2, 0x13, 0x01, 1, 0],
    ...sized(2, [...nameExtension(serverName), 0, 43, 0, 3, 2, 3, 4]),
  ]
  const message = [1, ...sized(3, body)]
  const cut = draw.below(3) === 0 ? draw.between(1, message.length - 1) : message.length
  const records = [message.slice(0, cut), message.slice(cut)].filter((each) => each.length > 0)
  return Uint8Array.from(records.flatMap((each) => [22, 3, 1, ...sized(2, each)]))
}

function nameExtension(serverName: string | undefined): number[] {
  if (serverName === undefined) return []
  const name = [...ascii(serverName)]
  return [0, 0, ...sized(2, sized(2, [0, ...sized(2, name)]))]
}

function sized(lengthBytes: number, content: readonly number[]): number[] {
  const length: number[] = []
  for (let byte = lengthBytes - 1; byte >= 0; byte--)
    length.push((content.length >> (8 * byte)) & 255)
  return [...length, ...content]
}

export function packed(host: string, port: number): PackedAddress {
  const ip = parseIp(host)
  const address = ip === undefined ? undefined : packAddress({ ip, port })
  if (address === undefined) throw new RangeError(`${host} is no address`)
  return address
}

const ascii = (text: string): Uint8Array =>
  Uint8Array.from({ length: text.length }, (_, at) => text.charCodeAt(at))

const SIGNATURE = [13, 10, 13, 10, 0, 13, 10, 81, 85, 73, 84, 10]
