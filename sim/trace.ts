/**
 * What happened in a run, in order: what the node was told, what it ordered, and what became
 * true in the simulated world. Checkers watch these records; a running hash of them tells whether
 * two runs were the same; the last ones are printed when a run fails.
 */

import type { ExchangeOutcome, IngressCommand } from '../core/http/commands.ts'
import type { IngressEvent } from '../core/http/events.ts'
import { Digest } from '../core/journal/digest.ts'
import type { Instant } from '../core/machine.ts'
import type { NodeCommand, NoticeCode, ReplyError } from '../core/node/commands.ts'
import type { NodeEvent } from '../core/node/events.ts'
import type { ListenerView } from '../core/node/view.ts'
import type { SocketId } from '../core/publish/events.ts'
import type { ListenerId, ReplicaId } from '../core/services/identity.ts'
import type { CloseReason } from '../core/stream/commands.ts'
import type { EntranceRefusal } from '../core/stream/entrance/commands.ts'
import type { DropReason, CloseReason as FlowCloseReason } from '../core/udp/commands.ts'
import type { FlowEvent } from '../core/udp/events.ts'

export type TraceRecord =
  // delivered to the node machine; the commands it causes follow
  | { readonly kind: 'event'; readonly at: Instant; readonly event: NodeEvent }
  | { readonly kind: 'command'; readonly at: Instant; readonly command: NodeCommand }
  // the simulated truth changed
  | { readonly kind: 'change'; readonly at: Instant; readonly change: Change }
  // what happens in the world of the UDP listener, which has a clock of its own
  | { readonly kind: 'udp'; readonly at: Instant; readonly what: string }
  // likewise in the world of the HTTP ingress
  | { readonly kind: 'http'; readonly at: Instant; readonly what: string }

export type Change =
  // a node process began; its lives are numbered from 1
  | { readonly type: 'node-booted'; readonly life: number }
  // killed: its sockets close, its programs live on
  | { readonly type: 'node-crashed'; readonly life: number }
  | { readonly type: 'node-paused' }
  | { readonly type: 'node-resumed' }
  // its machine was replaced by one restored from its own snapshot
  | { readonly type: 'node-restored' }
  // it said `stopped` and ended
  | { readonly type: 'node-ended'; readonly life: number }
  | { readonly type: 'clock-leapt'; readonly byMs: number }
  // what the run did from outside, for people who read a trace
  | { readonly type: 'acted'; readonly act: string }
  | {
      readonly type: 'process-spawned'
      readonly replica: ReplicaId
      readonly pid: number
      readonly life: number
      readonly manner: string
    }
  // it accepts connections on its ports from now on
  | { readonly type: 'process-listening'; readonly replica: ReplicaId; readonly pid: number }
  | {
      readonly type: 'process-ended'
      readonly replica: ReplicaId
      readonly pid: number
      readonly how: string
    }
  // the last process of the group is gone
  | { readonly type: 'group-gone'; readonly replica: ReplicaId; readonly pid: number }
  | { readonly type: 'port-taken'; readonly at: string; readonly by: string }
  | { readonly type: 'port-freed'; readonly at: string; readonly by: string }
  // what comes in through a socket of the node goes there from now on
  | {
      readonly type: 'socket-routed'
      readonly socket: SocketId
      readonly to: readonly ListenerId[]
    }
  // the data plane of one listener
  | {
      readonly type: 'backends-in-force'
      readonly listener: ListenerId
      readonly version: number
      readonly backends: readonly ReplicaId[]
    }
  // it was not let in
  | { readonly type: 'client-turned-away'; readonly client: number; readonly why: string }
  | { readonly type: 'client-arrived'; readonly client: number; readonly listener: ListenerId }
  | {
      readonly type: 'client-connected'
      readonly client: number
      readonly listener: ListenerId
      readonly backend: ReplicaId
    }
  | {
      readonly type: 'client-gone'
      readonly client: number
      readonly listener: ListenerId
      readonly how: ClientFate
    }

/** How a connection of a simulated client ended, seen from the client. */
export type ClientFate =
  | 'answered' // everything the backend had to say arrived
  | 'refused' // closed before any backend took it
  | 'cut' // closed in the middle
  | 'gave-up' // the client left by itself

export class Trace {
  /** Records so far. */
  count = 0
  private readonly last: TraceRecord[] = []
  private readonly sink: ((line: string) => void) | undefined
  private readonly tallied = new Map<string, number>()
  private readonly digest = Digest.empty()

  constructor(sink?: (line: string) => void) {
    this.sink = sink
  }

  record(record: TraceRecord): void {
    const line = JSON.stringify(record)
    this.digest.text(line)
    this.sink?.(line)
    this.last[this.count % LAST_MAX] = record
    this.count += 1
    this.tally(record)
  }

  /** The digest of every record's JSON so far, as the journal has its own. */
  hash(): string {
    return this.digest.hex()
  }

