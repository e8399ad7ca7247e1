/**
 * HTTP without a socket: every client connection, every request on it, every connection to a backend
 * of one process. HTTP/1.1 comes and goes as bytes, HTTP/2 as messages; the exchange is the same.
 */
import type { BackendId } from '../../balance/group.ts'
import { type Instant, type Machine, unreachable } from '../../machine.ts'
import { DeadlineQueue } from '../../time/deadline-queue.ts'
import type { IngressCommand } from '../commands.ts'
import { defaultIngressConfig, type IngressConfig } from '../config.ts'
import type { ClientEvent, HttpListenerId, IngressEvent, UpstreamEvent } from '../events.ts'
import { type Latin1, latin1Of } from '../head/latin1.ts'
import { awaitTaking, onFinished } from './clients/closing.ts'
import {
  onAccepted,
  onClientBroken,
  onClientTrailers,
  onStreamOpened,
} from './clients/connection.ts'
import { onClientBytes, settle } from './clients/reading.ts'
import { doChores, onTick } from './control/chores.ts'
import {
  onAbortListener,
  onApplyBackends,
  onCloseListener,
  onConfigureListener,
  onCutBackend,
} from './control/listeners.ts'
import { onApplyRoutes, onClosePort, onConfigure } from './control/ports.ts'
import { type IngressCounters, type ListenerCounters, zeroIngressCounters } from './counters.ts'
import { complete } from './exchange/end.ts'
import { idPrefixOf } from './exchange/ids.ts'
import { awaitMore } from './exchange/request.ts'
import { awaitEnd, touch } from './exchange/tunnel.ts'
import {
  ANSWERING,
  ASKING,
  CLOSING,
  type Client,
  DELIVERING,
  type IngressState,
  type Out,
  READY,
  TUNNEL,
} from './state.ts'
import { setDue } from './timers.ts'
import {
  onUpstreamBroken,
  onUpstreamConnected,
  onUpstreamData,
  onUpstreamEnded,
  onUpstreamFailed,
  onUpstreamHead,
} from './upstreams/connection.ts'

export interface IngressOptions {
  readonly config?: IngressConfig
  /** For what must not be guessed nor repeat: ids of requests, keys of WebSockets. */
  readonly seed: number
  /** A faster one than `String.fromCharCode`, where the host has it. */
  readonly latin1?: Latin1
}

export interface BackendCounts {
  readonly backend: BackendId
  readonly host: string
  readonly port: number
  readonly isDraining: boolean
  readonly isDown: boolean
  /** Exchanges and tunnels. */
  readonly live: number
  /** Connections kept for the next. */
  readonly idle: number
  /** Connections and answers that failed since it came. */
  readonly failures: number
}

export class HttpIngress implements Machine<IngressEvent, IngressCommand> {
  /** For {@link checkInvariants}; nobody else reads it. */
  readonly state: IngressState

  constructor({ config = defaultIngressConfig, seed, latin1 = latin1Of }: IngressOptions) {
    this.state = {
      config,
      latin1,
      seed,
      ports: new Map(),
      clients: new Map(),
      upstreams: new Map(),
      listeners: new Map(),
      challenges: new Map(),
      timers: new DeadlineQueue(),
      chores: [],
      goOnAt: undefined,
      upstreamLast: 0,
      idPrefix: idPrefixOf(seed),
      requestLast: 0,
      heldCount: 0,
      heldBytes: 0,
      counters: zeroIngressCounters(),
    }
  }

  step(event: IngressEvent, now: Instant, out: IngressCommand[]): void {
    const { state } = this
    switch (event.type) {
      case 'client-data': {
        // first: nothing is as frequent
        const client = state.clients.get(event.client)
        if (client === undefined) return // late
        onClientBytes(state, client, event.bytes, now, out)
        settle(state, client, now, out)
        break
      }
      case 'upstream-data': {
        const upstream = state.upstreams.get(event.upstream)
        if (upstream === undefined) return
        const { client } = upstream
        onUpstreamData(state, upstream, event.bytes, now, out)
        if (client !== undefined) settle(state, client, now, out)
        break
      }
      case 'accepted':
        onAccepted(state, event, now, out)
        break
      case 'stream-opened':
        onStreamOpened(state, event, now, out)
        break
      case 'configure':
        onConfigure(state, event.config)
        break
      case 'configure-listener':
        onConfigureListener(state, event, now)
        break
      case 'apply-backends':
        onApplyBackends(state, event, out)
        break
      case 'cut-backend':
        onCutBackend(state, event)
        break
      case 'close-listener':
        onCloseListener(state, event, out)
        break
      case 'abort-listener':
        onAbortListener(state, event, out)
        break
      case 'apply-routes':
        onApplyRoutes(state, event)
        break
      case 'close-port':
        onClosePort(state, event)
        break
      case 'challenge':
        if (event.answer === undefined) state.challenges.delete(event.token)
        else state.challenges.set(event.token, event.answer)
        break
      case 'tick':
        onTick(state, now, out)
        return
      default:
        if ('client' in event) onClientEvent(state, event, now, out)
        else onUpstreamEvent(state, event, now, out)
    }
    if (state.chores.length > 0 && state.goOnAt === undefined) doChores(state, now, out, false)
  }

