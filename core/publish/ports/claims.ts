/** Claims come and go, and backends on them. */
import { assert } from '../../machine.ts'
import type { Claim, Owner, Wish } from '../claim.ts'
import type { LedgerEvent } from '../events.ts'
import { conflictsOf, isSamePlace } from './conflicts.ts'
import { reachOf } from './overlap.ts'
import { planEphemeral, planPort } from './plan.ts'
import { carriesOthers, release } from './sockets.ts'
import {
  type ClaimRecord,
  dropOwnerIfEmpty,
  isWanted,
  type LedgerState,
  type OwnerRecord,
  ownerRecord,
  type PortRecord,
  portKey,
  portRecord,
  type SocketRecord,
  type Step,
} from './state.ts'

type Happened<T extends LedgerEvent['type']> = Extract<LedgerEvent, { type: T }>

/** What a step has to look at again. */
interface Touched {
  readonly ports: Set<PortRecord>
  /** Claims of port 0, with the socket of the claim they take the place of. */
  readonly ephemeral: Map<ClaimRecord, SocketRecord | undefined>
}

export function onClaim(step: Step, { wishes }: Happened<'claim'>): void {
  const { state, out } = step
  const { counters } = state
  const owners = wishes.map(({ owner }) => owner)
  checkNames(wishes)
  const asked = countOf(wishes)
  const conflicts = conflictsOf(state, wishes)
  const isFull = !hasRoomFor(state, wishes)
  if (conflicts.length > 0 || isFull) {
    counters.claimsRefused += asked
    out.push({ type: 'refused', owners, conflicts, isFull })
    return
  }
  out.push({ type: 'claimed', owners })
  const touched: Touched = { ports: new Set(), ephemeral: new Map() }
  for (const wish of wishes) grant(step, wish, touched)
  converge(step, touched)
  for (const owner of owners) dropOwnerIfEmpty(state, owner)
}

/** Whoever asks for no more than before is always let in: the bound may have come down. */
export function hasRoomFor(state: LedgerState, wishes: readonly Wish[]): boolean {
  const asked = countOf(wishes)
  const standing = wishes.reduce(
    (sum, { owner }) => sum + (state.owners.get(owner)?.claims.size ?? 0),
    0,
  )
  return asked <= standing || state.claims - standing + asked <= state.config.claimsMax
}

const countOf = (wishes: readonly Wish[]): number =>
  wishes.reduce((sum, { claims }) => sum + claims.length, 0)

/** Before anything is changed. */
function checkNames(wishes: readonly Wish[]): void {
  const owners = new Set(wishes.map(({ owner }) => owner))
  assert(owners.size === wishes.length, 'one wish for each owner')
  for (const { owner, claims } of wishes) {
    const ids = new Set(claims.map(({ id }) => id))
    assert(ids.size === claims.length, `each claim of ${owner} has a name of its own`)
  }
}

function grant(step: Step, { owner, claims }: Wish, touched: Touched): void {
  const { state } = step
  const record = ownerRecord(state, owner)
  const before = record.claims
  record.claims = new Map()
  for (const claim of claims) {
    const present = before.get(claim.id)
    before.delete(claim.id)
    if (present !== undefined && isSame(present.claim, claim)) record.claims.set(claim.id, present)
    else {
      state.counters.claimsGranted += 1
      record.claims.set(claim.id, enterClaim(step, owner, claim, present, touched))
    }
  }
  for (const gone of before.values()) {
    state.counters.withdrawn += gone.backends.size
    leaveClaim(step, gone, touched)
  }
}

