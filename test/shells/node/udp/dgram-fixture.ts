import { createSocket, type RemoteInfo, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { onTestFinished } from 'vitest'
import type { ListenerFact } from '../../../../core/balance/facts.ts'
import type { Backend } from '../../../../core/balance/group.ts'
import { defaultUdpConfig, type UdpConfig } from '../../../../core/udp/config.ts'
import { DgramHost, type DgramHostOptions } from '../../../../shells/node/udp/dgram-host.ts'
import type {
  UdpHost,
  UdpListener,
  UdpListenerOptions,
  UdpShellCounters,
} from '../../../../shells/node/udp/udp-host.ts'

export const HOST = '127.0.0.1'

export interface ListenerSetup {
  readonly config?: Partial<UdpConfig>
  readonly strategy?: UdpListenerOptions['balance']['strategy']
  readonly backends?: readonly Backend[]
  readonly host?: DgramHostOptions
}

/** A listener on a host of its own, and what it said. */
export class ListenerFixture {
  readonly host: UdpHost
  readonly listener: UdpListener
  readonly facts: ListenerFact[] = []
  readonly hostFailures: string[] = []
  #version = 0

  constructor({ config = {}, strategy = 'round_robin', backends = [], host }: ListenerSetup = {}) {
    this.host = new DgramHost(host)
    onTestFinished(() => this.host.stop())
    this.listener = this.host.open({
      config: { ...defaultUdpConfig, ...config },
      balance: { strategy, failOpen: true },
      fact: (fact) => this.facts.push(fact),
      hostFailed: (reason) => this.hostFailures.push(reason),
    })
    if (backends.length > 0) this.apply(backends)
  }

  apply(backends: readonly Backend[]): void {
    this.#version += 1
    this.listener.applyBackends(this.#version, backends)
  }

  /** Resolves to the port. */
  async listen(host = HOST, port = 0): Promise<number> {
    return portOf(await this.listener.listen(host, port))
  }

  counters(): Promise<UdpShellCounters> {
    return this.listener.counters()
  }

  said<T extends ListenerFact['type']>(type: T): Extract<ListenerFact, { type: T }>[] {
    return this.facts.filter((fact) => fact.type === type) as Extract<ListenerFact, { type: T }>[]
  }
}

export const portOf = (address: string): number => Number(address.split(':').at(-1))

/** The usual: a listener on loopback before these backends. */
export async function startListener(
  setup: ListenerSetup,
): Promise<{ fixture: ListenerFixture; port: number }> {
  const fixture = new ListenerFixture(setup)
  return { fixture, port: await fixture.listen() }
}

export interface Received {
  readonly payload: Buffer
  readonly from: RemoteInfo
}

/** A plain socket that keeps what it got, and is gone with the test. */
export class Peer {
  readonly socket: Socket
  readonly received: Received[] = []
  readonly errors: Error[] = []

  constructor(host = HOST) {
    this.socket = createSocket(host.includes(':') ? 'udp6' : 'udp4')
    this.socket.on('error', (error) => this.errors.push(error))
    this.socket.on('message', (payload, from) => this.received.push({ payload, from }))
    onTestFinished(() => this.close())
  }

  get port(): number {
    return this.socket.address().port
  }

  get texts(): string[] {
    return this.received.map(({ payload }) => payload.toString())
  }

  /** Rejects with the system's error. */
  async bind(host = HOST, port = 0): Promise<this> {
    this.socket.bind({ address: host, port, exclusive: true })
    await once(this.socket, 'listening')
    return this
  }

  async connect(port: number, host = HOST): Promise<this> {
    this.socket.connect(port, host)
    await once(this.socket, 'connect')
    return this
  }

  send(payload: string | Uint8Array): void {
    this.socket.send(payload)
  }

  /** Sends until `answered`: datagrams may get lost. */
  async ask(
    payload: string | Uint8Array,
    answered: () => boolean | Promise<boolean>,
  ): Promise<void> {
    for (;;) {
      this.send(payload)
      const giveUpAt = performance.now() + RESEND_MS
      await until(async () => (await answered()) || performance.now() > giveUpAt)
      if (await answered()) return
    }
  }

  /** Sends until the answer has come, whatever else comes too. */
  exchange(payload: string, answer: string): Promise<void> {
    return this.ask(payload, () => this.texts.includes(answer))
  }

  close(): void {
    try {
      this.socket.close()
    } catch {
      // It is closed.
    }
  }
}

/** What can only hear from `port`: what leaves from elsewhere does not reach it. */
export const connectClient = (port: number, host = HOST): Promise<Peer> =>
  new Peer(host).connect(port, host)

/** A backend; `answers` gives what it says to each datagram. */
export async function startBackend(
  answers: (payload: Buffer, count: number) => readonly (string | Uint8Array)[],
  host = HOST,
): Promise<Peer> {
  const peer = await new Peer(host).bind(host)
  let count = 0
  peer.socket.on('message', (payload, { port, address }) => {
    count += 1
    for (const answer of answers(payload, count)) peer.socket.send(answer, port, address)
  })
  return peer
}

export const startEcho = (prefix = '', host = HOST): Promise<Peer> =>
  startBackend((payload) => [Buffer.concat([Buffer.from(prefix), payload])], host)

export const backend = (id: string, port: number, host = HOST): Backend => ({ id, host, port })

/** A port nobody is bound to. */
export async function freePort(host = HOST): Promise<number> {
  const peer = await new Peer(host).bind(host)
  const { port } = peer
  peer.close()
  return port
}

export const descriptors = (): number => readdirSync('/proc/self/fd').length

/** Looks again and again; the suite's timeout ends a wait for what never comes. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 5))
}

const RESEND_MS = 200
