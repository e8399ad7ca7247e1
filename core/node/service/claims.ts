/**
 * What services ask the node's ledger for: all of their ports, before anything of them is started, and
 * what they are not granted again when it may be had.
 */
import { canonicalJson } from '../../journal/canonical-json.ts'
import type { Claim, PortConflict, Wish } from '../../publish/claim.ts'
import { describeConflict } from '../../publish/ledger.ts'
import type { ServiceKey } from '../../services/identity.ts'
import { replicaOf, type Service, type Step } from '../state.ts'
import { doorsOf, programClaim, programClaims } from './doors.ts'
import { republish } from './listeners.ts'
import { driveLedger, refreshUses } from './sockets.ts'
import { say } from './standing.ts'

/**
 * Asks for what these services want now, and gives back what they do not. What another service of the
 * deployment has not let go of yet is asked for again when it has.
 */
export function claimPorts(step: Step, services: readonly Service[]): void {
  const { state } = step
  const asking = new Set(services)
  for (const key of state.deferred) {
    const service = state.services.get(key)
    if (service !== undefined) asking.add(service)
  }
  const wishes = [...asking].map(
    (service): Wish => ({ owner: service.key, claims: wantedClaims(step, service) }),
  )
  // What a program that runs has, whatever its file says by now, it keeps: who is to have it waits.
  const conflicts = state.ledger.conflicts(wishes)
  for (const service of asking) {
    const own = conflicts.filter(({ requester }) => requester === service.key)
    noteConflicts(step, service, own)
  }
  const granted = without(wishes, conflicts)
  // What has backends listens from the beginning: a socket that stays is not closed in between.
  const supplied = granted.map((wish) => asSupplied(step, wish))
  driveLedger(step, { type: 'claim', wishes: supplied })
  for (const service of asking) republish(step, service)
  if (supplied.some((wish, at) => wish !== granted[at])) {
    driveLedger(step, { type: 'claim', wishes: granted })
  }
  for (const service of asking) refreshUses(step, service.key)
}

function asSupplied({ state }: Step, wish: Wish): Wish {
  const supplied = new Set<string>()
  for (const id of state.services.get(wish.owner as ServiceKey)?.listeners ?? []) {
    const listener = state.listeners.get(id)
    if (listener === undefined || listener.sent.size === 0) continue
    for (const claim of listener.claims.keys()) supplied.add(claim)
  }
  // What was granted before has its backends in the ledger.
  const isEarly = ({ id, bind }: Claim): boolean =>
    bind === 'published' && supplied.has(id) && state.ledger.claim(wish.owner, id) === undefined
  if (!wish.claims.some(isEarly)) return wish
  const claims = wish.claims.map(
    (claim): Claim => (isEarly(claim) ? { ...claim, bind: 'always' } : claim),
  )
  return { ...wish, claims }
}

const without = (wishes: readonly Wish[], conflicts: readonly PortConflict[]): readonly Wish[] =>
  wishes.map(({ owner, claims }) => {
    const refused = conflicts.filter(({ requester }) => requester === owner)
    return { owner, claims: claims.filter((claim) => !refused.some((each) => isOf(claim, each))) }
  })

const isOf = (claim: Claim, { namespace, host, port }: PortConflict): boolean =>
  claim.namespace === namespace && claim.host === host && claim.port === port

/** Lets go of ports that neither the file, nor a program of the service uses any more. */
export function releaseClaims(step: Step, service: Service): void {
  const asked = new Set(wantedClaims(step, service).map(({ id }) => id))
  const held = step.state.ledger.claimsOf(service.key)
  const isHeld = held.every(({ claim }) => claim.bind !== 'never' || asked.has(claim.id))
  // What it was not granted it may not want any more.
  if (isHeld && !step.state.deferred.has(service.key)) return
  claimPorts(step, [service])
}

/** Everything a file asks for, as if nothing of it were there yet. */
export const fileClaims = (
  owner: ServiceKey,
  spec: Service['spec'],
  internal: readonly string[],
): Wish => ({
  owner,
  claims: [
    ...doorsOf(spec, internal).flatMap(({ claims }) => [...claims.values()].map(reserved)),
    ...programClaims(spec),
  ],
})

/** It is ours, and nothing listens yet. */
const reserved = ({ claim }: { readonly claim: Claim }): Claim => ({ ...claim, bind: 'published' })

function wantedClaims(step: Step, service: Service): readonly Claim[] {
  const { state } = step
  const isHeld = service.stage === 'held' && service.listeners.size === 0
  const wanted = isHeld
    ? [...fileClaims(service.key, service.spec, state.internal).claims]
    : listenerClaims(step, service)
  if (!isHeld && service.stage !== 'leaving') wanted.push(...programClaims(service.spec))
  for (const slot of service.slots.values()) {
    wanted.push(...(replicaOf(state, slot)?.ownPorts ?? []).map(programClaim))
  }
  return [...new Map(wanted.map((claim) => [claim.id, claim])).values()]
}

function listenerClaims({ state }: Step, service: Service): Claim[] {
  const found: Claim[] = []
  for (const id of service.listeners) {
    for (const { claim, purpose } of state.listeners.get(id)?.claims.values() ?? []) {
      // What stops takes nothing new from outside.
      const isOutside = purpose === 'public' || purpose === 'mapping'
      if (!isOutside || state.phase !== 'draining') found.push(claim)
    }
  }
  return found
}

/** Who waits for a service of its own deployment says nothing: it will let go. */
function noteConflicts(step: Step, service: Service, conflicts: readonly PortConflict[]): void {
  const { state } = step
  if (canonicalJson(conflicts) === canonicalJson(service.conflicts)) return
  if (conflicts.length === 0) state.deferred.delete(service.key)
  else state.deferred.add(service.key)
  const news = foreignConflicts(service, conflicts).map(describeConflict)
  const known = foreignConflicts(service, service.conflicts).map(describeConflict)
  service.conflicts = conflicts
  state.toJudge.add(service.key)
  state.toPlan.add(service.key)
  for (const text of news) {
    if (!known.includes(text))
      say(step, service, 'error', 'listen-failed', `cannot listen: ${text}`)
  }
}

/** Those with others than services of its own deployment. */
export const foreignConflicts = (
  { deployment }: Service,
  conflicts: readonly PortConflict[],
): readonly PortConflict[] => conflicts.filter(({ owner }) => !owner.startsWith(`${deployment}/`))
