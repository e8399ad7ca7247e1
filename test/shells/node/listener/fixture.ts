import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { Effect, Exit, Scope } from 'effect'
import { onTestFinished } from 'vitest'
import type {
  Backend,
  ListenerSettings,
  OpenListener,
  SocketRoute,
  SocketUse,
} from '../../../../core/node/commands.ts'
import type { ListenerEvent, SocketEvent } from '../../../../core/node/events.ts'
import type { CommonSettings } from '../../../../core/node/listener-config.ts'
import type { SocketId } from '../../../../core/publish/events.ts'
import {
  type ListenerId,
  listenerId,
  type ReplicaId,
  replicaId,
  serviceKey,
} from '../../../../core/services/identity.ts'
import type { StreamSpec, UdpSpec } from '../../../../core/spec/deployment.ts'
import type { WhenEmpty } from '../../../../core/stream/events.ts'
import {
  type Listeners,
  type ListenersOptions,
  makeListeners,
} from '../../../../shells/node/listener/listeners.ts'
import { udpOf } from '../../../core/node/obedient-shell.ts'

export const HOST = '127.0.0.1'
export const LISTENER = listenerId(serviceKey('demo', 'web'), 'tcp', 1)
export const UDP_LISTENER = listenerId(serviceKey('demo', 'web'), 'udp', 3)

export const STREAM: StreamSpec = {
  tls: 'off',
  proxyProtocol: false,
  acceptProxyProtocol: [],
  connectTimeoutMs: 5000,
  idleTimeoutMs: 600_000,
  connectionsMax: 10_000,
  connectionsPerBackendMax: 0,
  drainTimeoutMs: 30_000,
  holdTimeoutMs: 30_000,
}

/** Anybody may come, and nobody asks whether anybody does. */
const COMMON: CommonSettings = { access: [], idleAfterMs: 0 }

export const BALANCE = { strategy: 'round_robin', failOpen: true } as const

export const backend = (number: number, port: number, host = HOST): Backend => ({
  id: replica(number),
  host,
  port,
})
export const replica = (number: number): ReplicaId =>
  replicaId({ deployment: 'demo', service: 'web', number, incarnation: number })

type Event = ListenerEvent | SocketEvent
type EventOf<T extends Event['type']> = Extract<Event, { type: T }>

/** A socket for one plain listener, at {@link HOST}, unless said otherwise. */
export interface BindWish {
  readonly host?: string
  readonly port?: number
  readonly listener?: ListenerId
  readonly routes?: readonly SocketRoute[]
  readonly acceptProxyProtocol?: readonly string[]
  readonly use?: SocketUse
}

export const useOf = (wish: BindWish): SocketUse =>
  wish.use ?? {
    kind: 'tcp',
    greetingsMax: 10_000,
    acceptProxyProtocol: wish.acceptProxyProtocol ?? [],
    routes: wish.routes ?? [{ listener: wish.listener ?? LISTENER, tls: 'off' }],
  }

/** Real listeners, the events they reported, and the commands a node would send. */
export class Fixture {
  readonly events: Event[] = []
  readonly notices: string[] = []
  readonly #scope = Scope.makeUnsafe()
  #listeners: Listeners | undefined
  #waiting: (() => void)[] = []
  readonly #socketsOf = new Map<ListenerId, SocketId[]>()
  #socketLast = 0
  #attempt = 0
  #version = 0