/** In the place of `present`, of the same name: what was published on that one stays published. */
function enterClaim(
  step: Step,
  owner: Owner,
  claim: Claim,
  present: ClaimRecord | undefined,
  touched: Touched,
): ClaimRecord {
  const { state } = step
  state.orderLast += 1
  state.claims += 1
  const record: ClaimRecord = {
    owner,
    claim,
    reach: reachOf(claim.host, claim.isV6Only),
    order: state.orderLast,
    backends: present?.backends ?? new Map(),
    socket: undefined,
  }
  const inherited = claim.port === 0 ? inherit(record, present) : undefined
  if (present !== undefined) leaveClaim(step, present, touched)
  if (claim.port === 0) {
    touched.ephemeral.set(record, inherited)
  } else {
    const port = portRecord(state, claim.namespace, claim.port)
    port.claims.add(record)
    touched.ports.add(port)
  }
  return record
}

/** The port that the system picked stays, whatever else about the claim changes. */
function inherit(record: ClaimRecord, present: ClaimRecord | undefined): SocketRecord | undefined {
  const socket = present?.socket
  if (socket === undefined || !isSamePlace(present!.claim, record.claim)) return undefined
  present!.socket = undefined
  socket.carries = [record]
  record.socket = socket
  return socket
}

function leaveClaim(step: Step, record: ClaimRecord, touched: Touched): void {
  const { state } = step
  const { claim, socket } = record
  state.claims -= 1
  if (claim.port === 0) {
    if (socket !== undefined) release(step, socket)
    return
  }
  const port = portRecord(state, claim.namespace, claim.port)
  port.claims.delete(record)
  touched.ports.add(port)
}

function converge(step: Step, { ports, ephemeral }: Touched): void {
  for (const port of ports) planPort(step, port)
  for (const [record, inherited] of ephemeral) {
    planEphemeral(step, record)
    if (inherited !== undefined) carriesOthers(step, inherited)
  }
}

// Backends

export function onPublish(step: Step, { owner, claim, backend }: Happened<'publish'>): void {
  const { state } = step
  const record = state.owners.get(owner)?.claims.get(claim)
  const present = record?.backends.get(backend.id)
  const isRoom = (record?.backends.size ?? 0) < state.config.backendsPerClaimMax
  if (record === undefined || (present === undefined && !isRoom)) {
    state.counters.publishRefused += 1
    return
  }
  const wasWanted = isWanted(record)
  record.backends.set(backend.id, backend)
  if (present === undefined) state.counters.published += 1
  reconsider(step, record, wasWanted)
}

/** Of whatever claims it was recorded on; what the file says by now does not matter (proxy W38). */
export function onWithdraw(step: Step, { owner, backend, claim }: Happened<'withdraw'>): void {
  const record = step.state.owners.get(owner)
  for (const each of claimsIn(record, claim)) {
    const wasWanted = isWanted(each)
    if (!each.backends.delete(backend)) continue
    step.state.counters.withdrawn += 1
    reconsider(step, each, wasWanted)
  }
}

function claimsIn(record: OwnerRecord | undefined, id: string | undefined): readonly ClaimRecord[] {
  if (record === undefined) return []
  if (id === undefined) return [...record.claims.values()]
  const claim = record.claims.get(id)
  return claim === undefined ? [] : [claim]
}

/** After a backend came or went: a socket may be wanted, or not any more. */
function reconsider(step: Step, record: ClaimRecord, wasWanted: boolean): void {
  const { namespace, port } = record.claim
  if (isWanted(record) === wasWanted) return
  if (port === 0) return planEphemeral(step, record)
  planPort(step, step.state.ports.get(portKey(namespace, port))!)
}

function isSame(a: Claim, b: Claim): boolean {
  return (
    a.namespace === b.namespace &&
    a.host === b.host &&
    a.port === b.port &&
    (a.isV6Only ?? true) === (b.isV6Only ?? true) &&
    a.bind === b.bind &&
    a.tenancy?.tls === b.tenancy?.tls &&
    a.tenancy?.route === b.tenancy?.route &&
    a.tenancy?.terms === b.tenancy?.terms &&
    (a.isOptional ?? false) === (b.isOptional ?? false)
  )
}
