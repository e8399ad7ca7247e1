/** Heads as they arrive, passages, and packed addresses, from text. */
import { Passage } from '../../../../core/http/forward/passage.ts'
import { latin1Of } from '../../../../core/http/head/latin1.ts'
import type { HeadLimits } from '../../../../core/http/head/lines.ts'
import { type RequestHead, RequestReader } from '../../../../core/http/head/request.ts'
import { type ResponseHead, ResponseReader } from '../../../../core/http/head/response.ts'
import { requestOf, responseOf } from '../../../../core/http/head/stream-head.ts'
import { parseIp } from '../../../../core/net/address.ts'
import { parseCidr } from '../../../../core/net/cidr.ts'
import {
  type PackedAddress,
  type PackedPrefix,
  packAddress,
  packPrefix,
} from '../../../../core/net/packed-address.ts'

export const CLIENT = '192.0.2.7'
export const PROXY = '10.0.0.1'

const LIMITS: HeadLimits = { headBytesMax: 65_536, lineBytesMax: 32_768, fieldsMax: 256 }

const bytesOf = (text: string): Uint8Array =>
  Uint8Array.from(text, (character) => character.charCodeAt(0))

const wire = (lines: readonly string[]): Uint8Array => bytesOf(`${lines.join('\r\n')}\r\n\r\n`)

/** Start line and fields, one each. */
export function requestFrom(...lines: readonly string[]): RequestHead {
  const reader = new RequestReader(latin1Of)
  const found = reader.read(wire(lines), 0, LIMITS)
  if (found !== 'head') throw new Error(`${found}: ${reader.fault} in ${lines.join(' | ')}`)
  return reader.head
}

export function responseFrom(...lines: readonly string[]): ResponseHead {
  const reader = new ResponseReader(latin1Of)
  const found = reader.read(wire(lines), 0, LIMITS, 'GET')
  if (found !== 'head') throw new Error(`${found}: ${reader.fault} in ${lines.join(' | ')}`)
  return reader.head
}

/** A request of HTTP/2 for `http://shop.example/`, without a body unless `isLast` is false. */
export function streamFrom(
  method: string,
  fields: readonly string[],
  { isLast = true, path = '/', authority = 'shop.example', protocol = '' } = {},
): RequestHead {
  const head = requestOf(
    { method, scheme: 'http', authority, path, fields, ...(protocol && { protocol }) },
    isLast,
    LIMITS,
  )
  if (typeof head === 'string') throw new Error(head)
  return head
}

export function streamResponseFrom(status: number, fields: readonly string[]): ResponseHead {
  const head = responseOf(status, fields, 'GET', false, LIMITS)
  if (typeof head === 'string') throw new Error(head)
  return head
}

/** Of an untrusted client, unless said otherwise. */
export function passageOf(given: Partial<Passage> = {}): Passage {
  const usual = { clientAddress: CLIENT, peerAddress: CLIENT, requestId: 'r1', pseudonym: 'weir' }
  return Object.assign(new Passage(), usual, given)
}

export const addressOf = (text: string): PackedAddress =>
  packAddress({ ip: parseIp(text)!, port: 0 })!

export const networks = (...cidrs: readonly string[]): PackedPrefix[] =>
  cidrs.map((cidr) => packPrefix(parseCidr(cidr)!))

/** Of a head: its start line, and the fields as `name: value`. */
export const linesOf = (head: string): string[] => head.split('\r\n').slice(0, -2)
