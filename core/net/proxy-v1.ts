/**
 * Headers of the PROXY protocol, version 1 (HAProxy's `proxy-protocol.txt`, section 2.1): one line of
 * text in front of the first bytes of a stream.
 */
import { parseDecimal, parseIp } from './address.ts'
import { type PackedAddress, packAddress } from './packed-address.ts'
import type { ProxyHeader } from './proxy-v2.ts'

/** With CR and LF: `PROXY UNKNOWN` and the longest addresses anybody may put behind it. */
export const PROXY_LINE_BYTES_MAX = 107

/**
 * Reads what a stream begins with: `none` when that is no such line, `partial` while it may yet
 * become one, `malformed` when it is not exactly as the protocol says. Never throws.
 */
export function readProxyLine(bytes: Uint8Array): 'none' | 'partial' | 'malformed' | ProxyHeader {
  const begun = Math.min(bytes.length, PREFIX.length)
  for (let at = 0; at < begun; at++) if (bytes[at] !== PREFIX[at]) return 'none'
  const length = lineLength(bytes)
  if (typeof length === 'string') return length
  // The line ends without its CR and LF; nothing in it is another one of them.
  const [, family = '', ...rest] = String.fromCharCode(...bytes.subarray(0, length - 2)).split(' ')
  if (family === 'UNKNOWN') return { length, announced: undefined, transport: 'unspecified' }
  const [source = '', destination = '', sourcePort = '', destinationPort = ''] = rest
  const from = addressOf(family, source, sourcePort)
  const to = addressOf(family, destination, destinationPort)
  if (rest.length !== 4 || from === undefined || to === undefined) return 'malformed'
  return { length, announced: { source: from, destination: to }, transport: 'stream' }
}

/** Up to the byte after CR and LF. One of the two alone ends no line, and has no place in one. */
function lineLength(bytes: Uint8Array): number | 'partial' | 'malformed' {
  const limit = Math.min(bytes.length, PROXY_LINE_BYTES_MAX)
  for (let at = PREFIX.length; at < limit; at++) {
    if (bytes[at] === LF) return bytes[at - 1] === CR ? at + 1 : 'malformed'
    if (bytes[at - 1] === CR) return 'malformed'
  }
  return limit < PROXY_LINE_BYTES_MAX ? 'partial' : 'malformed'
}

function addressOf(family: string, text: string, portText: string): PackedAddress | undefined {
  const ip = parseIp(text)
  const port = parseDecimal(portText, PORT_MAX)
  if (ip === undefined || port === undefined || family !== `TCP${ip.family}`) return undefined
  if (ip.family === 6 && ip.zone !== '') return undefined // of no meaning to another host
  return packAddress({ ip, port })
}

/** `PROXY ` */
const PREFIX = [80, 82, 79, 88, 89, 32]
const CR = 13
const LF = 10
const PORT_MAX = 65_535
