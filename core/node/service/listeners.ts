/** Listeners: what the endpoints of a service are reached through, and which replicas take part. */

import { canonicalJson } from '../../journal/canonical-json.ts'
import { assert } from '../../machine.ts'
import { accessOf } from '../../policy/policy.ts'
import type { Wish } from '../../publish/claim.ts'
import { listenerId, type ReplicaId } from '../../services/identity.ts'
import { takesPart } from '../../services/replica-life.ts'
import type { BalanceSpec } from '../../spec/deployment.ts'
import type { Backend, ListenerSettings, OpenListener } from '../commands.ts'
import type { ListenerEvent } from '../events.ts'
import {
  type Listener,
  type NodeState,
  type Replica,
  replicaOf,
  type Service,
  type Step,
} from '../state.ts'
import { isDownAt, onBackendFailed } from './checks.ts'
import { claimPorts } from './claims.ts'
import { type Door, doorsOf } from './doors.ts'
import { driveMonitor } from './monitors.ts'
import { drainTimeoutOf, finishDrain, patienceMs } from './replicas.ts'
import { idleAfterMs, napsOf, onListenerUse, sleepIfIdle, whenEmpty } from './sleep.ts'
import { driveLedger } from './sockets.ts'

/** Makes the listeners of services those their files ask for, touching none that did not change. */
export function convergeListeners(step: Step, services: readonly Service[]): void {
  const ended: Listener[] = []
  for (const service of services) {
    const { state } = step
    const doors = new Map(doorsOf(service.spec, state.internal).map((door) => [door.key, door]))
    const left: Listener[] = []
    const wanted = new Set([...doors.values()].map(({ endpoint }) => endpoint.name))
    for (const listener of listenersOf(step, service)) {
      // Whose place is taken away now was waited for because another one had taken it.
      if (!wanted.has(listener.endpoint.name)) beginPatience(step, listener)
      if (isClosing(listener)) continue
      const door = doors.get(listener.door)
      doors.delete(listener.door)
      if (door === undefined) left.push(listener)
      else adjust(step, service, listener, door)
    }
    for (const listener of left) {
      listener.isReplaced = wanted.has(listener.endpoint.name)
      if (listener.endpoint.protocol === 'udp') ended.push(listener)
      beginClosing(listener)
    }
    for (const door of doors.values()) openListener(step, service, door)
    for (const listener of left) letGo(step, listener)
  }
  // A UDP socket and its flows are one: whoever is reached at the same place has another one.
  if (ended.length > 0) giveUpSockets(step, services, ended)
  claimPorts(step, services)
}

/** All else holds without another listener, and nobody who is connected notices. */
function adjust(
  { state, out }: Step,
  service: Service,
  listener: Listener,
  { endpoint, target, claims }: Door,
): void {
  const settings = settingsOf(state, service, { endpoint, target })
  const written = canonicalJson(settings)
  const differs = written !== listener.settings
  Object.assign(listener, { endpoint, target, claims, settings: written })
  state.toApply.add(listener.id) // its role filter may have changed
  if (differs) out.push({ type: 'configure-listener', listener: listener.id, ...settings })
}

function settingsOf(
  { config }: NodeState,
  { deployment, name, spec }: Service,
  { endpoint, target }: Pick<Door, 'endpoint' | 'target'>,
): ListenerSettings {
  const { protocol, stream, udp, http, balance } = endpoint
  // A mapping that leads to an endpoint is a way to that endpoint.
  const named = 'endpoint' in target ? target.endpoint : endpoint.name
  const place = { deployment, service: name, endpoint: named, port: endpoint.port }
  const common = { access: accessOf(config.policies, place), idleAfterMs: idleAfterMs(spec) }
  if (protocol === 'tcp') return { protocol, stream, balance: balanceOf(balance), ...common }
  if (protocol !== 'udp') {
    assert(http !== undefined, `a ${protocol} endpoint has an http block`)
    return { protocol: 'http', http, balance: balanceOf(balance), ...common }
  }
  assert(udp !== undefined, 'a udp endpoint has a udp block')
  return { protocol, udp, drainTimeoutMs: stream.drainTimeoutMs, ...common }
}

const balanceOf = ({ strategy, failOpen }: BalanceSpec): OpenListener['balance'] => ({
  strategy,
  failOpen,
})

function openListener(step: Step, service: Service, door: Door): void {
  const { state, out } = step
  const { endpoint, target, claims } = door
  const [first] = claims.values()
  const settings = settingsOf(state, service, door)
  state.generations += 1
  const listener: Listener = {
    id: listenerId(service.key, endpoint.name, state.generations),
    service: service.key,
    door: door.key,
    endpoint,
    target,
    purpose: first?.purpose ?? 'internal',
    claims,
    settings: canonicalJson(settings),
    state: 'open',
    whenEmpty: 'refuse',
    naps: service.naps,
    isIdle: false,
    isReplaced: false,
    sockets: new Set(),
    sentVersion: 0,
    appliedVersion: 0,
    sent: new Map(),
    down: new Set(),
    holding: new Map(),
  }
  state.listeners.set(listener.id, listener)
  service.listeners.add(listener.id)
  state.toApply.add(listener.id)
  const balance = balanceOf(endpoint.balance)
  out.push({ type: 'open-listener', listener: listener.id, balance, ...settings })
}

