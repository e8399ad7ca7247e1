/**
 * Heads of requests as they go on to a backend (RFC 9110, 7.6).
 *
 * What is said of the client is ours alone to say. From a client that is no trusted proxy no field goes
 * on that claims to know it, whatever its name: a backend might believe that one. Nor does a field with
 * another character where such a name has its dashes (`X_Forwarded_For`): CGI, and what is built like
 * it, takes both for one. What Connection lists is left out before anything is added, so that it
 * deletes nothing of ours (W44).
 */
import { FIELD, type FieldId, type Fields, type FieldTable, keepsAllBut } from '../head/fields.ts'
import { CHUNKED, type RequestHead } from '../head/request.ts'
import type { Passage } from './passage.ts'

/** For an HTTP/1.1 backend: the whole head. Fields keep their order, case and repetitions. */
export function requestHead(head: RequestHead, passage: Passage): string {
  const { fields, isStream } = head
  const { requestUpgrade, closesUpstream, webSocketKey } = passage
  // the authority of a target takes the place of Host (RFC 9112, 3.2.2)
  const keepsHost = !isStream && head.target.charCodeAt(0) === SLASH && fields.has(FIELD.host)
  let text = `${webSocketKey === '' ? head.method : 'GET'} ${passage.path}${head.query} HTTP/1.1\r\n`
  if (!keepsHost) text += `Host: ${head.authority}\r\n`
  const lines = fields.lines(keptOf(head, passage, keepsHost ? 0 : HOST))
  text += isTraced(head) ? lines.replace(MAX_FORWARDS, oneLess) : lines
  if (webSocketKey !== '') text += `Sec-WebSocket-Key: ${webSocketKey}\r\n`
  if (passage.requestBody === CHUNKED) text += 'Transfer-Encoding: chunked\r\n'
  else if (isStream && needsLength(head)) text += 'Content-Length: 0\r\n'
  const isTe = takesTrailers(fields)
  if (isTe || closesUpstream || requestUpgrade !== '') {
    const options = [requestUpgrade && 'Upgrade', isTe && 'TE', closesUpstream && 'close']
    text += `Connection: ${options.filter(Boolean).join(', ')}\r\n`
    if (requestUpgrade !== '') text += `Upgrade: ${requestUpgrade}\r\n`
    if (isTe) text += 'TE: trailers\r\n'
  }
  return `${text + addedLines(head, passage)}\r\n`
}

/** For an HTTP/2 backend: name, value, name, value...; in lower case, pseudo-headers first. */
export function requestFields(head: RequestHead, passage: Passage): string[] {
  const { fields, authority } = head
  const { requestUpgrade: protocol } = passage
  const to = [':method', protocol === '' ? head.method : 'CONNECT', ':scheme', 'http']
  if (authority !== '') to.push(':authority', authority)
  to.push(':path', passage.path + head.query)
  if (protocol !== '') to.push(':protocol', protocol)
  const pairs = fields.pairs(keptOf(head, passage, HOST))
  const max = isTraced(head) ? pairs.indexOf('max-forwards') + 1 : 0
  if (max > 0) pairs[max] = pairs[max]!.replace(MAX, oneLess)
  for (const each of pairs) to.push(each)
  if (takesTrailers(fields)) to.push('te', 'trailers')
  return pushLines(to, addedLines(head, passage))
}

/** Appends lines as name, value, name, value...; names in lower case. */
export function pushLines(to: string[], lines: string): string[] {
  for (const line of lines.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon > 0) to.push(line.slice(0, colon).toLowerCase(), line.slice(colon + 2))
  }
  return to
}

/** Whether it says how many may pass it on (RFC 9110, 7.6.2), and we are one of them. */
export const isTraced = ({ fields, method }: RequestHead): boolean =>
  fields.has(FIELD.maxForwards) && (method === 'OPTIONS' || method === 'TRACE')

const oneLess = (_all: string, name: string, count: string): string =>
  `${name}${Math.max(0, Number(count) - 1)}`

/** Whether one that a trusted proxy gave a request is fit to be written anywhere. */
export const isRequestId = (text: string): boolean => REQUEST_ID.test(text)

/** What we say of the client, and of us; the same for nearly all requests of a connection. */
function addedLines(head: RequestHead, passage: Passage): string {
  const { fields, authority, minor } = head
  const { said, requestId } = passage
  const isOwn =
    !passage.isTrusted ||
    !(
      fields.has(FIELD.xForwardedFor) ||
      fields.has(FIELD.xForwardedProto) ||
      fields.has(FIELD.xForwardedHost) ||
      fields.has(FIELD.forwarded)
    )
  if (!isOwn || said.authority !== authority || said.minor !== minor) {
    said.authority = isOwn ? authority : undefined
    said.minor = minor
    said.lines = clientLines(head, passage)
    said.lines.charCodeAt(0) // engines make one piece of it now, and not each time it is used
  }
  return requestId === '' ? said.lines : `${said.lines}X-Request-Id: ${requestId}\r\n`
}

