/** What comes from clients: heads, bodies, what follows them, and how much of it is read. */
import type { Instant } from '../../../machine.ts'
import { begin } from '../exchange/begin.ts'
import { cutOff, fail, leave } from '../exchange/end.ts'
import { requestId } from '../exchange/ids.ts'
import { endStreamBody, forward } from '../exchange/request.ts'
import { relayUp, settleTunnel } from '../exchange/tunnel.ts'
import {
  ANSWERING,
  ASKING,
  CLOSING,
  type Client,
  enter,
  GONE,
  HELD,
  IN_HEAD,
  type IngressState,
  isAsked,
  type Out,
  READY,
  TUNNEL,
  type Upstream,
} from '../state.ts'
import { setDue } from '../timers.ts'
import { closeWhenDone, endIdle, forgetClient } from './closing.ts'
import { enqueue, queued, takeQueue } from './queue.ts'

export function onClientBytes(
  state: IngressState,
  client: Client,
  bytes: Uint8Array,
  now: Instant,
  out: Out,
): void {
  if (client.queue === undefined) {
    const at = receive(state, client, bytes, 0, now, out)
    if (at < bytes.length && client.stage !== GONE) keep(state, client, bytes, at, now, out)
  } else {
    keep(state, client, bytes, 0, now, out)
  }
}

/** Goes on with what waits, after anything changed. */
export function settle(state: IngressState, client: Client, now: Instant, out: Out): void {
  if (client.stage === GONE) return
  const { queue } = client
  if (queue !== undefined) {
    takeQueue(client, queue, receive(state, client, queue, client.queueFrom, now, out))
  }
  if (client.hasEnded || client.isFinished) settleEnd(state, client, now, out)
  steer(client, out)
}

/** Returns where what cannot be used yet begins. */
function receive(
  state: IngressState,
  client: Client,
  bytes: Uint8Array,
  from: number,
  now: Instant,
  out: Out,
): number {
  let at = from
  while (at < bytes.length) {
    const { stage, upstream } = client
    if (stage <= IN_HEAD) {
      if (client.isBlocked) return at
      const next = readHead(state, client, bytes, at, now, out)
      if (next === at) return at
      at = next
    } else if (stage === TUNNEL) {
      if (upstream!.isBlocked) return at
      relayUp(state, client, upstream!, bytes, at, now, out)
      return bytes.length
    } else if (stage >= CLOSING) {
      state.counters.bytesDropped += bytes.length - at
      client.lingers = true
      return bytes.length
    } else if (!isAsked(client)) {
      const isSent = stage === ASKING || stage === ANSWERING
      if (!isSent || upstream!.isBlocked) return at
      at = forward(state, client, '', bytes, at, now, out)
    } else {
      // A stream carries one request: what is beyond its length is none of it (RFC 9113, 8.1.1).
      if (!client.isStream || client.passage.requestUpgrade !== '') return at
      cutOff(state, client, 'bad-request', true, now, out)
      return bytes.length
    }
  }
  return at
}

/** The first byte of its head is there. */
export function beginRequest(state: IngressState, client: Client, now: Instant): void {
  const { passage } = client
  enter(client, IN_HEAD)
  client.requests += 1
  client.beganAt = now
  state.counters.begun += 1
  passage.requestId = requestId(state)
  passage.clientMinor = 1
  client.hasRoute = false
  if (!client.trustsPeer) return
  client.address = client.peers.source
  passage.clientAddress = passage.peerAddress
}

function readHead(
  state: IngressState,
  client: Client,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): number {
  const reader = client.reader!
  const { limits } = client.port
  if (client.requests < 2 && bytes[at] === PREFACE.charCodeAt(0) && isFirst(client)) {
    const same = sameAsPreface(bytes, at)
    if (same === PREFACE.length) {
      speakHttp2(state, client, bytes, at, out)
      return bytes.length
    }
    if (same === bytes.length - at) {
      // More of it may follow; until then it is a request.
      if (client.stage === READY) {
        beginRequest(state, client, now)
        setDue(state, client, now + limits.headTimeoutMs)
      }
      return at
    }
  }
  const reading = reader.read(bytes, at, limits)
  if (client.stage === READY && !(reading === 'more' && reader.isEmpty)) {
    beginRequest(state, client, now)
    if (reading === 'more') setDue(state, client, now + limits.headTimeoutMs)
  }
  if (reading === 'head') {
    return begin(state, client, reader.head, bytes, reader.end, now, out)
  }
  if (reading === 'refused') {
    client.mustClose = true
    client.fault = reader.fault
    fail(state, client, 'bad-request', now, out, reader.status)
  }
  return bytes.length
}