  /** The newest records, oldest first. */
  newest(count: number): TraceRecord[] {
    const from = Math.max(0, this.count - Math.min(count, LAST_MAX))
    const records: TraceRecord[] = []
    for (let index = from; index < this.count; index++) {
      const record = this.last[index % LAST_MAX]
      if (record !== undefined) records.push(record)
    }
    return records
  }

  /** How often each kind of event, command, change and each reason was seen. */
  seen(): ReadonlyMap<string, number> {
    return this.tallied
  }

  /** Counts something worth having been seen. */
  mark(mark: string): void {
    this.tallied.set(mark, (this.tallied.get(mark) ?? 0) + 1)
  }

  private tally(record: TraceRecord): void {
    switch (record.kind) {
      case 'udp':
      case 'http':
        return
      case 'event':
        return this.mark(`event ${record.event.type}`)
      case 'change':
        return this.mark(`change ${record.change.type}`)
      case 'command': {
        const { command } = record
        this.mark(`command ${command.type}`)
        if (command.type === 'notice') this.mark(`notice ${command.code}`)
        if (command.type === 'settled') this.mark(`settled ${command.outcome}`)
        if (command.type === 'reply' && !command.result.ok) {
          this.mark(`refused ${command.result.code}`)
        }
      }
    }
  }
}

/** One line for people: `    1240  command  start-replica hello/web/1#1`. */
export function describe(record: TraceRecord): string {
  const at = String(record.at).padStart(9)
  if (record.kind === 'udp' || record.kind === 'http') {
    return `${at}  ${record.kind.padEnd(7)}  ${record.what}`
  }
  const what =
    record.kind === 'event'
      ? record.event
      : record.kind === 'command'
        ? record.command
        : record.change
  const { type, ...rest } = what as { type: string }
  const details = Object.entries(rest).map(([key, value]) => `${key}=${brief(value)}`)
  return `${at}  ${record.kind.padEnd(7)}  ${[type, ...details].join(' ')}`
}

function brief(value: unknown): string {
  if (typeof value === 'string') return value.includes(' ') ? JSON.stringify(value) : value
  const text = JSON.stringify(value) ?? 'undefined'
  return text.length <= BRIEF_MAX ? text : `${text.slice(0, BRIEF_MAX)}...`
}

/**
 * Everything that a sweep should have seen: an event, command or reason that no seed reaches is
 * dead, or the simulator does not reach what it stands for. Each list is complete or does not
 * compile.
 */
export function expectedMarks(only?: 'node' | 'udp' | 'http'): string[] {
  const ofNode: readonly [string, object][] = [
    ['event', EVENTS],
    ['command', COMMANDS],
    ['notice', NOTICES],
    ['refused', REFUSALS],
    ['settled', { ready: true, failed: true }],
    ['client', CLIENT_FATES],
    ['close', CLOSES],
    ['entrance', ENTRANCE_REFUSALS],
    ['socket', SOCKET_STATES],
  ]
  const ofUdp: readonly [string, object][] = [
    ['udp event', UDP_EVENTS],
    ['udp close', UDP_CLOSES],
    ['udp drop', UDP_DROPS],
  ]
  const ofHttp: readonly [string, object][] = [
    ['http event', HTTP_EVENTS],
    ['http command', HTTP_COMMANDS],
    ['http outcome', HTTP_OUTCOMES],
  ]
  const all = { node: ofNode, udp: ofUdp, http: ofHttp }
  const lists = only === undefined ? Object.values(all).flat() : all[only]
  return lists.flatMap(([kind, list]) =>
    Object.entries(list).flatMap(([each, expected]) => (expected ? [`${kind} ${each}`] : [])),
  )
}

const EVENTS: Readonly<Record<NodeEvent['type'], true>> = {
  boot: true,
  deploy: true,
  remove: true,
  scale: true,
  restart: true,
  'internal-addresses': true,
  shutdown: true,
  'leftovers-reaped': true,
  'replica-created': true,
  'replica-create-failed': true,
  'replica-started': true,
  'replica-start-failed': true,
  'replica-verified': true,
  'address-resolved': true,
  'replica-exited': true,
  'replica-removed': true,
  'probe-result': true,
  'socket-bound': true,
  'socket-failed': true,
  'socket-unbound': true,
  'listener-wanted': true,
  'listener-idle': true,
  'listener-busy': true,
  'backends-applied': true,
  'backend-drained': true,
  'backend-failed': true,
  tick: true,
}

const COMMANDS: Readonly<Record<NodeCommand['type'], true>> = {
  'reap-leftovers': true,
  'create-replica': true,
  'start-replica': true,
  'verify-replica': true,
  'resolve-address': true,
  'signal-replica': true,
  'remove-replica': true,
  probe: true,
  'cancel-probe': true,
  'open-listener': true,
  'configure-listener': true,
  'close-listener': true,
  'apply-backends': true,
  'cut-backend': true,
  'bind-socket': true,
  'route-socket': true,
  'unbind-socket': true,
  reply: true,
  notice: true,
  settled: true,
  stopped: true,
}

