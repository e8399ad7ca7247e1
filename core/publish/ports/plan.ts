/**
 * The sockets there should be at one port. Level-triggered: computed from the claims as they are,
 * and put into effect from whatever sockets there are.
 */
import { coverKeys, type Reach } from './overlap.ts'
import { bindOrWait, giveWay, isClaimed, newSocket, release, setCarries } from './sockets.ts'
import {
  type ClaimRecord,
  dropPortIfEmpty,
  isWanted,
  type PortRecord,
  type SocketRecord,
  type Step,
} from './state.ts'

export interface PlannedSocket {
  readonly reach: Reach
  /** Claims of its own reach first, then those it covers; the older ones first. */
  readonly carries: ClaimRecord[]
}

/**
 * One socket for each reach that no other one covers; the claims it covers ride on it. Claims at
 * one port have one owner or are tenants, or else they do not overlap. `claims`: oldest first.
 */
export function plannedSockets(claims: Iterable<ClaimRecord>): Map<string, PlannedSocket> {
  const wanted = [...claims].filter(isWanted)
  const reaches = new Map(wanted.map(({ reach }) => [reach.key, reach]))
  const planned = new Map<string, PlannedSocket>()
  const covered: [PlannedSocket, ClaimRecord][] = []
  for (const record of wanted) {
    const key = coverKeys(record.reach).find((each) => reaches.has(each))!
    const socket = planned.get(key) ?? { reach: reaches.get(key)!, carries: [] }
    planned.set(key, socket)
    if (key === record.reach.key) socket.carries.push(record)
    else covered.push([socket, record])
  }
  covered.sort(([, a], [, b]) => WIDTHS[a.reach.width] - WIDTHS[b.reach.width])
  for (const [socket, record] of covered) socket.carries.push(record)
  return planned
}

/** Converges the sockets of a port on its claims; what need not change is not touched. */
export function planPort(step: Step, port: PortRecord): void {
  for (const socket of port.sockets) {
    if (socket.asked === 0 && socket.state !== 'releasing' && isClaimed(port, socket.reach)) {
      giveWay(step, socket)
    }
  }
  const planned = plannedSockets(port.claims)
  const kept = new Map<string, SocketRecord>()
  for (const socket of port.sockets) {
    if (socket.asked === 0 || socket.state === 'releasing') continue
    const plan = planned.get(socket.reach.key)
    if (plan !== undefined && goesOn(socket, plan)) kept.set(socket.reach.key, socket)
    else release(step, socket)
  }
  for (const record of port.claims) record.socket = undefined
  const made: SocketRecord[] = []
  for (const [key, { reach, carries }] of planned) {
    const { claim } = carries[0]!
    const socket = kept.get(key) ?? newSocket(step, claim.namespace, reach, claim.port)
    if (!kept.has(key)) made.push(socket)
    setCarries(step, socket, carries)
  }
  for (const socket of made) bindOrWait(step, socket)
  dropPortIfEmpty(step.state, port)
}

/** The same for a claim of port 0, which has a socket of its own. */
export function planEphemeral(step: Step, record: ClaimRecord): void {
  const { socket, claim, reach } = record
  if (!isWanted(record)) {
    record.socket = undefined
    if (socket !== undefined) release(step, socket)
    return
  }
  if (socket !== undefined) return
  const made = newSocket(step, claim.namespace, reach, 0)
  setCarries(step, made, [record])
  bindOrWait(step, made)
}

/**
 * A socket never passes from one owner to the next: who has connected to the one and was not
 * accepted yet would meet the other.
 */
function goesOn({ carries }: SocketRecord, plan: PlannedSocket): boolean {
  const owners = new Set(carries.map(({ owner }) => owner))
  return plan.carries.some(({ owner }) => owners.has(owner))
}

const WIDTHS: Readonly<Record<Reach['width'], number>> = { all: 0, family: 1, one: 2 }
