/** A TCP listener: one stream shell, and what its file says of it. */
import type { Socket } from 'node:net'
import type { Backend, BackendId } from '../../../../core/balance/group.ts'
import type { ListenerSettings } from '../../../../core/node/commands.ts'
import { streamConfigOf } from '../../../../core/node/listener-config.ts'
import type { StreamSpec } from '../../../../core/spec/deployment.ts'
import type { Peers } from '../../../../core/stream/entrance/events.ts'
import type { ConnectionId } from '../../../../core/stream/events.ts'
import { defaultStreamConfig, type StreamCounters } from '../../../../core/stream/state.ts'
import type { Door } from '../door.ts'
import { type SaySeldom, someOf, someWere } from '../seldom-notices.ts'
import { backendTlsOf } from './backend-tls.ts'
import { peersOf } from './peers.ts'
import { type FullReason, StreamShell, type StreamShellOptions } from './stream-shell.ts'

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
  #limits: Pick<StreamSpec, 'connectionsMax' | 'connectionsPerBackendMax'> = defaultStreamConfig

  constructor(options: StreamDoorOptions) {
    this.#options = options
    const { balance, fact, seldom } = options
    this.#shell = new StreamShell({
      balance,
      fact,
      hostFailed: (reason) =>
        seldom('lost', (times) => `${someWere(times, 'connection')} lost: ${reason}`),
      full: (limit) => this.#sayFull(limit),
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
    this.#wantsPeers = isKeyed(balance) || stream.proxyProtocol
    this.#limits = stream
    const backendTls = backendTlsOf(stream)
    if (backendTls !== undefined) this.#shell.speakTls(backendTls)
    if (backendTls?.ok === false) this.#options.notice(backendTls.problem)
    this.#shell.step({ type: 'configure', config: streamConfigOf(stream) })
  }

  applyBackends(version: number, backends: readonly Backend[]): void {
    this.#shell.step({ type: 'apply-backends', version, backends })
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

  #sayFull(limit: FullReason): void {
    const { connectionsMax, connectionsPerBackendMax } = this.#limits
    const why =
      limit === 'connections-max'
        ? `there are ${connectionsMax}, as many as max_connections allows`
        : `every replica has ${connectionsPerBackendMax}, as many as max_connections_per_backend allows`
    this.#options.seldom(limit, (times) => `${someWere(times, 'connection')} refused: ${why}`)
  }

  get connections(): number {
    return this.#shell.machine.connections
  }

  get counters(): Readonly<StreamCounters> {
    return this.#shell.machine.counters
  }
}

type Balance = StreamDoorOptions['balance']

const textOf = ({ strategy, failOpen }: Balance): string => `${strategy} ${failOpen}`

const isKeyed = ({ strategy }: Balance): boolean => strategy === 'hrw' || strategy === 'maglev'