/** Everything of a service that takes connections, at once. */
export function closeListeners(step: Step, service: Service): void {
  for (const listener of listenersOf(step, service)) beginPatience(step, listener)
  const open = listenersOf(step, service).filter((each) => !isClosing(each))
  if (open.length === 0) return
  for (const listener of open) beginClosing(listener)
  claimPorts(step, [service])
  for (const listener of open) letGo(step, listener)
}

function beginClosing(listener: Listener): void {
  listener.state = 'closing'
  listener.claims = new Map()
}

/** Once no socket leads to it, what came in goes on without it. */
export function letGo(step: Step, listener: Listener): void {
  if (listener.state !== 'closing' || listener.sockets.size > 0) return
  const { state, out } = step
  listener.state = 'closed'
  out.push({ type: 'close-listener', listener: listener.id })
  state.toApply.add(listener.id)
  state.toPlan.add(listener.service)
  state.toJudge.add(listener.service)
  if (!listener.isReplaced) armCut(step, listener)
  forgetIfDone(step, listener)
}

/**
 * A UDP listener is over with its socket: its table admits nobody any more. Who is to be reached at
 * the same place again is another one.
 */
export function renewListener(step: Step, listener: Listener): void {
  const { state } = step
  const service = state.services.get(listener.service)
  if (listener.state !== 'open' || listener.endpoint.protocol !== 'udp') return
  if (service === undefined) return
  const { door: key, endpoint, target, claims } = listener
  // What a node that stops has closed to the outside stays closed.
  listener.isReplaced = state.phase !== 'draining'
  beginClosing(listener)
  if (listener.isReplaced) openListener(step, service, { key, endpoint, target, claims })
}

/** Of all services in one event: what one lets go of is not for the next one yet. */
function giveUpSockets(step: Step, services: readonly Service[], ended: readonly Listener[]): void {
  const { ledger } = step.state
  const given = new Set(
    ended
      .flatMap(({ sockets }) => [...sockets])
      .flatMap((id) => ledger.socket(id)?.carries ?? [])
      .map(({ owner, claim }) => `${owner} ${claim.id}`),
  )
  const wishes = services.map(
    ({ key: owner }): Wish => ({
      owner,
      claims: ledger
        .claimsOf(owner)
        .map(({ claim }) => claim)
        .filter(({ id }) => !given.has(`${owner} ${id}`)),
    }),
  )
  if (given.size > 0) driveLedger(step, { type: 'claim', wishes })
}

/** Ends every connection of a listener at once, but those to backends that are cut already. */
export function cutListener(
  step: Step,
  listener: Listener,
  done: ReadonlySet<ReplicaId> = NONE,
): void {
  for (const backend of listener.holding.keys()) {
    if (done.has(backend)) continue
    step.out.push({ type: 'cut-backend', listener: listener.id, backend })
  }
}

// Answers

export function onListenerEvent(step: Step, event: ListenerEvent): void {
  const listener = step.state.listeners.get(event.listener)
  if (listener === undefined) return
  switch (event.type) {
    case 'backends-applied':
      if (event.version !== listener.sentVersion) return
      listener.appliedVersion = event.version
      step.state.toApply.add(listener.id)
      step.state.toJudge.add(listener.service)
      return forgetIfDone(step, listener)
    case 'backend-drained':
      return onDrained(step, listener, event.backend, event.version)
    case 'backend-failed': {
      const replica = step.state.replicas.get(event.backend)
      if (replica === undefined) return
      driveMonitor(step, replica, { type: 'hurry' })
      return onBackendFailed(step, replica, listener.target, event.reason)
    }
    case 'listener-wanted':
    case 'listener-idle':
    case 'listener-busy':
      return onListenerUse(step, listener, event)
  }
}

export function onListenerTimer(step: Step, listener: Listener): void {
  if (listener.state !== 'closed') return
  cutListener(step, listener)
  step.state.timers.set(`listener ${listener.id}`, step.now + CUT_AGAIN_MS)
}

/** One that was replaced is not any more: what is left on it has its time like all else. */
function beginPatience(step: Step, listener: Listener): void {
  if (!listener.isReplaced) return
  listener.isReplaced = false
  if (listener.state === 'closed') armCut(step, listener)
}

/** Connections of a listener that is gone end by themselves, or when its drain is over. */
function armCut(step: Step, listener: Listener): void {
  const waitMs = patienceMs(step, drainTimeoutOf(listener.endpoint))
  step.state.timers.set(`listener ${listener.id}`, step.now + Math.max(1, waitMs))
}

function onDrained(step: Step, listener: Listener, backend: ReplicaId, version: number): void {
  const left = listener.holding.get(backend) ?? 0
  // In again since, or a word about an earlier time it left: it may have connections.
  if (left === 0 || version < left) return
  listener.holding.delete(backend)
  const replica = step.state.replicas.get(backend)
  if (replica !== undefined) finishDrain(step, replica)
  forgetIfDone(step, listener)
}

