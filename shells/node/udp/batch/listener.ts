/** One UDP listener in the worker: its machine, and the sockets that do what the machine says. */
import type { ListenerFact } from '../../../../core/balance/facts.ts'
import { unreachable } from '../../../../core/machine.ts'
import { parseIp } from '../../../../core/net/address.ts'
import {
  formatPacked,
  type PackedAddress,
  packAddress,
} from '../../../../core/net/packed-address.ts'
import type { FlowCommand } from '../../../../core/udp/commands.ts'
import type { UdpConfig } from '../../../../core/udp/config.ts'
import type { FlowEvent } from '../../../../core/udp/events.ts'
import { type FlowId, slotOf } from '../../../../core/udp/flow-id.ts'
import { FlowTable, type FlowTableOptions } from '../../../../core/udp/table.ts'
import { isAddressInUse, isHostLimit, reasonOf } from '../../socket-errors.ts'
import { FlowDurations } from '../flow-durations.ts'
import { withInvalid } from '../sum-counters.ts'
import { type FlowList, lossesOf, type SendLosses, type UdpShellCounters } from '../udp-host.ts'
import { faultLine } from './fault-line.ts'
import type { Gear } from './gear.ts'
import { Listening, type ListeningOwner } from './listening.ts'
import type { ParentEvent } from './messages.ts'
import { READABLE } from './system/poller.ts'
import type { Outgoing } from './system/send-vector.ts'
import { SystemError } from './system/system-error.ts'
import { Upstream, type UpstreamOwner } from './upstream.ts'

/** What the worker's listeners tell their parent. */
export interface ListenerReports {
  fact(fact: Exclude<ListenerFact, { type: 'emptied' }>): void
  hostFailed(reason: string): void
  stoppedListening(): void
  /** Everything it had is closed. */
  broken(reason: string): void
}

export class BatchListener implements UpstreamOwner, ListeningOwner {
  readonly gear: Gear
  readonly #table: FlowTable
  readonly #reports: ListenerReports
  readonly #lostUp = { sendErrors: 0, queueFull: 0 }
  readonly #lostDown = { sendErrors: 0, queueFull: 0 }
  readonly #durations = new FlowDurations()
  /** Datagrams from port 0, which nobody can be answered at. */
  #portless = 0
  /** By slot. */
  readonly #upstreams: (Upstream | undefined)[] = []
  /** Flows whose backend's name is being looked up, and how to wait for it no longer. */
  readonly #resolving = new Map<FlowId, () => void>()
  readonly #commands: FlowCommand[] = []
  readonly #hostFailures = new Map<string, number>()
  /** Filled again and again: the machine keeps no event. */
  readonly #clientDatagram: Mutable<Event<'client-datagram'>>
  readonly #upstreamDatagram: Mutable<Event<'upstream-datagram'>>
  #config: UdpConfig
  #listening: Listening | undefined
  #state: 'open' | 'emptied' | 'closed' = 'open'
  /** The machine said so: it admits nobody any more. */
  #hasStopped = false
  #isStepping = false

  constructor(
    gear: Gear,
    options: FlowTableOptions & { readonly config: UdpConfig },
    reports: ListenerReports,
  ) {
    this.gear = gear
    this.#config = options.config
    this.#table = new FlowTable(options)
    this.#reports = reports
    const nowhere = { a: 0, b: 0, c: 0, d: 0, port: 0 }
    const payload = new Uint8Array(0)
    this.#clientDatagram = { type: 'client-datagram', from: nowhere, to: nowhere, payload }
    this.#upstreamDatagram = { type: 'upstream-datagram', flow: 0 as FlowId, attempt: 0, payload }
  }

  /** Its machine emptied: it may be closed and forgotten. */
  get isOver(): boolean {
    return this.#state === 'emptied'
  }

  get deadline(): number | undefined {
    return this.#table.deadline()
  }

