/** From a head that is complete to a backend, or to an answer of our own. */
import type { Instant } from '../../../machine.ts'
import { admits } from '../../../policy/access.ts'
import { challengeAnswer, EMPTY, redirectAnswer } from '../../forward/answer.ts'
import { addressText, clientOf } from '../../forward/client.ts'
import { isRequestId, isTraced } from '../../forward/request.ts'
import { wantsHsts } from '../../forward/response.ts'
import { FIELD } from '../../head/fields.ts'
import { CHUNKED } from '../../head/meaning.ts'
import type { RequestHead } from '../../head/request.ts'
import { isEvasive, strippedPath } from '../../routes/path.ts'
import { sayBusy } from '../control/use.ts'
import { ASKING, type Client, END_DUE, freshChunks, type IngressState, type Out } from '../state.ts'
import { seek } from '../upstreams/choice.ts'
import { answerOwn, fail } from './end.ts'
import { webSocketKey } from './ids.ts'
import { send } from './request.ts'

/** `bytes` from `at` on is what follows the head; returns where what was not taken of it begins. */
export function begin(
  state: IngressState,
  client: Client,
  head: RequestHead,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): number {
  const { port, passage, config } = client
  client.head = head
  client.headAt = now
  client.left = head.body === 0 && client.isStream && !client.hasEnded ? END_DUE : head.body
  if (head.body === CHUNKED && !client.isStream) freshChunks(state, client)
  client.mustClose =
    head.wantsClose ||
    port.isClosing ||
    (config.requestsPerClientMax > 0 && client.requests >= config.requestsPerClientMax)
  passage.clientMinor = head.minor as 0 | 1
  passage.requestBody = head.body
  passage.keepsExpect = head.expectsContinue
  passage.requestUpgrade = ''
  passage.webSocketKey = ''
  if (client.trustsPeer) hearProxy(client, head)
  const isDone = state.challenges.size > 0 && answerChallenge(state, client, head, now, out)
  if (!isDone) lead(state, client, head, now, out)
  return client.stage === ASKING ? send(state, client, bytes, at, now, out) : at
}

/** What a trusted proxy says of whom it speaks for. */
function hearProxy(client: Client, { fields }: RequestHead): void {
  const { passage, peers, config } = client
  const origin = clientOf(peers.source, fields, config.trustedProxies)
  client.address = origin.address
  const { address } = origin
  passage.clientAddress = address === peers.source ? passage.peerAddress : addressText(address)
  passage.forwarded = origin.forwarded
  passage.forwardedFor = origin.forwardedFor
  const id = fields.get(FIELD.xRequestId)
  if (id !== undefined && isRequestId(id)) passage.requestId = id
}

function answerChallenge(
  state: IngressState,
  client: Client,
  { path, method }: RequestHead,
  now: Instant,
  out: Out,
): boolean {
  if (!path.startsWith(CHALLENGE_PATH) || (method !== 'GET' && method !== 'HEAD')) return false
  const answer = state.challenges.get(path.slice(CHALLENGE_PATH.length))
  if (answer === undefined) return false
  answerOwn(state, client, challengeAnswer(answer), 'challenge', now, out)
  return true
}

/** To the backends of its route, or answered. */
function lead(
  state: IngressState,
  client: Client,
  head: RequestHead,
  now: Instant,
  out: Out,
): void {
  const { passage } = client
  // A CONNECT that is no tunnel of ours has none.
  if (head.path === '') return fail(state, client, 'bad-request', now, out, 501)
  const route = client.port.routes.find(head.authority, head.path)
  if (route === undefined) {
    if (!isEvasive(head.path)) return fail(state, client, 'no-route', now, out)
    client.fault = 'target'
    return fail(state, client, 'bad-request', now, out, 400)
  }
  client.hasRoute = true
  if (route !== client.route) {
    client.route = route
    client.routeName = `${route.host ?? '*'}${route.path}`
  }
  const listener = state.listeners.get(route.listener)
  const isOpen = listener?.phase === 'open'
  if (isOpen) {
    client.listener = listener
    client.settings = listener.config
    listener.live += 1
  }
  if (route.redirectTo !== undefined && !isSecure(client, head)) {
    const to = redirectAnswer(head.authority, head.path, head.query, route.redirectTo)
    if (to !== undefined) return answerOwn(state, client, to, 'redirected', now, out)
    client.fault = 'host'
    return fail(state, client, 'bad-request', now, out, 400)
  }
  if (!isOpen) return fail(state, client, 'no-route', now, out)
  const settings = listener.config
  if (settings.access.length > 0 && !admits(settings.access, client.address)) {
    return fail(state, client, 'forbidden', now, out)
  }
  // RFC 9110, 7.6.2: whoever asks so far and no further wants to know that it came here.
  if (isTraced(head) && head.fields.get(FIELD.maxForwards) === '0') {
    if (head.method === 'TRACE') return fail(state, client, 'bad-request', now, out, 501)
    return answerOwn(state, client, EMPTY, 'done', now, out)
  }
  sayBusy(listener, out)
  if (head.upgrade !== '' && !mayUpgrade(state, client, head)) {
    return fail(state, client, 'bad-request', now, out, 501)
  }
  passage.path = settings.stripPrefix ? strippedPath(route.path, head.path) : head.path
  passage.hsts = client.isSecure && settings.hsts && wantsHsts(head.authority)
  if (settings.totalTimeoutMs > 0) client.totalAt = client.beganAt + settings.totalTimeoutMs
  seek(state, client, 'no-backend', now, out)
}

const isSecure = (client: Client, { fields }: RequestHead): boolean =>
  client.isSecure || (client.trustsPeer && HTTPS.test(fields.get(FIELD.xForwardedProto) ?? ''))

/**
 * A change of protocol is offered on where the backend can take it and where nothing else is on the
 * way: a request with a body keeps its body and loses the offer (W43). HTTP/2 without TLS is never
 * offered on: behind it requests would pass unread. False: there is no other way to answer.
 */
function mayUpgrade(state: IngressState, client: Client, head: RequestHead): boolean {
  const { passage, settings } = client
  const isH2c = settings!.backend === 'h2c'
  if (!client.isStream) {
    const isOffered = head.body === 0 && !isH2c && !H2C.test(head.upgrade)
    if (isOffered) passage.requestUpgrade = head.upgrade
    return true
  }
  if (head.upgrade !== 'websocket') return false
  passage.requestUpgrade = head.upgrade
  // RFC 8441, 5: what follows is not a body, but what goes through the tunnel.
  passage.requestBody = 0
  client.left = 0
  if (!isH2c) passage.webSocketKey = webSocketKey(state)
  return true
}

const CHALLENGE_PATH = '/.well-known/acme-challenge/'
/** What the first of several proxies says, to which the client came. */
const HTTPS = /^https[ \t]*(?:,|$)/i
const H2C = /(?:^|[\s,])(?:h2c|tls\/)/
