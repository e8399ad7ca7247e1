/**
 * Runs the one `HttpIngress` machine against real sockets. One pump, one switch, no policy: what
 * sockets do becomes an event, what comes back is done. Clients come from listening sockets of
 * whatever number, and are this shell's from then on.
 */
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { ListenerFact } from '../../../core/balance/facts.ts'
import type {
  ClientCommand,
  ExchangeRecord,
  IngressCommand,
  UpstreamCommand,
} from '../../../core/http/commands.ts'
import type { IngressConfig, PortLimits } from '../../../core/http/config.ts'
import type {
  ClientId,
  HttpListenerId,
  IngressEvent,
  PortId,
  TlsFacts,
  UpstreamId,
} from '../../../core/http/events.ts'
import { HttpIngress } from '../../../core/http/ingress/ingress.ts'
import { unreachable } from '../../../core/machine.ts'
import type { Peers } from '../../../core/stream/entrance/events.ts'
import { MachineLoop } from '../listener/machine-loop.ts'
import { PausedSockets } from '../listener/stream/paused-sockets.ts'
import { peersOf } from '../listener/stream/peers.ts'
import { releaseSocket } from '../listener/stream/release-socket.ts'
import { Http1Client, type Origin } from './http1-client.ts'
import { connectHttp1, failConnect, type Http1Upstream } from './http1-upstream.ts'
import { BackendSessions } from './http2/backend-sessions.ts'
import { ClientSessions } from './http2/client-sessions.ts'
import { StreamClient } from './http2/stream-client.ts'
import { StreamUpstream } from './http2/stream-upstream.ts'
import { type Listening, latin1Slice } from './wire.ts'

export interface HttpShellOptions {
  readonly config: IngressConfig
  /** May be called from within any method. */
  readonly fact: (listener: HttpListenerId, fact: ListenerFact) => void
  /** One for each request, when it is over; it does not throw. */
  readonly exchanged: (exchange: ExchangeRecord) => void
  /** A connection to a backend came to nothing because this machine lacks something. */
  readonly hostFailed: (reason: string) => void
  /** A client was turned away: there are as many as `config.clientsMax` allows. */
  readonly full: () => void
}

type ApplyRoutes = Extract<IngressEvent, { type: 'apply-routes' }>
type ConnectUpstream = Extract<UpstreamCommand, { type: 'connect' }>

export class HttpShell {
  readonly #machine: HttpIngress
  readonly #options: HttpShellOptions
  readonly #loop: MachineLoop<IngressEvent, IngressCommand>
  readonly #to: Listening
  readonly #clients = new Map<ClientId, Http1Client | StreamClient>()
  readonly #upstreams = new Map<UpstreamId, Http1Upstream | StreamUpstream>()
  readonly #sessions: ClientSessions
  readonly #backends: BackendSessions
  readonly #limits = new Map<PortId, PortLimits>()
  #clientLast = 0
  /** Connections of HTTP/1.1 now, and all there were; those that were gone when they came. */
  #live = 0
  #accepted = 0
  #lost = 0
  /** Turned away, as far as it was told. */
  #refused = 0

