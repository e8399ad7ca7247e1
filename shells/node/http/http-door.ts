/** An HTTP listener: what is behind routes, one of the ingress that runs them all. */
import type { Backend, BackendId, GroupOptions } from '../../../core/balance/group.ts'
import { strategyNamed } from '../../../core/balance/strategies.ts'
import type { ListenerSettings, OpenListener } from '../../../core/node/commands.ts'
import { httpListenerConfigOf } from '../../../core/node/listener-config.ts'
import type { ListenerId, ReplicaId } from '../../../core/services/identity.ts'
import type { Door, WhenEmpty } from '../listener/door.ts'
import type { HttpEndpointNumbers } from '../metrics/http-counters.ts'
import type { BackendCounts } from '../operator/backends.ts'
import type { HttpShell } from './http-shell.ts'

export interface HttpDoorOptions {
  readonly listener: ListenerId
  readonly shell: Pick<HttpShell, 'step' | 'machine'>
}

export class HttpDoor implements Door {
  readonly #listener: ListenerId
  readonly #shell: HttpDoorOptions['shell']
  readonly #seed = crypto.getRandomValues(new Uint32Array(1))[0] ?? 0
  /** As it is configured; empty before the first time. */
  #balance = ''
  /** Read to the last, when the ingress has forgotten the listener. */
  #counters: Pick<HttpEndpointNumbers, 'connected' | 'connectsFailed' | 'staleReuses'> = NO_NUMBERS

  constructor({ listener, shell }: HttpDoorOptions) {
    this.#listener = listener
    this.#shell = shell
  }

  configure(settings: ListenerSettings): void {
    if (settings.protocol !== 'http') return // a listener stays what it was opened as
    const config = httpListenerConfigOf(settings.http, settings)
    const { balance } = settings
    const text = `${balance.strategy} ${balance.failOpen}`
    const isSame = text === this.#balance
    this.#balance = text
    this.#shell.step({
      type: 'configure-listener',
      listener: this.#listener,
      config,
      ...(isSame ? {} : { balance: this.#groupOptions(balance) }),
    })
    this.#counters = this.#shell.machine.listenerCounters(this.#listener) ?? this.#counters
  }

  applyBackends(version: number, backends: readonly Backend[], whenEmpty: WhenEmpty): void {
    const listener = this.#listener
    this.#shell.step({ type: 'apply-backends', listener, version, backends, whenEmpty })
  }

  cutBackend(backend: BackendId): void {
    this.#shell.step({ type: 'cut-backend', listener: this.#listener, backend })
  }

  close(): void {
    this.#shell.step({ type: 'close-listener', listener: this.#listener })
  }

  abort(): void {
    this.#shell.step({ type: 'abort-listener', listener: this.#listener })
  }

  dispose(): void {} // the ingress forgot it when it was empty

  /** Requests, those that are held and tunnels included. */
  get requests(): number {
    const { requests = 0, tunnels = 0 } = this.#shell.machine.counts(this.#listener) ?? {}
    return requests + tunnels
  }

  get numbers(): HttpEndpointNumbers {
    const { machine } = this.#shell
    this.#counters = machine.listenerCounters(this.#listener) ?? this.#counters
    const { connected, connectsFailed, staleReuses } = this.#counters
    const live = machine.counts(this.#listener) ?? NO_COUNTS
    const { requests: requestsLive, held: heldLive, tunnels: tunnelsLive } = live
    return { requestsLive, heldLive, tunnelsLive, connected, connectsFailed, staleReuses }
  }

  get backends(): readonly BackendCounts[] {
    return this.#shell.machine
      .backendCounts(this.#listener)
      .map(({ backend, host, port, ...counts }) => ({
        ...counts,
        backend: backend as ReplicaId, // the machine repeats the ids it was given
        address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      }))
  }

  #groupOptions({ strategy, failOpen }: OpenListener['balance']): GroupOptions {
    return { strategy: strategyNamed(strategy, this.#seed), failOpen }
  }
}

const NO_COUNTS = { requests: 0, held: 0, tunnels: 0 }
const NO_NUMBERS = { connected: 0, connectsFailed: 0, staleReuses: 0 }
