/** A UDP listener: one of the host that runs them all. */
import type { Backend, BackendId } from '../../../core/balance/group.ts'
import type { ListenerSettings, OpenListener } from '../../../core/node/commands.ts'
import { udpConfigOf } from '../../../core/node/udp-config.ts'
import type { UdpSpec } from '../../../core/spec/deployment.ts'
import type {
  FlowList,
  UdpHost,
  UdpListener,
  UdpListenerOptions,
  UdpShellCounters,
} from '../udp/udp-host.ts'
import type { Door } from './door.ts'

export interface UdpDoorOptions extends Omit<UdpListenerOptions, 'config'> {
  readonly host: () => Promise<UdpHost>
  /** What the file asks for, or 0; answered by {@link UdpDoor.deal}, at once and again later. */
  readonly ask: (flowsMax: number) => void
}

export class UdpDoor implements Door {
  readonly #options: UdpDoorOptions
  #spec: UdpSpec
  #flowsMax = 1
  /** The last set, until there is a listener to give it to. */
  #held: { readonly version: number; readonly backends: readonly Backend[] } | undefined
  #backends = 0
  #listener: UdpListener | undefined
  #isDisposed = false

  constructor(options: UdpDoorOptions, { udp }: Extract<OpenListener, { protocol: 'udp' }>) {
    this.#options = options
    this.#spec = udp
  }

  async listen(host: string, port: number): Promise<string> {
    this.#listener ??= this.#open(await this.#options.host())
    return this.#listener.listen(host, port)
  }

  #open(host: UdpHost): UdpListener {
    const { balance, fact, hostFailed } = this.#options
    const config = udpConfigOf(this.#spec, this.#flowsMax)
    const listener = host.open({ config, balance, fact, hostFailed })
    if (this.#held !== undefined) listener.applyBackends(this.#held.version, this.#held.backends)
    this.#held = undefined
    return listener
  }

  configure(settings: ListenerSettings): void {
    if (settings.protocol !== 'udp') return // a listener stays what it was opened as
    this.#spec = settings.udp
    this.#listener?.configure(udpConfigOf(this.#spec, this.#flowsMax))
    this.#options.ask(settings.udp.flowsMax)
  }

  /** As many flows as it may have from now on. */
  deal(flowsMax: number): void {
    this.#flowsMax = flowsMax
    this.#listener?.configure(udpConfigOf(this.#spec, flowsMax))
  }

  applyBackends(version: number, backends: readonly Backend[]): void {
    this.#backends = backends.length
    if (this.#listener === undefined) this.#held = { version, backends }
    else this.#listener.applyBackends(version, backends)
  }

  cutBackend(backend: BackendId): void {
    this.#listener?.cutBackend(backend)
  }

  async close(): Promise<void> {
    if (this.#listener !== undefined) return this.#listener.close()
    this.#options.fact({ type: 'emptied' }) // there was never anything
  }

  abort(): void {
    this.#listener?.abort()
  }

  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#listener?.dispose()
  }

  get isEmpty(): boolean {
    return this.#backends === 0
  }

  /** At most `limit` of them. */
  async flows(limit: number): Promise<FlowList> {
    return (await this.#listener?.flows(limit)) ?? { flows: [], total: 0 }
  }

  /** Undefined before it listened for the first time. */
  async counters(): Promise<UdpShellCounters | undefined> {
    return this.#listener?.counters()
  }
}
