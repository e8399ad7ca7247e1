/** A UDP listener: one of the host that runs them all. Exactly one socket leads to it. */
import type { Backend, BackendId } from '../../../../core/balance/group.ts'
import type { ListenerSettings } from '../../../../core/node/commands.ts'
import { udpConfigOf } from '../../../../core/node/listener-config.ts'
import type { UdpConfig } from '../../../../core/udp/config.ts'
import type {
  FlowList,
  UdpHost,
  UdpListener,
  UdpListenerOptions,
  UdpShellCounters,
} from '../../udp/udp-host.ts'
import type { Door, WhenEmpty } from '../door.ts'

export interface UdpDoorOptions extends Omit<UdpListenerOptions, 'config'> {
  readonly host: () => Promise<UdpHost>
  /** What the file asks for, or 0; answered by {@link UdpDoor.deal}, at once and again later. */
  readonly ask: (flowsMax: number) => void
  /** It needs none for now. */
  readonly leave: () => void
}

type UdpSettings = Extract<ListenerSettings, { readonly protocol: 'udp' }>

export class UdpDoor implements Door {
  readonly #options: UdpDoorOptions
  #settings: UdpSettings
  #flowsMax = 1
  /** The last set, until there is a listener to give it to. */
  #held: { readonly version: number; readonly backends: readonly Backend[] } | undefined
  #backends = 0
  #listener: UdpListener | undefined
  /** It said so for want of a listener, which would have. */
  #isIdle = false
  /** It listens, or is about to: it has a share of the flows. */
  #isListening = false
  #closing: Promise<void> | undefined
  #isClosed = false
  #isDisposed = false

  constructor(options: UdpDoorOptions, settings: UdpSettings) {
    this.#options = options
    this.#settings = settings
  }

  /**
   * Resolves to the bound address, rejects with the system's error; may be called again then, and
   * never after {@link unlisten}.
   */
  async listen(address: string, port: number): Promise<string> {
    this.#isListening = true
    this.#options.ask(this.#settings.udp.flowsMax)
    try {
      const host = await this.#options.host()
      if (this.#isClosed) throw new Error('the listener was closed')
      this.#listener ??= this.#open(host)
      return await this.#listener.listen(address, port)
    } catch (error) {
      this.#isListening = false
      this.#options.leave()
      throw error
    }
  }

  /** Admits nobody new. Resolves when the port is free. */
  async unlisten(): Promise<void> {
    this.#closing ??= this.#listener?.close()
    await this.#closing
  }

  #configOf(flowsMax: number): UdpConfig {
    const { udp, drainTimeoutMs } = this.#settings
    return udpConfigOf(udp, flowsMax, drainTimeoutMs, this.#settings)
  }

  #open(host: UdpHost): UdpListener {
    const { balance, fact, hostFailed } = this.#options
    const config = this.#configOf(this.#flowsMax)
    const listener = host.open({ config, balance, fact, hostFailed })
    if (this.#held !== undefined) listener.applyBackends(this.#held.version, this.#held.backends)
    this.#held = undefined
    // From now on the listener knows.
    if (this.#isIdle) fact({ type: 'busy' })
    this.#isIdle = false
    return listener
  }

  configure(settings: ListenerSettings): void {
    if (settings.protocol !== 'udp') return // a listener stays what it was opened as
    this.#settings = settings
    this.#listener?.configure(this.#configOf(this.#flowsMax))
    if (this.#listener === undefined) this.#beIdle()
    if (this.#isListening) this.#options.ask(settings.udp.flowsMax)
  }

  /** Nothing ever went through it. */
  #beIdle(): void {
    if (this.#isIdle || this.#settings.idleAfterMs === 0) return
    this.#isIdle = true
    this.#options.fact({ type: 'idle' })
  }

  /** As many flows as it may have from now on. */
  deal(flowsMax: number): void {
    this.#flowsMax = flowsMax
    this.#listener?.configure(this.#configOf(flowsMax))
  }

  /** Nobody is held here, whatever a set says. */
  applyBackends(version: number, backends: readonly Backend[], _whenEmpty: WhenEmpty): void {
    this.#backends = backends.length
    if (this.#listener === undefined) this.#hold(version, backends)
    else this.#listener.applyBackends(version, backends)
  }

  /** Nothing goes through it, so what is missing now had nothing left when it was taken out. */
  #hold(version: number, backends: readonly Backend[]): void {
    const { fact } = this.#options
    const kept = new Set(backends.map(({ id }) => id))
    const left = (this.#held?.backends ?? []).filter(({ id }) => !kept.has(id))
    this.#held = { version, backends }
    fact({ type: 'backends-applied', version })
    for (const { id: backend } of left) fact({ type: 'backend-drained', backend, version })
    if (this.#isClosed && this.#backends === 0) fact({ type: 'emptied' })
  }

  cutBackend(backend: BackendId): void {
    this.#listener?.cutBackend(backend)
  }

  close(): void {
    this.#isClosed = true
    if (this.#listener !== undefined) void this.unlisten()
    // It was never opened, and never will be.
    else if (this.#backends === 0) this.#options.fact({ type: 'emptied' })
  }

  abort(): void {
    this.#listener?.abort()
  }

  dispose(): void {
    if (this.#isDisposed) return
    this.#isDisposed = true
    this.#listener?.dispose()
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