function forgetIfDone(step: Step, listener: Listener): void {
  if (listener.state !== 'closed' || listener.holding.size > 0) return
  if (listener.sentVersion !== listener.appliedVersion) return
  step.state.timers.cancel(`listener ${listener.id}`)
  step.state.listeners.delete(listener.id)
  const service = step.state.services.get(listener.service)
  service?.listeners.delete(listener.id)
  if (service !== undefined) sleepIfIdle(step, service)
  step.state.toPlan.add(listener.service)
}

// Backends

/**
 * Sends a listener the set it should have, if it differs from the one sent last and that one is
 * known to hold: one question at a time, so a burst of changes costs one more set, not many.
 */
export function applyBackends(step: Step, listener: Listener): void {
  if (listener.sentVersion !== listener.appliedVersion) return
  const isOpen = listener.state === 'open'
  if (!isOpen && listener.sentVersion === 0) return
  const backends = isOpen ? backendsOf(step, listener) : []
  if (!isSent(step, backends, listener)) send(step, listener, backends)
  // A new one has what it took over to correct, whether or not there is something to send.
  else if (listener.sentVersion === 0) publish(step, listener)
}

function send(step: Step, listener: Listener, backends: readonly Backend[]): void {
  listener.sentVersion += 1
  const version = listener.sentVersion
  const before = listener.sent
  listener.sent = new Map(backends.map(({ id, host, port }) => [id, { id, host, port }]))
  listener.whenEmpty = whenEmpty(step, listener)
  listener.naps = napsOf(step, listener)
  listener.down = new Set(backends.filter((each) => each.down).map((each) => each.id))
  for (const id of before.keys()) if (!listener.sent.has(id)) listener.holding.set(id, version)
  for (const id of listener.sent.keys()) listener.holding.set(id, 0)
  const { id, whenEmpty: empty } = listener
  step.out.push({ type: 'apply-backends', listener: id, version, backends, whenEmpty: empty })
  publish(step, listener)
}

/**
 * The ledger knows what is behind each claim: a port is published while somebody takes what comes.
 * What it has of the claim may be another listener's, whose place this one took.
 */
function publish(step: Step, { service: owner, claims, sent }: Listener): void {
  const { ledger } = step.state
  for (const claim of claims.keys()) {
    const granted = ledger.claim(owner, claim)
    if (granted === undefined) continue // it was not asked for, or not granted
    const recorded = new Set(granted.backends.map(({ id }) => id))
    for (const backend of sent.values()) {
      if (!recorded.delete(backend.id))
        driveLedger(step, { type: 'publish', owner, claim, backend })
    }
    for (const backend of recorded) driveLedger(step, { type: 'withdraw', owner, backend, claim })
  }
}

/** Claims that are new, or were not granted before. */
export function republish(step: Step, service: Service): void {
  for (const listener of listenersOf(step, service)) {
    if (listener.sent.size > 0) publish(step, listener)
  }
}

/**
 * Every replica that has been ready and was not asked to leave, so that a table of hashes does not
 * move when one of them fails a check, and what remains can be tried when all of them do.
 */
function backendsOf({ state }: Step, { service: key, endpoint, target }: Listener): Backend[] {
  const service = state.services.get(key)
  const serving: Replica[] = []
  for (const slot of service?.slots.values() ?? []) {
    const replica = replicaOf(state, slot)
    if (replica === undefined || !takesPart(replica.state)) continue
    if (endpoint.targetRole === undefined || replica.role === endpoint.targetRole)
      serving.push(replica)
  }
  serving.sort((a, b) => a.number - b.number)
  return serving.flatMap((replica) => {
    const { id, host, ports } = replica
    const port = 'port' in target ? target.port : ports[target.endpoint]
    if (port === undefined || service === undefined) return []
    return [{ id, host, port, ...(isDownAt(replica, target, service.spec) ? { down: true } : {}) }]
  })
}

const isSent = (step: Step, backends: readonly Backend[], listener: Listener): boolean =>
  whenEmpty(step, listener) === listener.whenEmpty &&
  napsOf(step, listener) === listener.naps &&
  backends.length === listener.sent.size &&
  backends.every((each) => isSentOne(each, listener))

const isSentOne = (each: Backend, { sent, down }: Listener): boolean =>
  sent.has(each.id) && down.has(each.id) === (each.down ?? false)

// What others ask

export const isClosing = (listener: Listener): boolean => listener.state !== 'open'

/** The set its clients are sent to holds, and there is one, or they wait for one. */
export const isSupplied = (listener: Listener): boolean =>
  listener.sentVersion === listener.appliedVersion &&
  (listener.sent.size > 0 || listener.whenEmpty === 'hold')

export function listenersOf({ state }: Pick<Step, 'state'>, service: Service): Listener[] {
  return [...service.listeners].flatMap((id) => state.listeners.get(id) ?? [])
}

const NONE: ReadonlySet<ReplicaId> = new Set()
/** A cut is done at once; this is for a shell that lost it. */
const CUT_AGAIN_MS = 1_000