function clientLines(head: RequestHead, passage: Passage): string {
  const { fields, authority } = head
  const { isTrusted, scheme, clientAddress, peerAddress } = passage
  // whom nobody named in a chain of this kind begins it
  const first = clientAddress === peerAddress ? '' : clientAddress
  const chain = passage.forwardedFor || first
  const elements = passage.forwarded || (first && `for=${nodeOf(first)}`)
  let proto: string = scheme
  let outerHost = authority
  if (isTrusted) {
    proto = fields.joined(FIELD.xForwardedProto) || proto
    outerHost = fields.joined(FIELD.xForwardedHost) || outerHost
  }
  // a colon is no character of a token (RFC 7239, 4)
  const host = authority.includes(':') ? `"${authority}"` : authority
  return (
    `X-Forwarded-For: ${chain && `${chain}, `}${peerAddress}\r\nX-Forwarded-Proto: ${proto}\r\n` +
    (outerHost === '' ? '' : `X-Forwarded-Host: ${outerHost}\r\n`) +
    `X-Real-IP: ${clientAddress}\r\nForwarded: ${elements && `${elements}, `}for=${nodeOf(peerAddress)}` +
    `${host === '' ? '' : `;host=${host}`};proto=${scheme}\r\n` +
    `Via: ${head.isStream ? '2.0' : `1.${head.minor}`} ${passage.pseudonym}\r\n`
  )
}

/** RFC 7239, 6. */
const nodeOf = (address: string): string => (address.includes(':') ? `"[${address}]"` : address)

const takesTrailers = (fields: Fields): boolean =>
  fields.has(FIELD.te) && TRAILERS.test(fields.joined(FIELD.te)!)

/** Where only the end of a stream said that there is no body, and one is expected (RFC 9110, 8.6). */
const needsLength = ({ method, fields }: RequestHead): boolean =>
  /^P(?:OST|UT|ATCH)$/.test(method) && !fields.has(FIELD.contentLength)

function keptOf({ isStream }: RequestHead, passage: Passage, host: number): FieldTable {
  const trusted = passage.isTrusted ? TRUSTED : 0
  const tunnel = isStream && passage.requestUpgrade !== '' ? TUNNEL : 0
  return KEPT[host | trusted | tunnel | (passage.keepsExpect ? 0 : EXPECT)]!
}

const HOST = 1
const TRUSTED = 2
const EXPECT = 4
const TUNNEL = 8

/** Of one connection; some of requests alone. */
export const OF_CONNECTION: readonly FieldId[] = [
  FIELD.connection,
  FIELD.keepAlive,
  FIELD.proxyConnection,
  FIELD.proxyAuthenticate,
  FIELD.proxyAuthorization,
  FIELD.te,
  FIELD.transferEncoding,
  FIELD.upgrade,
  FIELD.http2Settings,
]
/** Written anew. */
const OURS = [
  FIELD.forwarded,
  FIELD.xForwardedFor,
  FIELD.xForwardedProto,
  FIELD.xForwardedHost,
  FIELD.xRealIp,
  FIELD.xRequestId,
]
/** Believed of a trusted proxy alone. */
const CLAIMS = [
  FIELD.xForwardedPort,
  FIELD.xForwardedServer,
  FIELD.xForwardedOther,
  FIELD.cfConnectingIp,
  FIELD.trueClientIp,
  FIELD.xClientIp,
  FIELD.xClusterClientIp,
]
/** Of a WebSocket that is a stream: its bytes are no body, and its key is not the client's to say. */
const OF_TUNNEL = [FIELD.contentLength, FIELD.secWebsocketKey]
const KEPT: readonly FieldTable[] = Array.from({ length: 16 }, (_, drops) =>
  keepsAllBut([
    ...OF_CONNECTION,
    ...OURS,
    ...(drops & TRUSTED ? [] : CLAIMS),
    ...(drops & HOST ? [FIELD.host] : []),
    ...(drops & EXPECT ? [FIELD.expect] : []),
    ...(drops & TUNNEL ? OF_TUNNEL : []),
  ]),
)

const SLASH = 0x2f
const MAX_FORWARDS = /^(max-forwards:[ \t]*)(\d+)(?=[ \t]*$)/im
const MAX = /^()(\d+)$/
const TRAILERS = /(?:^|,)[ \t]*trailers[ \t]*(?:,|$)/i
const REQUEST_ID = /^[\w.:+/=-]{1,128}$/
