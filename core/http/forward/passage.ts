/** What decides how the heads of one exchange are rewritten; its owner fills it as it goes on. */

export class Passage {
  // of the connection: not changed after its first request
  /** How the client came. */
  scheme: 'http' | 'https' = 'http'
  /** Who is connected: an address as text, without port and zone. */
  peerAddress = ''
  /** How we call ourselves in Via (RFC 9110, 7.6.3). */
  pseudonym = ''
  /** What the peer says of the scheme and host that the client used is believed. */
  isTrusted = false

  // of the request
  /** What it goes to: without its query, and without what a route strips. */
  path = '/'
  /** Whom it is for, behind trusted proxies. The same text as of the peer where that says nothing. */
  clientAddress = ''
  /** What a trusted peer says of who came before it: of `Origin`; empty: nothing. */
  forwardedFor = ''
  forwarded = ''
  requestId = ''
  /** Its body, as it goes to the backend: a length, or `CHUNKED`. */
  requestBody = 0
  /** Expect goes on; false: it was answered. */
  keepsExpect = true
  /** The backend shall close after its answer. */
  closesUpstream = false
  /** The protocols it wants to change to, as they go on; empty: none. */
  requestUpgrade = ''
  /**
   * Sec-WebSocket-Key (RFC 6455, 4.1) of a WebSocket that an HTTP/2 client opens and an HTTP/1.1
   * backend serves: its CONNECT becomes a GET. Empty: it is none.
   */
  webSocketKey = ''

  // of the answer
  /** Its body, as it goes to the client: a length, `CHUNKED` or `UNTIL_CLOSE`. */
  responseBody = 0
  /** The connection to the client ends with this answer. */
  closesClient = false
  /** Of the client's HTTP/1. */
  clientMinor: 0 | 1 = 1
  /** From the first byte of the request to the head of the answer. */
  elapsedMs = 0
  /** Strict-Transport-Security is said where the backend says nothing: see `wantsHsts`. */
  hsts = false
  /** Of `request.ts`: what it added last, where that is the same for all requests for this host. */
  readonly said = { authority: undefined as string | undefined, minor: 0, lines: '' }
}