  deadline(): Instant | undefined {
    // While work is left over, timers that are due are part of it.
    return this.state.goOnAt ?? this.state.timers.next()
  }

  /** Connections of HTTP/1.1, and streams. */
  get clients(): number {
    return this.state.clients.size
  }

  /** Requests that wait for a backend. */
  get held(): number {
    return this.state.heldCount
  }

  get counters(): Readonly<IngressCounters> {
    return this.state.counters
  }

  /** Now: `requests` without tunnels, held ones included. Zeros of a listener nobody knows. */
  counts(id: HttpListenerId): { requests: number; held: number; tunnels: number } {
    const listener = this.state.listeners.get(id)
    if (listener === undefined) return { requests: 0, held: 0, tunnels: 0 }
    const { live, tunnels, held } = listener
    return { requests: live - tunnels, held: held.size, tunnels }
  }

  listenerCounters(id: HttpListenerId): Readonly<ListenerCounters> | undefined {
    return this.state.listeners.get(id)?.counters
  }

  /** Of those in the set, then of those that drain. */
  backendCounts(id: HttpListenerId): readonly BackendCounts[] {
    const listener = this.state.listeners.get(id)
    if (listener === undefined) return []
    const { group, targets } = listener
    const { serving, draining } = group.state
    return [...serving.values(), ...draining.values()].map((member) => {
      const target = targets[member.index]
      const isOwn = target?.member === member
      return {
        backend: member.backend.id,
        host: member.backend.host,
        port: member.backend.port,
        isDraining: member.state === 'draining',
        isDown: member.backend.down === true,
        live: member.live,
        idle: isOwn ? target.idle : 0,
        failures: isOwn ? target.failures : 0,
      }
    })
  }
}

type Handled<E, T> = E extends { type: T } ? never : E

function onClientEvent(
  state: IngressState,
  event: Handled<ClientEvent, 'client-data' | 'accepted' | 'stream-opened'>,
  now: Instant,
  out: Out,
): void {
  const client = state.clients.get(event.client)
  if (client === undefined) return
  switch (event.type) {
    case 'client-trailers':
      onClientTrailers(client, event)
      break
    case 'client-ended':
      client.hasEnded = true
      break
    case 'client-broken':
      onClientBroken(state, client, now, out)
      break
    case 'client-blocked':
      client.isBlocked = true
      if (client.stage === READY || client.stage === CLOSING) awaitTaking(state, client, now)
      break
    case 'client-writable':
      client.isBlocked = false
      onMoved(state, client, now)
      if (client.stage === DELIVERING) complete(state, client, client.outcome, now, out)
      break
    case 'client-finished':
      onFinished(state, client, now)
      if (client.stage === TUNNEL) awaitEnd(state, client, now)
      break
    default:
      unreachable(event)
  }
  settle(state, client, now, out)
}

/** One side has taken what waited for it: what waited behind that may begin to move only now. */
function onMoved(state: IngressState, client: Client, now: Instant): void {
  const { stage } = client
  if (stage === READY) setDue(state, client, now + client.port.limits.keepAliveMs)
  else if (stage === CLOSING) awaitTaking(state, client, now)
  else if (stage === TUNNEL) touch(state, client, now)
  else if (stage === ASKING || stage === ANSWERING) awaitMore(state, client, now)
}

function onUpstreamEvent(
  state: IngressState,
  event: Handled<UpstreamEvent, 'upstream-data'>,
  now: Instant,
  out: Out,
): void {
  const upstream = state.upstreams.get(event.upstream)
  if (upstream === undefined) return // late: it was closed
  const { client } = upstream
  switch (event.type) {
    case 'upstream-connected':
      upstream.isReused = event.isReused === true
      onUpstreamConnected(state, upstream, now, out)
      break
    case 'upstream-failed':
      onUpstreamFailed(state, upstream, event, now, out)
      break
    case 'upstream-head':
      onUpstreamHead(state, upstream, event, now, out)
      break
    case 'upstream-trailers':
      onUpstreamEnded(state, upstream, event.fields, now, out)
      break
    case 'upstream-ended':
      onUpstreamEnded(state, upstream, NO_FIELDS, now, out)
      break
    case 'upstream-broken':
      onUpstreamBroken(state, upstream, now, out)
      break
    case 'upstream-blocked':
      upstream.isBlocked = true
      break
    case 'upstream-writable':
      upstream.isBlocked = false
      if (client !== undefined) onMoved(state, client, now)
      break
    case 'upstream-finished':
      upstream.isFinished = true
      if (client?.stage === TUNNEL) awaitEnd(state, client, now)
      break
    default:
      unreachable(event)
  }
  if (client !== undefined) settle(state, client, now, out)
}

const NO_FIELDS: readonly string[] = []