  async start(options: Partial<ListenersOptions> = {}): Promise<this> {
    const report = (event: Event): void => {
      this.events.push(event)
      for (const look of this.#waiting.splice(0)) look()
    }
    const notice = (text: string): void => void this.notices.push(text)
    this.#listeners = await Effect.runPromise(
      Scope.provide(makeListeners({ report, notice, ...options }), this.#scope),
    )
    return this
  }

  stop(): Promise<void> {
    return Effect.runPromise(Scope.close(this.#scope, Exit.void))
  }

  get listeners(): Listeners {
    return this.#listeners!
  }

  /** The first event of a type that fits, reported already or to come; the suite's timeout ends it. */
  async event<T extends Event['type']>(
    type: T,
    fits: (event: EventOf<T>) => boolean = () => true,
  ): Promise<EventOf<T>> {
    for (;;) {
      const found = this.events.find((event) => event.type === type && fits(event as EventOf<T>))
      if (found !== undefined) return found as EventOf<T>
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** A TCP listener and a socket that leads to it; resolves to the bound port. */
  async open(
    port = 0,
    stream: Partial<StreamSpec> = {},
    listener: ListenerId = LISTENER,
    balance: OpenListener['balance'] = BALANCE,
    common: Partial<CommonSettings> = {},
  ): Promise<number> {
    this.openDoor(stream, listener, balance, common)
    return (await this.bind({ port, listener })).port
  }

  /** A TCP listener without a socket. */
  openDoor(
    stream: Partial<StreamSpec> = {},
    listener: ListenerId = LISTENER,
    balance: OpenListener['balance'] = BALANCE,
    common: Partial<CommonSettings> = {},
  ): void {
    const settings = settingsOf(stream, balance, common)
    this.#openDoor(listener, balance, settings)
  }

  openUdpDoor(
    udp: Partial<UdpSpec> = {},
    listener: ListenerId = UDP_LISTENER,
    common: Partial<CommonSettings> = {},
  ): void {
    const drainTimeoutMs = 30_000
    const settings = {
      protocol: 'udp',
      udp: udpOf(udp),
      drainTimeoutMs,
      ...COMMON,
      ...common,
    } as const
    this.#openDoor(listener, { strategy: 'hrw', failOpen: true }, settings)
  }

  #openDoor(
    listener: ListenerId,
    balance: OpenListener['balance'],
    settings: ListenerSettings,
  ): void {
    this.listeners.apply({ type: 'open-listener', listener, balance, ...settings })
  }

  /** A UDP listener and its socket; resolves to the bound port. */
  async openUdp(
    udp: Partial<UdpSpec> = {},
    listener: ListenerId = UDP_LISTENER,
    common: Partial<CommonSettings> = {},
  ): Promise<number> {
    this.openUdpDoor(udp, listener, common)
    return (await this.bind({ use: { kind: 'udp', listener } })).port
  }

  requestOpenUdp(port: number): { socket: SocketId; attempt: number } {
    this.openUdpDoor()
    return this.requestBind({ port, use: { kind: 'udp', listener: UDP_LISTENER } })
  }

  /** Resolves when it is bound. */
  async bind(wish: BindWish = {}): Promise<{ socket: SocketId; port: number; address: string }> {
    const { socket, attempt } = this.requestBind(wish)
    const { address } = await this.event('socket-bound', (event) => event.attempt === attempt)
    return { socket, address, port: Number(address.split(':').at(-1)) }
  }

  requestBind(wish: BindWish = {}): { socket: SocketId; attempt: number } {
    const { host = HOST, port = 0 } = wish
    const use = useOf(wish)
    const [socket, attempt] = [++this.#socketLast, ++this.#attempt]
    const leadsTo = use.kind === 'tcp' ? use.routes.flatMap(ledToBy) : [use].flatMap(listenersOf)
    for (const listener of leadsTo) {
      this.#socketsOf.set(listener, [...(this.#socketsOf.get(listener) ?? []), socket])
    }
    this.listeners.apply({ type: 'bind-socket', socket, attempt, host, port, use })
    return { socket, attempt }
  }

  async unbind(socket: SocketId): Promise<void> {
    const attempt = ++this.#attempt
    this.listeners.apply({ type: 'unbind-socket', socket, attempt })
    await this.event('socket-unbound', (event) => event.attempt === attempt)
  }

  route(socket: SocketId, wish: BindWish): void {
    this.listeners.apply({ type: 'route-socket', socket, use: useOf(wish) })
  }

  /** With every socket that leads there; resolves when their ports are free. */
  async close(listener: ListenerId = LISTENER): Promise<void> {
    const sockets = this.#socketsOf.get(listener) ?? []
    this.#socketsOf.delete(listener)
    const unbound = sockets.map((socket) => this.unbind(socket))
    await Promise.all(unbound)
    this.listeners.apply({ type: 'close-listener', listener })
  }

  async applyBackends(
    backends: readonly Backend[],
    listener = LISTENER,
    whenEmpty: WhenEmpty = 'refuse',
  ): Promise<number> {
    const version = ++this.#version
    this.listeners.apply({ type: 'apply-backends', listener, version, backends, whenEmpty })
    await this.event('backends-applied', (event) => event.version === version)
    return version
  }
}

export const settingsOf = (
  stream: Partial<StreamSpec> = {},
  balance: OpenListener['balance'] = BALANCE,
  common: Partial<CommonSettings> = {},
): ListenerSettings => ({
  protocol: 'tcp',
  stream: { ...STREAM, ...stream },
  balance,
  ...COMMON,
  ...common,
})

const ledToBy = (route: SocketRoute): readonly ListenerId[] =>
  'listener' in route ? [route.listener] : route.http.map(({ listener }) => listener)

const listenersOf = (use: SocketUse): readonly ListenerId[] =>
  use.kind === 'udp' ? [use.listener] : []

/** Listeners that are gone with the test. */
export async function startFixture(options: Partial<ListenersOptions> = {}): Promise<Fixture> {
  const fixture = await new Fixture().start(options)
  onTestFinished(() => fixture.stop())
  return fixture
}

export interface Upstream {
  readonly port: number
  readonly sockets: Set<Socket>
  close(): Promise<void>
}

/** A server of this test, closed with it. */
export async function startUpstream(serve: (socket: Socket) => void): Promise<Upstream> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    serve(socket)
  })
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy()
    if (server.listening) await new Promise((resolve) => server.close(resolve))
  }
  onTestFinished(close)
  return { port: await listen(server), sockets, close }
}

export const startEcho = (prefix = ''): Promise<Upstream> =>
  startUpstream((socket) => {
    socket.on('error', () => {})
    socket.write(prefix)
    socket.pipe(socket)
  })

export async function listen(server: Server, port = 0): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host: HOST, exclusive: true }, resolve)
  })
  return (server.address() as AddressInfo).port
}

