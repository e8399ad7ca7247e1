import { expect, test } from 'vitest'
import type { Claim, Owner, PortConflict, Wish } from '../../../core/publish/claim.ts'
import type { LedgerCommand } from '../../../core/publish/commands.ts'
import type { LedgerEvent, SocketId } from '../../../core/publish/events.ts'
import { checkInvariants } from '../../../core/publish/invariants.ts'
import { PublishLedger } from '../../../core/publish/ledger.ts'
import type { LedgerConfig } from '../../../core/publish/view.ts'

/** An event, and when: by itself it happens at 0. */
export type Step = LedgerEvent | { readonly at: number; readonly event: LedgerEvent }

export interface Row {
  readonly name: string
  readonly given?: readonly Step[]
  readonly when: Step
  readonly then: readonly LedgerCommand[]
}

export function run(ledger: PublishLedger, step: Step): LedgerCommand[] {
  const { at, event } = 'event' in step ? step : { at: 0, event: step }
  const out: LedgerCommand[] = []
  ledger.step(event, at, out)
  checkInvariants(ledger)
  return out
}

export function ledgerAfter(
  given: readonly Step[],
  config: Partial<LedgerConfig> = {},
): PublishLedger {
  const ledger = new PublishLedger(config)
  for (const step of given) run(ledger, step)
  return ledger
}

/** One test a row: the whole command list, nothing more and nothing less. */
export function testRows(rows: readonly Row[], config: Partial<LedgerConfig> = {}): void {
  for (const { name, given = [], when, then } of rows) {
    test(name, () => expect(run(ledgerAfter(given, config), when)).toEqual(then))
  }
}

export const at = (instant: number, event: LedgerEvent): Step => ({ at: instant, event })

export const TICK: LedgerEvent = { type: 'tick' }

// Claims and wishes

export type More = Partial<Omit<Claim, 'host' | 'port'>>

/** Called what it is: `127.0.0.1:80`. */
export const claim = (host: string, port: number, more: More = {}): Claim => ({
  id: `${host}:${port}`,
  namespace: 'tcp',
  host,
  port,
  bind: 'always',
  ...more,
})

export const plainRoute = (route: string): More => ({ tenancy: { tls: false, route } })
export const tlsRoute = (route: string): More => ({ tenancy: { tls: true, route } })

export const wish = (owner: Owner, ...claims: readonly Claim[]): Wish => ({ owner, claims })

export const wishes = (...all: readonly Wish[]): LedgerEvent => ({ type: 'claim', wishes: all })

/** The whole wish of one owner. */
export const claims = (owner: Owner, ...all: readonly Claim[]): LedgerEvent =>
  wishes(wish(owner, ...all))

export const publish = (owner: Owner, on: string, id = 'web/1', port = 1): LedgerEvent => ({
  type: 'publish',
  owner,
  claim: on,
  backend: { id, host: '127.0.0.1', port },
})

export const withdraw = (owner: Owner, backend = 'web/1', on?: string): LedgerEvent => ({
  type: 'withdraw',
  owner,
  backend,
  ...(on === undefined ? {} : { claim: on }),
})

// Answers

export const bound = (socket: SocketId, attempt = 1, port = 80): LedgerEvent => ({
  type: 'bound',
  socket,
  attempt,
  port,
})

export const failed = (
  socket: SocketId,
  attempt = 1,
  more: { readonly holder?: string; readonly isMissing?: boolean; readonly reason?: string } = {},
): LedgerEvent => ({ type: 'bind-failed', socket, attempt, reason: 'address in use', ...more })

export const unbound = (socket: SocketId, attempt = 2): LedgerEvent => ({
  type: 'unbound',
  socket,
  attempt,
})

// Commands

export const claimed = (...owners: readonly Owner[]): LedgerCommand => ({ type: 'claimed', owners })

export const refused = (owner: Owner, ...conflicts: readonly PortConflict[]): LedgerCommand => ({
  type: 'refused',
  owners: [owner],
  conflicts,
  isFull: false,
})

/** `requester` cannot have `127.0.0.1:80`, which `owner` has. */
export function conflict(
  host: string,
  port: number,
  owner: Owner,
  requester: Owner,
  more: Partial<PortConflict> = {},
): PortConflict {
  return { namespace: 'tcp', host, port, owner, requester, isLeaving: false, ...more }
}

export const bind = (
  socket: SocketId,
  host: string,
  port: number,
  attempt = 1,
  namespace: 'tcp' | 'udp' = 'tcp',
): LedgerCommand => ({ type: 'bind', socket, attempt, namespace, host, port, isV6Only: true })

export const unbind = (socket: SocketId, attempt = 2): LedgerCommand => ({
  type: 'unbind',
  socket,
  attempt,
})

export const fact = (type: 'carries' | 'listening' | 'freed', socket: SocketId): LedgerCommand => ({
  type,
  socket,
})

export const listenFailed = (socket: SocketId, isNews = true): LedgerCommand => ({
  type: 'listen-failed',
  socket,
  isNews,
})
