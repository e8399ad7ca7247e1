/** Heads of answers as they go on to a client (RFC 9110, 7.6). Those of a backend's own stay. */
import { FIELD, type FieldTable, keepsAllBut } from '../head/fields.ts'
import { CHUNKED } from '../head/meaning.ts'
import type { ResponseHead } from '../head/response.ts'
import type { Passage } from './passage.ts'
import { OF_CONNECTION, pushLines } from './request.ts'

/** For an HTTP/1 client: the whole head. */
export function responseHead(head: ResponseHead, passage: Passage): string {
  const { status, fields } = head
  let text = `HTTP/1.1 ${status} ${head.reason}\r\n${fields.lines(isBare(status) ? KEPT_BARE : KEPT)}`
  // also what a client could ask for instead (RFC 9110, 15.5.22)
  const isUpgrade = status === SWITCHING_PROTOCOLS || status === UPGRADE_REQUIRED
  if (status < 200 && !isUpgrade) return `${text}\r\n`
  const close = status !== SWITCHING_PROTOCOLS && passage.closesClient ? 'close' : ''
  if (isUpgrade && head.upgrade !== '') {
    text += `Connection: Upgrade${close && ', close'}\r\nUpgrade: ${head.upgrade}\r\n`
  } else if (close !== '') {
    text += 'Connection: close\r\n'
  } else if (passage.clientMinor === 0) {
    text += 'Connection: keep-alive\r\n'
  }
  if (passage.responseBody === CHUNKED) text += 'Transfer-Encoding: chunked\r\n'
  return `${text + addedLines(head, passage)}\r\n`
}

/** For an HTTP/2 client: name, value, name, value...; names in lower case, without the status. */
export function responseFields(head: ResponseHead, passage: Passage): string[] {
  const isShort = isBare(head.status) || head.status === RESET_CONTENT
  const pairs = head.fields.pairs(isShort ? KEPT_BARE_OF_STREAM : KEPT_OF_STREAM)
  return head.status < 200 ? pairs : pushLines(pairs, addedLines(head, passage))
}

/**
 * Whether Strict-Transport-Security may be said of this authority: not of this machine itself, which
 * many serve in turns, nor of an address, where it means nothing (RFC 6797, 8.1.1).
 */
export const wantsHsts = (authority: string): boolean => !NO_HSTS.test(authority)

function addedLines({ fields }: ResponseHead, passage: Passage): string {
  const { elapsedMs, hsts, requestId } = passage
  const tenths = Math.round(elapsedMs * 10)
  const duration = `${Math.trunc(tenths / 10)}.${tenths % 10}`
  let lines = `Server-Timing: proxy;dur=${duration}\r\n`
  if (!fields.has(FIELD.xRequestId)) lines += `X-Request-Id: ${requestId}\r\n`
  return hsts && !fields.has(FIELD.strictTransportSecurity) ? lines + HSTS : lines
}

const KEPT: FieldTable = keepsAllBut(OF_CONNECTION)
/** RFC 8441, 5: a WebSocket over HTTP/2 has no key to accept. */
const OF_STREAM = [...OF_CONNECTION, FIELD.secWebsocketAccept]
const KEPT_OF_STREAM: FieldTable = keepsAllBut(OF_STREAM)
const KEPT_BARE: FieldTable = keepsAllBut([...OF_CONNECTION, FIELD.contentLength])
const KEPT_BARE_OF_STREAM: FieldTable = keepsAllBut([...OF_STREAM, FIELD.contentLength])

/** A length must not be told there (RFC 9110, 8.6); some break off when it is. */
const isBare = (status: number): boolean => status < 200 || status === 204

const SWITCHING_PROTOCOLS = 101
const UPGRADE_REQUIRED = 426
const RESET_CONTENT = 205
const HSTS = 'Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n'
const NO_HSTS = /^$|^\[|(?:^|\.)(?:localhost|\d+)\.?(?::\d*)?$/i
