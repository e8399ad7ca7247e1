/** The answer on its way to the client. */
import type { Instant } from '../../../machine.ts'
import { responseFields, responseHead } from '../../forward/response.ts'
import { FIELD, type Fields } from '../../head/fields.ts'
import { CHUNKED, UNTIL_CLOSE } from '../../head/meaning.ts'
import type { ResponseHead } from '../../head/response.ts'
import {
  ANSWERING,
  ASKING,
  type Client,
  END_DUE,
  enter,
  freshChunks,
  type IngressState,
  isAsked,
  type Out,
  TUNNEL,
  type Upstream,
} from '../state.ts'
import { setDue } from '../timers.ts'
import { closeUpstream, park } from '../upstreams/pool.ts'
import { relay, relayEnd, write } from './body.ts'
import { cutOff, fail, finish, takeFrom } from './end.ts'
import { openTunnel, relayDown } from './tunnel.ts'

/** Bytes of an HTTP/1.1 connection, or of the body of a stream. */
export function onAnswerBytes(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  bytes: Uint8Array,
  now: Instant,
  out: Out,
): void {
  upstream.hasAnswered = true
  let at = 0
  while (client.stage === ASKING && client.upstream === upstream && at < bytes.length) {
    at = readAnswerHead(state, client, upstream, bytes, at, now, out)
  }
  if (at === bytes.length || client.upstream !== upstream) return
  if (client.stage === TUNNEL) relayDown(state, client, upstream, bytes, at, now, out)
  else pass(state, client, upstream, '', bytes, at, now, out)
}

function readAnswerHead(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): number {
  const { reader, listener } = upstream
  const reading = reader?.read(bytes, at, listener.limits, client.head!.method) ?? 'refused'
  if (reading === 'more') return bytes.length
  if (reading === 'refused') {
    fail(state, client, 'bad-response', now, out)
    return bytes.length
  }
  const { head, end } = reader!
  if (head.status >= 200) return onFinalHead(state, client, upstream, head, bytes, end, now, out)
  onInterimHead(state, client, upstream, head, now, out)
  return end
}

export function onInterimHead(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  head: ResponseHead,
  now: Instant,
  out: Out,
): void {
  const { passage, isStream, id } = client
  if (head.status === 101) {
    openTunnel(state, client, upstream, head, now, out)
  } else if (isStream) {
    const fields = responseFields(head, passage)
    out.push({ type: 'respond', client: id, status: head.status, fields, isLast: false })
  } else if (passage.clientMinor === 1) {
    write(client, responseHead(head, passage), undefined, out)
  }
}

/** The head of the answer, and what is there of its body; returns where what follows it begins. */
export function onFinalHead(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  head: ResponseHead,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): number {
  const { passage, isStream } = client
  const { body, status } = head
  if (isStream && passage.requestUpgrade !== '' && status < 300) {
    // Any 2xx says that the tunnel is there (RFC 8441, 5), so that no other may.
    if (passage.webSocketKey === '') openTunnel(state, client, upstream, head, now, out)
    else fail(state, client, 'bad-response', now, out)
    return at
  }
  enter(client, ANSWERING)
  client.status = status
  client.answeredAt = now
  upstream.left = body === 0 && mayHaveTrailers(client, upstream, status) ? END_DUE : body
  upstream.keepMs = head.wantsClose ? 0 : keepMsOf(state, head)
  if (body === CHUNKED && upstream.reader !== undefined) freshChunks(state, upstream)
  passage.elapsedMs = now - client.beganAt
  let prefix = ''
  if (isStream) {
    const fields = responseFields(head, passage)
    client.writesChunks = false
    const isLast = upstream.left === 0 || status === RESET_CONTENT
    out.push({ type: 'respond', client: client.id, status, fields, isLast })
    if (isLast) {
      const isClean = body === 0 && at === bytes.length
      endAnswer(state, client, upstream, isClean, now, out)
      return bytes.length
    }
  } else {
    if (needsLength(client, upstream, head)) head.fields.append('content-length', '0')
    const isTold = body >= 0 || passage.clientMinor === 1
    // Whether the rest of the request comes is not known: nothing behind it shall be a request.
    if (client.left !== 0 || client.port.isClosing || !isTold) client.mustClose = true
    passage.responseBody = body >= 0 ? body : isTold ? CHUNKED : UNTIL_CLOSE
    passage.closesClient = client.mustClose
    client.writesChunks = passage.responseBody === CHUNKED
    prefix = responseHead(head, passage)
  }
  return pass(state, client, upstream, prefix, bytes, at, now, out)
}

/** The body of the answer; with its end the exchange is over. */
function pass(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  prefix: string,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): number {
  const to = relay(upstream, client, prefix, bytes, at, out)
  if (to < 0) {
    cutOff(state, client, 'bad-response', true, now, out)
    return bytes.length
  }
  if (upstream.left === 0) endAnswer(state, client, upstream, to === bytes.length, now, out)
  else setDue(state, client, now + client.settings!.bodyTimeoutMs)
  return bytes.length
}

/** The end of the connection, or of the stream, is that of the answer. */
export function endAnswerBody(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  trailers: Fields | undefined,
  now: Instant,
  out: Out,
): void {
  relayEnd(upstream, client, trailers, out)
  endAnswer(state, client, upstream, false, now, out)
}

/** `isClean`: the backend said nothing beyond it. */
function endAnswer(
  state: IngressState,
  client: Client,
  upstream: Upstream,
  isClean: boolean,
  now: Instant,
  out: Out,
): void {
  const isWhole = isAsked(client)
  takeFrom(client, upstream)
  // A backend that was offered another protocol, and did not take it, may yet see the request in
  // its own way: nothing else is asked behind that.
  const mayPark = isClean && isWhole && client.passage.requestUpgrade === ''
  if (mayPark && upstream.reader !== undefined) park(state, upstream, now, out)
  else closeUpstream(state, upstream, !isWhole, out)
  finish(state, client, 'done', now, out)
}

/** Only the end of its stream says that it has no body. */
const needsLength = (client: Client, upstream: Upstream, { body, status, fields }: ResponseHead) =>
  upstream.reader === undefined &&
  body === 0 &&
  hasContent(client, status) &&
  !fields.has(FIELD.contentLength)

/** Its body is empty, as it told, and its end is yet to come. */
const mayHaveTrailers = (client: Client, { reader, hasEnded }: Upstream, status: number) =>
  client.isStream &&
  reader === undefined &&
  !hasEnded &&
  status !== RESET_CONTENT &&
  hasContent(client, status)

const hasContent = ({ head }: Client, status: number): boolean =>
  status !== 204 && status !== 304 && head!.method !== 'HEAD'

/** A backend says when it closes; a request on its way then would be lost. */
function keepMsOf({ config }: IngressState, { keepAliveMs }: ResponseHead): number {
  if (keepAliveMs === undefined) return config.idleUpstreamMs
  return Math.min(config.idleUpstreamMs, keepAliveMs - KEPT_LESS_MS)
}

const KEPT_LESS_MS = 1_000
const RESET_CONTENT = 205
