/**
 * A TCP socket that is listened on, and the entrance behind it: clients are led to the listener
 * their route belongs to, or to where HTTP is spoken, and are theirs from then on.
 */
import { createServer, type Server, type Socket } from 'node:net'
import { unreachable } from '../../../../core/machine.ts'
import type { HttpDoorway, SocketUse } from '../../../../core/node/commands.ts'
import { entranceConfigOf, HTTP_DOORWAY } from '../../../../core/node/listener-config.ts'
import type { ListenerId } from '../../../../core/services/identity.ts'
import type { EntranceCommand, EntranceRefusal } from '../../../../core/stream/entrance/commands.ts'
import { StreamEntrance } from '../../../../core/stream/entrance/entrance.ts'
import type { EntranceEvent } from '../../../../core/stream/entrance/events.ts'
import {
  type EntranceCounters,
  zeroEntranceCounters,
} from '../../../../core/stream/entrance/state.ts'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import type { HttpPort } from '../../http/http-port.ts'
import { reasonOf } from '../../socket-errors.ts'
import { differenceOf } from '../endpoint-sums.ts'
import { MachineLoop } from '../machine-loop.ts'
import { type SaySeldom, someOf, someWere, type Words } from '../seldom-notices.ts'
import { peersOf } from '../stream/peers.ts'
import { releaseSocket } from '../stream/release-socket.ts'
import type { StreamDoor } from '../stream/stream-door.ts'
import { EnteringClient } from './entering-client.ts'
import { afterClosing, type HostSocket, listenOn } from './host-socket.ts'
import { CLIENT_LEFT, type Shown } from './secure-client.ts'

export type StreamUse = Extract<SocketUse, { kind: 'tcp' }>

export interface StreamSocketOptions {
  readonly doorOf: (listener: ListenerId) => Pick<StreamDoor, 'accept'> | undefined
  /** Of this socket, where HTTP is spoken. */
  readonly http: HttpPort
  /** Counts up; of all sockets of the process together. */
  readonly nextConnection: () => ConnectionId
  readonly certificates: Shown | undefined
  /**
   * It leads elsewhere first, or is over: what was counted on the way to that listener so far;
   * undefined: to where HTTP is spoken.
   */
  readonly retire: (listener: ListenerId | undefined, counters: EntranceCounters) => void
  /** A client was let in to a listener that is gone: nobody else counts it. */
  readonly lost: (listener: ListenerId) => void
  readonly seldom: SaySeldom
}

export class StreamSocket implements HostSocket {
  readonly #options: StreamSocketOptions
  readonly #entrance: StreamEntrance
  readonly #server: Server
  /** On their way in. */
  readonly #clients = new Map<ConnectionId, EnteringClient>()
  /** In the step that it came with; nearly all are through with it. */
  #arriving: { readonly connection: ConnectionId; readonly client: Socket } | undefined
  readonly #loop: MachineLoop<EntranceEvent, EntranceCommand>
  /** Of some clients it matters where they are from. */
  #asksPeers: boolean
  /** Once it is bound. */
  #address = ''
  #greetingsMax: number
  #use: StreamUse
  #first: ListenerId | undefined
  /** Of the entrance's counters, what was counted for another listener. */
  #before: EntranceCounters

  constructor(use: StreamUse, options: StreamSocketOptions) {
    const config = entranceConfigOf(use)
    this.#options = options
    this.#entrance = new StreamEntrance(config)
    this.#loop = new MachineLoop(this.#entrance, (command) => this.#apply(command))
    this.#asksPeers = config.trustedProxies.length > 0
    this.#greetingsMax = config.greetingsMax
    this.#use = use
    this.#first = firstOf(use)
    this.#before = zeroEntranceCounters()
    this.#server = createServer(SERVER_OPTIONS, (client) => this.#accept(client))
  }