/** A port nobody listens on. */
export async function refusingPort(): Promise<number> {
  const server = createServer()
  const port = await listen(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** A connected client that keeps what it got, and is gone with the test. */
export class Client {
  readonly socket: Socket
  readonly chunks: Buffer[] = []
  ended = false
  error: NodeJS.ErrnoException | undefined
  readonly closed: Promise<void>

  constructor(port: number) {
    this.socket = connect({ port, host: HOST, allowHalfOpen: true })
    this.socket.on('data', (chunk) => this.chunks.push(chunk))
    this.socket.on('end', () => {
      this.ended = true
    })
    this.socket.on('error', (error) => {
      this.error = error
    })
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()))
    onTestFinished(() => void this.socket.destroy())
  }

  get text(): string {
    return Buffer.concat(this.chunks).toString()
  }

  /** Sends, and waits until all it got is `expected`. */
  async exchange(text: string, expected: string): Promise<void> {
    this.socket.write(text)
    await until(() => this.text === expected || this.socket.destroyed)
    if (this.text !== expected) throw new Error(`got "${this.text}", then ${this.error?.code}`)
  }
}

/** A listening port whose queue is full and which nobody serves: connecting never ends. */
export async function startBlackHole(): Promise<number> {
  const program = `require('net').createServer().listen({ port: 0, host: '${HOST}', backlog: 1 },
    function () { console.log(this.address().port) })`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const port = Number(line.toString())
  child.kill('SIGSTOP')
  const fillers = Array.from({ length: 6 }, () => new Client(port))
  const pending = (): number => fillers.filter(({ socket }) => socket.connecting).length
  // Two fit in; when the number stands still, the queue is full.
  await until(() => pending() <= 4)
  return port
}

/** Looks again and again; the suite's timeout ends a wait for what never comes. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5))
}
