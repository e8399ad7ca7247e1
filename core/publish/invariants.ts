/** What must hold of a ledger between two steps. For tests and the simulator: it walks everything. */
import { assert } from '../machine.ts'
import { checkInvariants as checkTimers } from '../time/deadline-queue.ts'
import type { PublishLedger } from './ledger.ts'
import { mayShare } from './ports/conflicts.ts'
import { overlaps } from './ports/overlap.ts'
import { plannedSockets } from './ports/plan.ts'
import { isClaimed, isObstructed } from './ports/sockets.ts'
import {
  type ClaimRecord,
  isHeld,
  isWanted,
  type LedgerState,
  type PortRecord,
  portKey,
  type SocketRecord,
} from './ports/state.ts'

/** Throws {@link InvariantError} when the ledger contradicts itself. */
export function checkInvariants({ state }: Pick<PublishLedger, 'state'>): void {
  checkTimers(state.timers)
  checkClaims(state)
  for (const [key, port] of state.ports) {
    assert(port.key === key, `${key} is found under its own name`)
    assert(isRising([...port.claims].map(({ order }) => order)), `${key}: claims by age`)
    assert(isRising([...port.sockets].map(({ id }) => id)), `${key}: sockets by age`)
    assert(port.claims.size + port.sockets.size > 0, `${key}: nobody has it, and it is kept`)
    checkOwnership(port)
    checkPlan(port)
    checkKernel(port)
  }
  for (const socket of state.sockets.values()) checkSocket(state, socket)
}

function checkClaims(state: LedgerState): void {
  const { counters, config } = state
  let claims = 0
  let backends = 0
  for (const [owner, record] of state.owners) {
    assert(record.claims.size + record.leaving.size > 0, `${owner} has nothing, and is kept`)
    for (const [id, each] of record.claims) {
      const { claim } = each
      assert(each.owner === owner && claim.id === id, `${owner} ${id} is found under its own name`)
      claims += 1
      backends += each.backends.size
      assert(each.backends.size <= config.backendsPerClaimMax, `${owner} ${id}: too many backends`)
      const { socket } = each
      assert(
        (socket !== undefined) === isWanted(each),
        `${owner} ${id}: a socket if and only if wanted`,
      )
      assert(socket?.carries.includes(each) ?? true, `${owner} ${id} is carried`)
      const port = state.ports.get(portKey(claim.namespace, claim.port))
      assert((claim.port !== 0) === (port?.claims.has(each) ?? false), `${id} is at its port`)
    }
    for (const socket of record.leaving) {
      assert(socket.leavers.includes(owner), `${owner} leaves socket ${socket.id}`)
      assert(state.sockets.get(socket.id) === socket, `socket ${socket.id} is still there`)
    }
  }
  assert(claims === state.claims, 'claims are counted')
  assert(backends === counters.published - counters.withdrawn, 'backends are counted')
  const listed = [...state.ports.values()].reduce((sum, each) => sum + each.claims.size, 0)
  assert(listed <= claims, 'no port has a claim that no owner has')
}

/** One owner for an address and port, or tenants with routes of their own. */
function checkOwnership({ key, claims, sockets }: PortRecord): void {
  const all = [...claims]
  for (const [index, a] of all.entries()) {
    for (const b of all.slice(index + 1)) assert(isAtPeace(a, b), `${key}: two owners of one port`)
    for (const { asked, state, carries } of sockets) {
      if (asked !== 0 || state === 'releasing') continue
      const isNear = carries.some(({ reach }) => overlaps(reach, a.reach))
      assert(!isNear, `${key}: a port the kernel picked is claimed`)
    }
  }
}

function isAtPeace(a: ClaimRecord, b: ClaimRecord): boolean {
  if (a.owner === b.owner || !overlaps(a.reach, b.reach)) return true
  const one = a.claim.tenancy
  const other = b.claim.tenancy
  return mayShare(one, other) && one?.route !== other?.route
}

/** The sockets are those that follow from the claims. */
function checkPlan({ key, claims, sockets }: PortRecord): void {
  const planned = plannedSockets(claims)
  const live = [...sockets].filter(({ asked, state }) => asked !== 0 && state !== 'releasing')
  assert(live.length === planned.size, `${key}: as many sockets as there should be`)
  for (const { id, reach, carries } of live) {
    const plan = planned.get(reach.key)
    assert(plan !== undefined, `${key}: socket ${id} should not be`)
    const isSame = plan.carries.every((each, index) => each === carries[index])
    assert(isSame && plan.carries.length === carries.length, `${key}: what socket ${id} carries`)
  }
}

/** Only for a port the kernel picked, and that is given up, may a bind be under way beside it. */
function checkKernel({ key, sockets }: PortRecord): void {
  const held = [...sockets].filter((each) => isHeld(each) && each.asked !== 0)
  for (const [index, a] of held.entries()) {
    for (const b of held.slice(index + 1)) {
      assert(!overlaps(a.reach, b.reach), `${key}: sockets ${a.id} and ${b.id} overlap`)
    }
  }
}

function checkSocket(state: LedgerState, socket: SocketRecord): void {
  const { id, namespace, asked, port, carries, leavers, reach } = socket
  const name = `socket ${id}`
  const isReleasing = socket.state === 'releasing'
  const isTimed = state.timers.at(id) !== undefined
  const isLater = socket.state === 'retrying' || socket.state === 'absent'
  assert(carries.length > 0 !== isReleasing, `${name} carries claims, or is released`)
  assert(leavers.length > 0 === isReleasing, `${name} has leavers, or is not released`)
  for (const each of carries) assert(each.socket === socket, `${name} is the one its claims know`)
  for (const owner of leavers) {
    assert(state.owners.get(owner)?.leaving.has(socket) ?? false, `${name} is left by ${owner}`)
  }
  const isAtPort = state.ports.get(portKey(namespace, port))?.sockets.has(socket) ?? false
  assert(isAtPort === (port !== 0), `${name} is at its port`)
  assert(asked === 0 || asked === port, `${name} is where it was asked for`)
  assert(asked === 0 || carries.every(({ claim }) => claim.port === asked), `${name}: its claims`)
  if (isLater) assert(isTimed, `${name} is tried again`)
  else if (socket.state === 'waiting') {
    assert(isTimed || isObstructed(state, socket), `${name} waits for nothing`)
  } else assert(!isTimed, `${name} has no timer`)
  const mayLack = carries.every(({ claim }) => claim.isOptional === true)
  assert(socket.state !== 'absent' || mayLack, `${name} is missing, and somebody minds`)
  const isPicked = asked === 0 && socket.state === 'listening'
  const there = isPicked ? state.ports.get(portKey(namespace, port)) : undefined
  assert(there === undefined || !isClaimed(there, reach), `${name} is at a port that is claimed`)
}

const isRising = (numbers: readonly number[]): boolean =>
  numbers.every((each, index) => index === 0 || each > numbers[index - 1]!)
