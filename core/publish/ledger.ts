/**
 * Who owns which host port of this node, and which sockets there are for whom (proxy W1, W5, W8,
 * W33 to W39). A port is claimed before anything that uses it is started; a socket is there while a
 * claim wants one; a port is free when its socket is known to be closed.
 *
 * See `docs/publish.md` for what conflicts, the life of a socket, and what happens on each event.
 */
import { type Instant, type Machine, unreachable } from '../machine.ts'
import type { ClaimId, Owner, PortConflict, PortNamespace, Wish } from './claim.ts'
import type { LedgerCommand } from './commands.ts'
import type { LedgerEvent, SocketId } from './events.ts'
import { hasRoomFor, onClaim, onPublish, onWithdraw } from './ports/claims.ts'
import { conflictsOf } from './ports/conflicts.ts'
import { onBindFailed, onBound, onTick, onUnbound } from './ports/sockets.ts'
import { type LedgerState, newState, portKey, type Step } from './ports/state.ts'
import { claimView, socketView } from './ports/views.ts'
import { type LedgerSnapshot, restoreSnapshot, takeSnapshot } from './snapshot.ts'
import {
  type ClaimView,
  defaultLedgerConfig,
  type LedgerConfig,
  type LedgerCounters,
  type SocketView,
} from './view.ts'

export class PublishLedger implements Machine<LedgerEvent, LedgerCommand> {
  /** For {@link checkInvariants}; nobody else reads it. */
  readonly state: LedgerState

  constructor(config: Partial<LedgerConfig> = {}) {
    this.state = newState({ ...defaultLedgerConfig, ...config })
  }

  step(event: LedgerEvent, now: Instant, out: LedgerCommand[]): void {
    const step: Step = { state: this.state, now, out }
    switch (event.type) {
      case 'claim':
        return onClaim(step, event)
      case 'publish':
        return onPublish(step, event)
      case 'withdraw':
        return onWithdraw(step, event)
      case 'bound':
        return onBound(step, event)
      case 'bind-failed':
        return onBindFailed(step, event)
      case 'unbound':
        return onUnbound(step, event)
      case 'tick':
        return onTick(step)
      default:
        return unreachable(event)
    }
  }

  deadline(): Instant | undefined {
    return this.state.goOnAt ?? this.state.timers.next()
  }

  /** What a `claim` of these wishes would be refused for, the first conflict of each claim. */
  conflicts(wishes: readonly Wish[]): readonly PortConflict[] {
    return conflictsOf(this.state, wishes)
  }

  /** Whether a `claim` of these wishes would not be refused for its size. */
  hasRoomFor(wishes: readonly Wish[]): boolean {
    return hasRoomFor(this.state, wishes)
  }

  /** Whether anybody claims this port or has a socket at it, on whatever address. */
  isTaken(namespace: PortNamespace, port: number): boolean {
    return this.state.ports.has(portKey(namespace, port))
  }

  socket(id: SocketId): SocketView | undefined {
    const socket = this.state.sockets.get(id)
    return socket === undefined ? undefined : socketView(socket)
  }

  /** In the order in which they were made. */
  sockets(): SocketView[] {
    return [...this.state.sockets.values()].map(socketView)
  }

  /** Those that carry claims of this owner or did until they were released, in the order of ids. */
  socketsOf(owner: Owner): SocketView[] {
    const record = this.state.owners.get(owner)
    if (record === undefined) return []
    const carrying = [...record.claims.values()].flatMap(({ socket }) => socket ?? [])
    const all = new Set([...carrying, ...record.leaving])
    return [...all].sort((a, b) => a.id - b.id).map(socketView)
  }

  /** In the order of the owner's last wish. */
  claimsOf(owner: Owner): ClaimView[] {
    return [...(this.state.owners.get(owner)?.claims.values() ?? [])].map(claimView)
  }

  /** Neither claims nor sockets. */
  get isEmpty(): boolean {
    return this.state.claims === 0 && this.state.sockets.size === 0
  }

  claim(owner: Owner, id: ClaimId): ClaimView | undefined {
    const record = this.state.owners.get(owner)?.claims.get(id)
    return record === undefined ? undefined : claimView(record)
  }

  get counters(): Readonly<LedgerCounters> {
    return this.state.counters
  }

  /** Plain JSON; equal ledgers give equal text. */
  snapshot(now: Instant): LedgerSnapshot {
    return takeSnapshot(this.state, now)
  }

  /**
   * `kept`: whoever runs the commands lived on, and answers come; the ledger goes on exactly as the
   * other one would have. `lost`: it died, so nothing is bound; what was being closed is free, and
   * the sockets that are wanted are bound by the tick that is due now.
   */
  static restore(
    snapshot: LedgerSnapshot,
    now: Instant,
    { sockets }: { readonly sockets: 'kept' | 'lost' },
  ): PublishLedger {
    const ledger = new PublishLedger(snapshot.config)
    restoreSnapshot(ledger.state, snapshot, now, sockets)
    return ledger
  }
}

/** In one line: what, whose, for whom, and what to do. */
export function describeConflict(conflict: PortConflict): string {
  const { namespace, host, port, owner, requester, route, isLeaving } = conflict
  const address = WILDCARDS.has(host) ? '' : ` of ${host}`
  const where = `${namespace} port ${port}${address}`
  const what = route === undefined ? where : `${nameOf(route)} on ${where}`
  return `port-conflict: ${what} belongs to ${owner}, so ${requester} cannot have it; ${advice()}`

  function advice(): string {
    if (isLeaving) return `${owner} is being removed: try again when it is gone`
    const other = route === undefined ? 'choose another port' : 'choose another host or path'
    return `${other}, or take it out of ${owner} first`
  }
}

const nameOf = (route: string): string =>
  route === '*' ? 'every host without an owner of its own' : route

const WILDCARDS: ReadonlySet<string> = new Set(['0.0.0.0', '::'])
