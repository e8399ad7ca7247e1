/**
 * Heads of HTTP/2 (RFC 9113, 8), checked like those of HTTP/1.1 and made the same. Names must be
 * lower-case; what would frame a message elsewhere, or means one connection, may not be there.
 */
import type { StreamHead } from '../events.ts'
import { isAuthority } from './authority.ts'
import type { HeadFault } from './fault.ts'
import { FIELD, type FieldId, Fields } from './fields.ts'
import type { HeadLimits } from './lines.ts'
import { bodyOf, CHUNKED, isContinue, UNFRAMED } from './meaning.ts'
import { OCTET, TARGET, TOKEN, VALUE } from './octets.ts'
import { RequestHead } from './request.ts'
import { isStatus, ResponseHead, responseBody } from './response.ts'

/** `isLast`: neither body nor trailers follow. */
export function requestOf(
  stream: StreamHead,
  isLast: boolean,
  limits: HeadLimits,
): RequestHead | HeadFault {
  const { method, authority, path, protocol } = stream
  if (!isAll(method, TOKEN)) return 'method'
  if (path.length > limits.lineBytesMax) return 'target-too-long'
  const fields = fieldsOf(stream.fields, limits)
  if (typeof fields === 'string') return fields
  const head = new RequestHead(fields)
  head.isStream = true
  head.method = method
  head.upgrade = protocol?.toLowerCase() ?? ''
  if (protocol !== undefined && (method !== 'CONNECT' || !isAll(protocol, TOKEN))) return 'method'
  const body = bodyOf(fields, 1)
  if (typeof body === 'string') return body
  // What follows an extended CONNECT is no body, and must not be taken for one (RFC 8441, 5).
  if (protocol !== undefined && body !== UNFRAMED) return 'length'
  if (isLast && body > 0) return 'length'
  head.body = isLast ? 0 : body === UNFRAMED ? CHUNKED : body
  head.expectsContinue = fields.has(FIELD.expect)
  if (head.expectsContinue && !isContinue(fields)) return 'expectation'
  const fault = setTarget(head, path, protocol !== undefined)
  return fault ?? setAuthority(head, authority) ?? head
}

export function responseOf(
  status: number,
  pairs: readonly string[],
  requestMethod: string,
  isLast: boolean,
  limits: HeadLimits,
): ResponseHead | HeadFault {
  if (!isStatus(status) || status === 101) return 'status-line'
  const fields = fieldsOf(pairs, limits)
  if (typeof fields === 'string') return fields
  const head = new ResponseHead(fields)
  head.status = status
  const body = responseBody(fields, 1, status, requestMethod)
  if (typeof body === 'string') return body
  if (isLast && body > 0) return 'length'
  head.body = isLast ? 0 : body < 0 ? CHUNKED : body
  return head
}

/** Fields of a head or of trailers. Several `cookie` become one (RFC 9113, 8.2.3). */
export function fieldsOf(pairs: readonly string[], limits: HeadLimits): Fields | HeadFault {
  const fields = new Fields()
  let cookies = ''
  if (pairs.length > 2 * limits.fieldsMax) return 'too-many-fields'
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const name = pairs[at]!
    const value = pairs[at + 1]!
    if (name.length + value.length > limits.lineBytesMax) return 'line-too-long'
    if (!isAll(name, TOKEN) || name !== name.toLowerCase()) return 'field-name'
    if (value !== '' && (!isAll(value, VALUE) || /^[ \t]|[ \t]$/.test(value))) return 'field-value'
    if (name === 'cookie') cookies += cookies === '' ? value : `; ${value}`
    else fields.append(name, value)
    if (fields.text.length + cookies.length > limits.headBytesMax) return 'head-too-large'
  }
  if (cookies !== '') fields.append('cookie', cookies)
  for (const id of OF_CONNECTIONS) if (fields.has(id)) return 'connection-field'
  if (fields.has(FIELD.te) && fields.joined(FIELD.te) !== 'trailers') return 'connection-field'
  return fields
}

function setTarget(head: RequestHead, path: string, isExtended: boolean): HeadFault | undefined {
  if (head.method === 'CONNECT' && !isExtended) return path === '' ? undefined : 'target'
  const isPath = path === '*' ? head.method === 'OPTIONS' : path.startsWith('/')
  if (!isPath || !isAll(path, TARGET)) return 'target'
  const at = path.indexOf('?')
  head.target = path
  head.path = at < 0 ? path : path.slice(0, at)
  head.query = at < 0 ? '' : path.slice(at)
  return undefined
}

/** Of `:authority`, or of Host where there is none; both must be the same. */
function setAuthority(head: RequestHead, authority: string): HeadFault | undefined {
  const { fields } = head
  if (fields.isRepeated(FIELD.host)) return 'host'
  const host = fields.first(FIELD.host)
  head.authority = authority === '' && host >= 0 ? fields.value(host) : authority
  if (!isAuthority(head.authority, 0, head.authority.length)) return 'host'
  if (host >= 0 && fields.value(host).toLowerCase() !== head.authority.toLowerCase()) {
    return 'authority'
  }
  if (head.target !== '') return undefined
  head.target = head.authority
  return /:\d+$/.test(head.authority) ? undefined : 'target'
}

/** At least one, and all of that kind. */
function isAll(text: string, kind: number): boolean {
  for (let at = 0; at < text.length; at++) {
    // What is beyond Latin-1 is not in the table.
    if ((OCTET[text.charCodeAt(at)]! & kind) === 0) return false
  }
  return text !== ''
}

const OF_CONNECTIONS: readonly FieldId[] = [
  FIELD.connection,
  FIELD.keepAlive,
  FIELD.proxyConnection,
  FIELD.transferEncoding,
  FIELD.upgrade,
  FIELD.http2Settings,
]