function keep(
  state: IngressState,
  client: Client,
  bytes: Uint8Array,
  at: number,
  now: Instant,
  out: Out,
): void {
  if (client.stage === HELD) {
    const count = bytes.length - at
    if (state.heldBytes + count > state.config.heldBytesMax) {
      client.mustClose = true
      fail(state, client, 'held-max', now, out)
      return
    }
    state.heldBytes += count
    client.heldBytes += count
  }
  enqueue(client, bytes, at)
}

/** It sends no more, or nothing more is sent to it. */
function settleEnd(state: IngressState, client: Client, now: Instant, out: Out): void {
  const { stage, queue } = client
  if (stage === CLOSING) {
    closeWhenDone(state, client, out)
  } else if (stage === TUNNEL) {
    settleTunnel(state, client, client.upstream!, now, out)
  } else if (!client.hasEnded) {
    return
  } else if (client.isStream) {
    const isSent = stage === ASKING || stage === ANSWERING
    if (isSent && queue === undefined && client.left !== 0) endStreamBody(state, client, now, out)
  } else if (stage === READY) {
    if (queue !== undefined && client.isBlocked) return
    endIdle(state, client, now, out)
    closeWhenDone(state, client, out)
  } else if (stage <= HELD) {
    // It has waited for nothing so far, and is not likely to wait on with half of a connection.
    leave(state, client, 'client-gone', now, out)
  } else if (client.left !== 0 && queue === undefined && stage <= ANSWERING) {
    cutOff(state, client, 'client-gone', true, now, out)
  }
}

/** Reads no more from it than can be used or kept, nor from its backend than it takes. */
function steer(client: Client, out: Out): void {
  const { stage, upstream, isPaused } = client
  if (upstream !== undefined) steerUpstream(client, upstream, out)
  if (stage === GONE || client.hasEnded) return
  const waiting = queued(client)
  const isUnsent = upstream?.isBlocked === true && (client.left !== 0 || stage === TUNNEL)
  const mustPause =
    stage !== CLOSING &&
    (isUnsent ||
      (client.isBlocked && stage <= IN_HEAD) ||
      waiting > (isPaused ? 0 : client.config.pipelinedBytesMax))
  if (mustPause === isPaused) return
  client.isPaused = mustPause
  out.push({ type: mustPause ? 'pause-client' : 'resume-client', client: client.id })
}

function steerUpstream({ isBlocked }: Client, upstream: Upstream, out: Out): void {
  const mustPause = isBlocked && upstream.isConnected && !upstream.hasEnded
  if (mustPause === upstream.isPaused) return
  upstream.isPaused = mustPause
  out.push({ type: mustPause ? 'pause-upstream' : 'resume-upstream', upstream: upstream.id })
}

/** RFC 9113, 3.4: it is a session from its first byte on. */
function speakHttp2(
  state: IngressState,
  client: Client,
  bytes: Uint8Array,
  at: number,
  out: Out,
): void {
  state.counters.sessions += 1
  state.counters.begun -= client.requests
  const rest = at === 0 ? bytes : bytes.subarray(at)
  out.push({ type: 'speak-http2', client: client.id, bytes: rest })
  forgetClient(state, client)
}

/** No byte was taken of anything on it. */
const isFirst = ({ requests, stage, reader }: Client): boolean =>
  requests === 0 || (stage === IN_HEAD && reader!.isEmpty)

function sameAsPreface(bytes: Uint8Array, at: number): number {
  let same = 0
  while (same < PREFACE.length && bytes[at + same] === PREFACE.charCodeAt(same)) same += 1
  return same
}

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