  async listen(host: string, port: number): Promise<string> {
    const address = await listenOn(this.#server, host, port)
    this.#address = address
    this.#applyRoutes()
    this.#server.on('error', (error) => {
      const reason = reasonOf(error)
      this.#say('lost', (times) => `${someWere(times, 'connection')} lost at ${address}: ${reason}`)
    })
    return address
  }

  route(use: SocketUse): void {
    if (use.kind !== 'tcp') return // a socket stays what it was bound as
    const config = entranceConfigOf(use)
    this.#asksPeers = config.trustedProxies.length > 0
    this.#greetingsMax = config.greetingsMax
    this.#use = use
    if (this.#address !== '') this.#applyRoutes()
    this.#step({ type: 'configure', config })
    const first = firstOf(use)
    if (first === this.#first) return
    this.#options.retire(this.#first, this.counters)
    this.#before = structuredClone(this.#entrance.counters)
    this.#first = first
  }

  /** What is on its way in is refused, in steps of bounded size. */
  async close(): Promise<void> {
    // libuv closes the descriptor within the call; the server's own `close` event would wait for
    // every connection.
    this.#server.close()
    this.#step({ type: 'close' })
    do await afterClosing()
    while (!this.#entrance.isEmpty)
    this.#options.http.close()
    this.#options.retire(this.#first, this.counters)
  }

  get greetings(): number {
    return this.#entrance.connections
  }

  /** The listener that clients are counted for while they are on their way in; of HTTP: none. */
  get first(): ListenerId | undefined {
    return this.#first
  }

  /** For that listener. */
  get counters(): EntranceCounters {
    return differenceOf(this.#entrance.counters, this.#before)
  }

  #accept(client: Socket): void {
    const connection = this.#options.nextConnection()
    this.#arriving = { connection, client }
    const peers = this.#asksPeers ? peersOf(client) : undefined
    if (peers === undefined) this.#step({ type: 'accepted', connection })
    else this.#step({ type: 'accepted', connection, peers })
    this.#arriving = undefined
  }

  #step(event: EntranceEvent): void {
    this.#loop.step(event)
    if (event.type === 'secure-failed' && event.reason !== CLIENT_LEFT)
      this.#sayFailed(event.reason)
  }

  #apply(command: EntranceCommand): void {
    const { connection } = command
    switch (command.type) {
      case 'read':
        this.#client(connection)?.read()
        return
      case 'hold':
        this.#client(connection)?.hold()
        return
      case 'secure': {
        const { certificates } = this.#options
        const { bytes, serverName } = command
        const protocols = doorwayOf(this.#use) === undefined ? [] : HTTP_PROTOCOLS
        this.#client(connection)?.secure(bytes, serverName, certificates, protocols)
        return
      }
      case 'admit':
        this.#admit(command)
        return
      case 'refuse':
        this.#client(connection)?.refuse(command.bytes, command.reset)
        this.#clients.delete(connection)
        this.#sayRefused(command.reason)
        return
      default:
        unreachable(command)
    }
  }

  #admit({ connection, route, bytes, peers }: Extract<EntranceCommand, { type: 'admit' }>): void {
    const client = this.#clients.get(connection)?.handOn(bytes) ?? this.#arrivingAs(connection)
    this.#clients.delete(connection)
    if (client === undefined) return
    if (route === HTTP_DOORWAY) return this.#options.http.accept(client, peers)
    const door = this.#options.doorOf(route as ListenerId)
    if (door !== undefined) return door.accept(connection, client, peers)
    // It may be gone: a client is led where it was to be led when it came.
    releaseSocket(client, true)
    this.#options.lost(route as ListenerId)
  }

  /** It listens: there is a number for those who are sent elsewhere. */
  #applyRoutes(): void {
    const doorway = doorwayOf(this.#use)
    const number = Number(this.#address.slice(this.#address.lastIndexOf(':') + 1))
    if (doorway !== undefined) this.#options.http.apply(number, doorway)
  }

  /** Where somebody is to do something about it. */
  #sayRefused(reason: EntranceRefusal): void {
    const why = this.#whyRefused(reason)
    if (why === undefined) return
    const address = this.#address
    this.#say(reason, (times) => `${someWere(times, 'connection')} refused at ${address}: ${why}`)
  }

  #whyRefused(reason: EntranceRefusal): string | undefined {
    if (reason === 'entrance-full') {
      return `${this.#greetingsMax} are on their way in, as many as the largest max_connections of its endpoints allows`
    }
    return REFUSED[reason]
  }

  #sayFailed(reason: string): void {
    const address = this.#address
    this.#say(
      'handshake',
      (times) => `${someOf(times, 'TLS handshake')} failed at ${address}: ${reason}`,
    )
  }

  #say(what: string, words: Words): void {
    const listener = this.#first ?? 'http'
    this.#options.seldom(
      `${listener} ${this.#address} ${what}`,
      (times) => `${listener}: ${words(times)}`,
    )
  }

  #client(connection: ConnectionId): EnteringClient | undefined {
    const known = this.#clients.get(connection)
    const tcp = known === undefined ? this.#arrivingAs(connection) : undefined
    if (tcp === undefined) return known
    const client = new EnteringClient(connection, tcp, (event) => this.#step(event))
    this.#clients.set(connection, client)
    return client
  }

  #arrivingAs(connection: ConnectionId): Socket | undefined {
    return this.#arriving?.connection === connection ? this.#arriving.client : undefined
  }
}

const doorwayOf = ({ routes }: StreamUse): HttpDoorway | undefined =>
  routes.find((route) => 'http' in route)

function firstOf({ routes }: StreamUse): ListenerId | undefined {
  const [route] = routes
  return route !== undefined && 'listener' in route ? route.listener : undefined
}

/** The best first. */
const HTTP_PROTOCOLS = ['h2', 'http/1.1']

/** What was expected. */
const REFUSED: Readonly<Partial<Record<EntranceRefusal, string>>> = {
  'proxy-header':
    'a source that accept_proxy_protocol names has to begin with a PROXY header, version 1 or 2',
  'not-tls': 'TLS is spoken here, and what came is none',
}

const SERVER_OPTIONS = { allowHalfOpen: true, pauseOnConnect: true, noDelay: true } as const