const NOTICES: Readonly<Record<NoticeCode, true>> = {
  leftovers: true,
  deploying: true,
  waiting: true,
  'dependency-timeout': true,
  starting: true,
  'start-failed': true,
  healthy: true,
  unhealthy: true,
  exited: true,
  'crash-loop': true,
  stopping: true,
  killed: true,
  removed: true,
  listening: true,
  'listen-failed': true,
  'drain-cut': true,
  scaled: true,
  shutdown: true,
}

const REFUSALS: Readonly<Record<ReplyError, true>> = {
  'not-found': true,
  conflict: true,
  invalid: true,
  stopping: true,
}

const CLIENT_FATES: Readonly<Record<ClientFate, true>> = {
  answered: true,
  refused: true,
  cut: true,
  'gave-up': true,
}

const CLOSES: Readonly<Record<CloseReason, boolean>> = {
  'connections-max': true,
  forbidden: true,
  'held-max': true,
  'no-backend': true,
  'backends-full': true,
  'not-accepting': true,
  done: true,
  'client-reset': true,
  'upstream-reset': true,
  'connect-failed': true,
  'hold-timeout': true,
  'hold-refused': true,
  'host-limit': true,
  idle: true,
  cut: true,
  aborted: false, // only a shell that ends in a hurry asks for it
}

const ENTRANCE_REFUSALS: Readonly<Record<EntranceRefusal, true>> = {
  'entrance-full': true,
  'greeting-timeout': true,
  'proxy-header': true,
  'not-tls': true,
  'no-route': true,
  handshake: true,
  'client-gone': true,
  closing: true,
}

/** As people see them. */
const SOCKET_STATES: Readonly<Record<ListenerView['state'], true>> = {
  idle: true,
  waiting: true,
  opening: true,
  listening: true,
  serving: true,
  retrying: true,
  absent: true,
  closing: true,
  draining: true,
}

const UDP_EVENTS: Readonly<Record<FlowEvent['type'], true>> = {
  'client-datagram': true,
  'upstream-datagram': true,
  'upstream-opened': true,
  'upstream-failed': true,
  'apply-backends': true,
  'cut-backend': true,
  configure: true,
  drain: true,
  close: true,
  'abort-all': true,
  'close-all': true,
  'abort-flow': true,
  tick: true,
}

const UDP_CLOSES: Readonly<Record<FlowCloseReason, true>> = {
  idle: true,
  'half-open': true,
  lifetime: true,
  responses: true,
  requests: true,
  evicted: true,
  'backend-failed': true,
  'host-limit': true,
  forbidden: true,
  superseded: true,
  drained: true,
  closed: true,
  aborted: true,
}

const UDP_DROPS: Readonly<Record<DropReason, true>> = {
  invalid: true,
  oversize: true,
  forbidden: true,
  'no-backend': true,
  shed: true,
  'source-limit': true,
  'host-limit': true,
  draining: true,
  'unknown-flow': true,
  'held-overflow': true,
  'held-lost': true,
}

const HTTP_EVENTS: Readonly<Record<IngressEvent['type'], true>> = {
  tick: true,
  configure: true,
  'configure-listener': true,
  'apply-backends': true,
  'cut-backend': true,
  'close-listener': true,
  'abort-listener': true,
  'apply-routes': true,
  'close-port': true,
  challenge: true,
  accepted: true,
  'stream-opened': true,
  'client-data': true,
  'client-trailers': true,
  'client-ended': true,
  'client-broken': true,
  'client-blocked': true,
  'client-writable': true,
  'client-finished': true,
  'upstream-connected': true,
  'upstream-failed': true,
  'upstream-head': true,
  'upstream-data': true,
  'upstream-trailers': true,
  'upstream-ended': true,
  'upstream-broken': true,
  'upstream-blocked': true,
  'upstream-writable': true,
  'upstream-finished': true,
}

const HTTP_COMMANDS: Readonly<Record<IngressCommand['type'], true>> = {
  read: true,
  'speak-http2': true,
  'write-client': true,
  respond: true,
  'write-client-trailers': true,
  'pause-client': true,
  'resume-client': true,
  'end-client': true,
  'close-client': true,
  connect: true,
  'write-upstream': true,
  request: true,
  'write-upstream-trailers': true,
  'pause-upstream': true,
  'resume-upstream': true,
  'end-upstream': true,
  'close-upstream': true,
  'backends-applied': true,
  'backend-drained': true,
  'backend-failed': true,
  wanted: true,
  idle: true,
  busy: true,
  emptied: true,
  exchanged: true,
}

const HTTP_OUTCOMES: Readonly<Record<ExchangeOutcome, true>> = {
  done: true,
  redirected: true,
  challenge: true,
  'bad-request': true,
  'no-route': true,
  forbidden: true,
  'no-backend': true,
  'backends-full': true,
  'held-max': true,
  'hold-timeout': true,
  'connect-failed': true,
  'host-limit': true,
  'bad-response': true,
  'upstream-closed': true,
  'request-timeout': true,
  'connect-timeout': true,
  'response-timeout': true,
  'total-timeout': true,
  'client-gone': true,
  cut: true,
  aborted: true,
  idle: true,
}

const LAST_MAX = 256
const BRIEF_MAX = 160
