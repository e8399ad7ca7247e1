/** A TCP listener: one stream shell, and what its file says of it. */
import type { Socket } from 'node:net'
import type { Backend, BackendId } from '../../../../core/balance/group.ts'
import type { ListenerSettings } from '../../../../core/node/commands.ts'
import { streamConfigOf } from '../../../../core/node/listener-config.ts'
import type { ReplicaId } from '../../../../core/services/identity.ts'
import type { Peers } from '../../../../core/stream/entrance/events.ts'
import type { ConnectionId, WhenEmpty } from '../../../../core/stream/events.ts'
import {
  defaultStreamConfig,
  type StreamConfig,
  type StreamCounters,
} from '../../../../core/stream/state.ts'
import type { BackendCounts } from '../../operator/backends.ts'
import type { Door } from '../door.ts'
import { type SaySeldom, someOf, someWere } from '../seldom-notices.ts'
import { backendTlsOf } from './backend-tls.ts'
import { peersOf } from './peers.ts'
import { StreamShell, type StreamShellOptions, type TellableReason } from './stream-shell.ts'

export interface StreamDoorOptions extends Pick<StreamShellOptions, 'balance' | 'fact'> {
  /** Something in its file that cannot be used, for people. */
  readonly notice: (text: string) => void
  /** Of this listener's connections. */
  readonly seldom: SaySeldom
}

export class StreamDoor implements Door {
  readonly #options: StreamDoorOptions
  readonly #shell: StreamShell
  #balance: string
  /** Clients' addresses are of use: the kernel is only asked for them then. */
  #wantsPeers: boolean
  #config: StreamConfig = defaultStreamConfig

  constructor(options: StreamDoorOptions) {
    this.#options = options
    const { balance, fact, seldom } = options
    this.#shell = new StreamShell({
      balance,
      fact,
      hostFailed: (reason) =>
        seldom('lost', (times) => `${someWere(times, 'connection')} lost: ${reason}`),
      turnedAway: (reason) => this.#sayTurnedAway(reason),
      tlsFailed: (address, reason) =>
        seldom(
          'backend-tls',
          (times) => `${someOf(times, 'connection')} to ${address} failed: ${reason}`,
        ),
    })
    this.#balance = textOf(options.balance)
    this.#wantsPeers = isKeyed(options.balance)
  }

  /** `peers`: where somebody else than the kernel said who it is. */
  accept(connection: ConnectionId, client: Socket, peers: Peers | undefined): void {
    const known = peers ?? (this.#wantsPeers ? peersOf(client) : undefined)
    this.#shell.accept(connection, client, known)
  }

  configure(settings: ListenerSettings): void {
    if (settings.protocol !== 'tcp') return // a listener stays what it was opened as
    const { stream, balance } = settings
    if (textOf(balance) !== this.#balance) this.#shell.rebalance(balance)
    this.#balance = textOf(balance)
    this.#config = streamConfigOf(stream, settings)
    this.#wantsPeers = isKeyed(balance) || stream.proxyProtocol || this.#config.access.length > 0
    const backendTls = backendTlsOf(stream)
    if (backendTls !== undefined) this.#shell.speakTls(backendTls)
    if (backendTls?.ok === false) this.#options.notice(backendTls.problem)
    this.#shell.step({ type: 'configure', config: this.#config })
  }

  applyBackends(version: number, backends: readonly Backend[], whenEmpty: WhenEmpty): void {
    this.#shell.step({ type: 'apply-backends', version, backends, whenEmpty })
  }

  cutBackend(backend: BackendId): void {
    this.#shell.step({ type: 'cut-backend', backend })
  }

  close(): void {
    this.#shell.step({ type: 'close' })
  }

  abort(): void {
    this.#shell.step({ type: 'abort-all' })
  }

  dispose(): void {
    this.#shell.dispose()
  }

  #sayTurnedAway(reason: TellableReason): void {
    const why = TURNED_AWAY[reason](this.#config)
    this.#options.seldom(reason, (times) => `${someWere(times, 'connection')} refused: ${why}`)
  }

  backends(): readonly BackendCounts[] {
    return this.#shell.machine.backendCounts().map(({ backend, host, port, ...counts }) => ({
      ...counts,
      backend: backend as ReplicaId, // the machine repeats the ids it was given
      address: host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`,
      idle: 0,
    }))
  }

  get connections(): number {
    return this.#shell.machine.connections
  }

  get counters(): Readonly<StreamCounters> {
    return this.#shell.machine.counters
  }
}

const TURNED_AWAY: Readonly<Record<TellableReason, (config: StreamConfig) => string>> = {
  'connections-max': ({ connectionsMax }) =>
    `there are ${connectionsMax}, as many as max_connections allows`,
  'backends-full': ({ connectionsPerBackendMax }) =>
    `every replica has ${connectionsPerBackendMax}, as many as max_connections_per_backend allows`,
  forbidden: () => 'a network policy is against its source',
  'held-max': ({ heldMax }) => `${heldMax} wait for a replica already, as many as may`,
  'hold-timeout': ({ holdTimeoutMs }) =>
    `no replica was there within ${holdTimeoutMs / 1000} s, as long as hold_timeout lets it wait`,
}

type Balance = StreamDoorOptions['balance']

const textOf = ({ strategy, failOpen }: Balance): string => `${strategy} ${failOpen}`

const isKeyed = ({ strategy }: Balance): boolean => strategy === 'hrw' || strategy === 'maglev'
