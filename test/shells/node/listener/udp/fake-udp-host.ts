/** A host of UDP listeners without sockets: notes what it is told, and says what a test wants. */
import type { ListenerFact } from '../../../../../core/balance/facts.ts'
import { zeroCounters } from '../../../../../core/udp/counters.ts'
import type {
  FlowList,
  UdpHost,
  UdpListener,
  UdpListenerOptions,
  UdpShellCounters,
} from '../../../../../shells/node/udp/udp-host.ts'

export class FakeUdpHost implements UdpHost {
  readonly kind = 'dgram'
  readonly listeners: FakeUdpListener[] = []
  /** What the next binds fail with. */
  readonly failures: Error[] = []
  isStopped = false

  open(options: UdpListenerOptions): FakeUdpListener {
    const listener = new FakeUdpListener(options, this)
    this.listeners.push(listener)
    return listener
  }

  async stop(): Promise<void> {
    this.isStopped = true
  }
}

export class FakeUdpListener implements UdpListener {
  readonly options: UdpListenerOptions
  readonly told: unknown[] = []
  readonly #host: FakeUdpHost
  list: FlowList = { flows: [], total: 0 }
  count = 0
  /** Counters come after it. */
  reading: Promise<void> = Promise.resolve()
  /** Resolved by a test: until then the port is not let go of. */
  readonly closing = Promise.withResolvers<void>()

  constructor(options: UdpListenerOptions, host: FakeUdpHost) {
    this.options = options
    this.#host = host
  }

  get flowsMax(): number {
    const configured = this.told.findLast(
      (each): each is ['configure', { flowsMax: number }] =>
        Array.isArray(each) && each[0] === 'configure',
    )
    return configured?.[1].flowsMax ?? this.options.config.flowsMax
  }

  fact(fact: ListenerFact): void {
    this.options.fact(fact)
  }

  async listen(host: string, port: number): Promise<string> {
    this.told.push(['listen', host, port])
    const failure = this.#host.failures.shift()
    if (failure !== undefined) throw failure
    return `${host}:${port === 0 ? 5_353 : port}`
  }

  applyBackends(version: number, backends: readonly { readonly id: string }[]): void {
    this.told.push(['backends', version, backends.map(({ id }) => id)])
    this.fact({ type: 'backends-applied', version })
  }

  cutBackend(backend: string): void {
    this.told.push(['cut', backend])
  }

  configure(config: UdpListenerOptions['config']): void {
    this.told.push(['configure', config])
  }

  close(): Promise<void> {
    this.told.push('close')
    return this.closing.promise
  }

  abort(): void {
    this.told.push('abort')
  }

  dispose(): void {
    this.told.push('dispose')
  }

  async flows(limit: number): Promise<FlowList> {
    return { flows: this.list.flows.slice(0, limit), total: this.list.total }
  }

  async counters(): Promise<UdpShellCounters> {
    await this.reading
    return countersOf(this.count, this.flowsMax)
  }
}

export const countersOf = (count: number, flowsMax = 0): UdpShellCounters => ({
  machine: { ...zeroCounters(), created: count, datagramsUp: 2 * count },
  flowsLive: count,
  flowsMax,
  sendErrors: 0,
  queueFull: 0,
  lostUp: 0,
  durations: { count, sumMs: 10 * count, upTo: [count, count] },
})