  /** The bound address, or why it is not; undefined when there is nothing to listen for. */
  listen(address: PackedAddress): string | SystemError | undefined {
    if (this.#hasStopped) return undefined
    const socket = this.gear.sockets.bound(address)
    if (socket instanceof SystemError) return socket
    const listening = new Listening(this, socket, this.#lostDown)
    const result = this.gear.poller.add(socket.fd, READABLE, listening)
    if (result < 0) {
      listening.close()
      return new SystemError('epoll_ctl', result, address)
    }
    this.#listening?.close()
    this.#listening = listening
    return formatPacked(socket.address)
  }

  event(event: ParentEvent, now: number): void {
    if (event.type === 'configure') this.#config = event.config
    this.#guarded(event, now)
  }

  tick(now: number): void {
    this.#guarded({ type: 'tick' }, now)
  }

  flows(limit: number, now: number): FlowList {
    return { flows: this.#table.flows(now, limit), total: this.#table.flowCount }
  }

  counters(): UdpShellCounters {
    return {
      machine: withInvalid(this.#table.counters, this.#portless),
      flowsLive: this.#table.flowCount,
      flowsMax: this.#config.flowsMax,
      ...lossesOf(this.#lostUp, this.#lostDown),
      durations: this.#durations.read(),
    }
  }

  /** Closes every socket, whatever the machine thinks. */
  close(): void {
    this.#state = 'closed'
    this.#listening?.close()
    this.#listening = undefined
    for (const upstream of this.#upstreams) upstream?.close()
    this.#upstreams.length = 0
    for (const stop of this.#resolving.values()) stop()
    this.#resolving.clear()
  }

  arrived(from: PackedAddress, to: PackedAddress, payload: Uint8Array, now: number): void {
    if (from.port === 0) {
      this.#portless += 1
      return
    }
    const event = this.#clientDatagram
    event.from = from
    event.to = to
    event.payload = payload
    this.#step(event, now)
  }

  received({ flow, attempt }: Upstream, first: number, count: number, now: number): void {
    const event = this.#upstreamDatagram
    event.flow = flow
    event.attempt = attempt
    for (let index = first; index < first + count; index++) {
      event.payload = this.gear.received.payload(index)
      this.#step(event, now)
    }
  }

  failed({ flow, attempt }: Upstream, errno: number, now: number): void {
    const error = new SystemError('udp', errno)
    // A datagram was too long for the way, which the system will heed from now on.
    if (error.code === 'EMSGSIZE') {
      this.#lostUp.sendErrors += 1
      return
    }
    if (isTransient(error)) return
    this.#upstreamFailed(flow, attempt, error, now)
  }

  broken(error: unknown): void {
    if (this.#state === 'closed') return
    try {
      this.close()
    } finally {
      this.#reports.broken(faultLine(error))
    }
  }

  #guarded(event: FlowEvent, now: number): void {
    try {
      this.#step(event, now)
    } catch (error) {
      this.broken(error)
    }
  }

  /**
   * The pump. Sends wait for the end of the batch; everything else is done at once, so that a new
   * client's next datagram finds its socket open. What happens meanwhile takes its turn.
   */
  #step(event: FlowEvent, now: number): void {
    if (this.#state === 'closed') return
    const commands = this.#commands
    this.#table.step(event, now, commands)
    if (this.#isStepping) return // the caller below goes on with the commands
    this.#isStepping = true
    try {
      for (let index = 0; index < commands.length; index++) this.#apply(commands[index]!, now)
    } finally {
      commands.length = 0
      this.#isStepping = false
    }
  }

  #apply(command: FlowCommand, now: number): void {
    switch (command.type) {
      case 'send-upstream':
        this.#send(this.#upstreamOf(command.flow, command.attempt), command, this.#lostUp)
        return
      case 'send-client':
        this.#send(this.#listening, command, this.#lostDown)
        return
      case 'open-upstream':
        this.#open(command, now)
        return
      case 'close-upstream':
        this.#release(command.flow, command.attempt)
        return
      case 'close-flow':
        this.#release(command.flow, command.attempt)
        this.#durations.add(command.totals.durationMs)
        return
      case 'stop-listening':
        this.#listening?.close()
        this.#listening = undefined
        this.#hasStopped = true
        this.#reports.stoppedListening()
        return
      case 'backends-applied':
      case 'backend-drained':
      case 'backend-failed':
      case 'wanted':
      case 'idle':
      case 'busy':
        this.#reports.fact(command)
        return
      case 'emptied':
        this.#state = 'emptied' // told with the last counters, when this step is over
        return
      default:
        unreachable(command)
    }
  }

  #send(socket: Upstream | Listening | undefined, datagram: Outgoing, losses: SendLosses): void {
    if (socket === undefined) losses.sendErrors += 1
    else socket.send(datagram)
  }

  #open({ flow, attempt, host, port }: Command<'open-upstream'>, now: number): void {
    if (port < 1 || port > PORT_MAX) return this.#notFound(flow, attempt, `port ${port}`, now)
    const ip = parseIp(host)
    const address = ip && packAddress({ ip, port })
    if (address !== undefined) return this.#connect(flow, attempt, address, now)
    this.#stopResolving(flow)
    const stop = this.gear.names.lookUp(host, now, (answer, at) => {
      this.#resolving.delete(flow)
      // A name the parent could not find, or whose address it and we read differently.
      const found = answer.type === 'address' ? parseIp(answer.ip) : undefined
      const resolved = found && packAddress({ ip: found, port })
      try {
        if (resolved !== undefined) this.#connect(flow, attempt, resolved, at)
        else this.#notFound(flow, attempt, answer.type === 'failed' ? answer.reason : host, at)
      } catch (error) {
        this.broken(error)
      }
    })
    if (stop !== undefined) this.#resolving.set(flow, stop)
  }

  #stopResolving(flow: FlowId): void {
    this.#resolving.get(flow)?.()
    this.#resolving.delete(flow)
  }

  /** There is nowhere to connect to. */
  #notFound(flow: FlowId, attempt: number, reason: string, now: number): void {
    this.#step({ type: 'upstream-failed', flow, attempt, blame: 'backend', reason }, now)
  }

  #connect(flow: FlowId, attempt: number, address: PackedAddress, now: number): void {
    const fd = this.gear.sockets.connected(address)
    if (fd instanceof SystemError) return this.#upstreamFailed(flow, attempt, fd, now)
    const upstream = new Upstream(this, flow, attempt, fd, this.#lostUp)
    const result = this.gear.poller.add(fd, READABLE, upstream)
    if (result < 0) {
      upstream.close()
      return this.#upstreamFailed(flow, attempt, new SystemError('epoll_ctl', result), now)
    }
    this.#upstreams[slotOf(flow)] = upstream
    this.#step({ type: 'upstream-opened', flow, attempt }, now)
  }

  #upstreamFailed(flow: FlowId, attempt: number, error: SystemError, now: number): void {
    const isOurs = isHostLimit(error) || isAddressInUse(error) || error.code === 'ENOSPC'
    const blame = isOurs ? 'host' : 'backend'
    const reason = reasonOf(error)
    if (isOurs) this.#hostFailed(reason, now)
    this.#step({ type: 'upstream-failed', flow, attempt, blame, reason }, now)
  }

  /** Every new client would say it again. */
  #hostFailed(reason: string, now: number): void {
    const last = this.#hostFailures.get(reason)
    if (last !== undefined && now - last < REPORT_INTERVAL_MS) return
    this.#hostFailures.set(reason, now)
    this.#reports.hostFailed(reason)
  }

  #upstreamOf(flow: FlowId, attempt: number): Upstream | undefined {
    const upstream = this.#upstreams[slotOf(flow)]
    return upstream?.flow === flow && upstream.attempt === attempt ? upstream : undefined
  }

  #release(flow: FlowId, attempt: number): void {
    this.#stopResolving(flow)
    const upstream = this.#upstreamOf(flow, attempt)
    if (upstream === undefined) return
    this.#upstreams[slotOf(flow)] = undefined
    upstream.close()
  }
}

type Event<Type> = Extract<FlowEvent, { type: Type }>
type Command<Type> = Extract<FlowCommand, { type: Type }>
type Mutable<Shape> = { -readonly [Key in keyof Shape]: Shape[Key] }

/** Says nothing about the backend: the next datagram may well go through. */
const isTransient = ({ code }: SystemError): boolean =>
  code === 'EAGAIN' || code === 'ENOBUFS' || code === 'ENOMEM'

const REPORT_INTERVAL_MS = 1_000
const PORT_MAX = 65_535