  constructor(options: HttpShellOptions) {
    const { config, hostFailed } = options
    this.#options = options
    const seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
    this.#machine = new HttpIngress({ config, seed, latin1 })
    this.#loop = new MachineLoop(this.#machine, (command, next) => this.#apply(command, next))
    const to: Listening = {
      step: (event) => this.step(event),
      hostFailed,
      paused: new PausedSockets(),
    }
    this.#to = to
    this.#sessions = new ClientSessions({
      fieldsMax: config.fieldsMax,
      sessionsMax: config.clientsMax,
      full: options.full,
      to,
      nextClient: () => this.#nextClient(),
      opened: (stream) => this.#clients.set(stream.id, stream),
    })
    this.#backends = new BackendSessions({ idleMs: config.idleUpstreamMs, to })
  }

  /** Counters and counts, for people and tests. */
  get machine(): Omit<HttpIngress, 'step' | 'deadline' | 'state'> {
    return this.#machine
  }

  step(event: IngressEvent): void {
    if (event.type === 'upstream-failed') this.#closeUpstream(event.upstream, false) // it is over
    this.#loop.step(event)
  }

  applyRoutes(event: ApplyRoutes): void {
    const { port, limits } = event
    this.#limits.set(port, limits ?? this.#options.config.limits)
    this.step(event)
  }

  closePort(port: PortId): void {
    this.step({ type: 'close-port', port })
    this.#sessions.closePort(port)
    this.#limits.delete(port)
  }

  /**
   * A client that is not read, and not ended; plain, or TLS whose handshake is done. `announced`:
   * where somebody else than the kernel said who it is.
   */
  accept(port: PortId, socket: Socket, announced: Peers | undefined): void {
    const peers = announced ?? peersOf(socket)
    const limits = this.#limits.get(port)
    if (peers === undefined || limits === undefined) {
      this.#lost += 1
      socket.on('error', () => {})
      releaseSocket(socket, true)
      return
    }
    const secure = socket instanceof TLSSocket ? socket : undefined
    const origin: Origin = secure ? { port, peers, tls: tlsFactsOf(secure) } : { port, peers }
    if (secure?.alpnProtocol === 'h2') return this.#sessions.open(socket, origin, limits)
    const client = this.#nextClient()
    this.#clients.set(client, new Http1Client(client, socket, origin, this.#to))
    this.#live += 1
    this.#accepted += 1
    this.step({ type: 'accepted', client, ...origin })
  }

  /** Client connections of all ports, whatever is spoken on them. */
  get clients() {
    const { live, counters } = this.#sessions
    return {
      live: this.#live + live,
      accepted: this.#accepted + counters.accepted,
      refused: {
        ...this.#machine.counters.refused,
        'client-gone': this.#lost + counters.broken,
        'sessions-max': counters.full,
        'http2-error': counters.misbehaved,
      },
    }
  }

  /** Connections of HTTP/1.1 and streams of HTTP/2 to backends. */
  get upstreams(): number {
    return this.#upstreams.size
  }

  /** Closes every descriptor; what the kernel has of the answers is delivered. */
  stop(): void {
    this.#loop.stop()
    this.#to.paused.clear()
    this.#sessions.stop()
    this.#backends.stop()
    for (const client of this.#clients.values()) client.close(false)
    for (const upstream of this.#upstreams.values()) upstream.close(false)
    this.#clients.clear()
    this.#upstreams.clear()
  }

  #apply(command: IngressCommand, next: IngressCommand | undefined): void {
    switch (command.type) {
      case 'write-client': {
        const { client, head, bytes } = command
        const wire = this.#clients.get(client)
        if (next?.type === 'write-client' && next.client === client) wire?.gather(head, bytes)
        else wire?.write(head, bytes)
        return
      }
      case 'write-upstream': {
        const { upstream, head, bytes } = command
        const wire = this.#upstreams.get(upstream)
        if (next?.type === 'write-upstream' && next.upstream === upstream) wire?.gather(head, bytes)
        else wire?.write(head, bytes)
        return
      }
      case 'connect':
        this.#connect(command)
        return
      case 'request':
        this.#request(command)
        return
      case 'pause-upstream':
        this.#upstreams.get(command.upstream)?.pause()
        return
      case 'resume-upstream':
        this.#upstreams.get(command.upstream)?.resume()
        return
      case 'end-upstream':
        this.#upstreams.get(command.upstream)?.end()
        return
      case 'write-upstream-trailers': {
        const wire = this.#upstreams.get(command.upstream)
        if (wire instanceof StreamUpstream) wire.endWith(command.fields)
        return
      }
      case 'close-upstream': {
        const { upstream, reset, isSuspect } = command
        if (isSuspect) this.#suspect(upstream)
        this.#closeUpstream(upstream, reset)
        return
      }
      case 'read':
      case 'speak-http2':
      case 'respond':
      case 'write-client-trailers':
      case 'pause-client':
      case 'resume-client':
      case 'end-client':
      case 'close-client':
        this.#applyToClient(command)
        return
      case 'exchanged':
        this.#options.exchanged(command.exchange)
        return
      case 'backends-applied':
      case 'backend-drained':
      case 'backend-failed':
      case 'wanted':
      case 'idle':
      case 'busy':
      case 'emptied':
        this.#options.fact(command.listener, command)
        return
      default:
        unreachable(command)
    }
  }

  #applyToClient(command: Exclude<ClientCommand, { type: 'write-client' }>): void {
    const client = this.#clients.get(command.client)
    if (client === undefined) return
    switch (command.type) {
      case 'read':
        if (client instanceof Http1Client) client.read()
        return
      case 'speak-http2':
        if (client instanceof Http1Client) this.#speakHttp2(client, command.bytes)
        return
      case 'respond': {
        const { status, fields, isLast } = command
        if (client instanceof StreamClient) client.respond(status, fields, isLast)
        return
      }
      case 'write-client-trailers':
        if (client instanceof StreamClient) client.endWith(command.fields)
        return
      case 'pause-client':
        client.pause()
        return
      case 'resume-client':
        client.resume()
        return
      case 'end-client':
        client.end()
        return
      case 'close-client':
        this.#clients.delete(command.client)
        if (client instanceof Http1Client) this.#live -= 1
        if (this.#isFull() && client instanceof Http1Client) this.#accepted -= 1
        client.close(command.reset)
        return
      default:
        unreachable(command)
    }
  }

  #speakHttp2(client: Http1Client, bytes: Uint8Array): void {
    const { id, origin } = client
    this.#clients.delete(id)
    this.#live -= 1
    this.#accepted -= 1 // counted as a session
    const limits = this.#limits.get(origin.port) ?? this.#options.config.limits
    this.#sessions.open(client.handOn(bytes), origin, limits)
  }

  #connect({ upstream, host, port, protocol }: ConnectUpstream): void {
    try {
      if (protocol === 'h2c') this.#backends.connect(upstream, { host, port })
      else this.#upstreams.set(upstream, connectHttp1(upstream, { host, port }, this.#to))
    } catch (error) {
      failConnect(upstream, error, this.#to)
    }
  }

  #request({ upstream, fields, isLast }: Extract<UpstreamCommand, { type: 'request' }>): void {
    const stream = this.#backends.request(upstream, fields, isLast)
    if (stream !== undefined) this.#upstreams.set(upstream, stream)
  }

  #closeUpstream(upstream: UpstreamId, reset: boolean): void {
    const wire = this.#upstreams.get(upstream)
    if (wire === undefined) return this.#backends.abandon(upstream)
    this.#upstreams.delete(upstream)
    wire.close(reset)
  }

  /** Whether the machine has just turned one away because of it. */
  #isFull(): boolean {
    const refused = this.#machine.counters.refused['clients-max']
    if (refused === this.#refused) return false
    this.#refused = refused
    this.#options.full()
    return true
  }

  #suspect(upstream: UpstreamId): void {
    const wire = this.#upstreams.get(upstream)
    if (wire instanceof StreamUpstream) wire.suspect()
  }

  #nextClient(): ClientId {
    this.#clientLast += 1
    return this.#clientLast as ClientId
  }
}

function tlsFactsOf({ servername }: TLSSocket): TlsFacts {
  // The types know of no server's side: `false` where the client named nothing.
  const asked: unknown = servername
  return typeof asked === 'string' ? { serverName: asked.toLowerCase() } : {}
}

const latin1 = (bytes: Uint8Array, from: number, to: number): string =>
  latin1Slice.call(bytes, from, to)
