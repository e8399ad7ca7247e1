/** Listeners: what the endpoints of a service are reached through, and which replicas take part. */

import { canonicalJson } from '../../journal/canonical-json.ts'
import { assert, type Instant } from '../../machine.ts'
import { listenerId, type ReplicaId, type ServiceKey } from '../../services/identity.ts'
import { takesPart } from '../../services/replica-life.ts'
import type { EndpointSpec } from '../../spec/deployment.ts'
import type { Backend, ListenerSettings, NoticeCode } from '../commands.ts'
import type { ListenerEvent } from '../events.ts'
import {
  type Listener,
  nextAttempt,
  type PortKey,
  type Replica,
  replicaOf,
  type Service,
  type Step,
} from '../state.ts'
import { hurryChecks, isDownAt } from './checks.ts'
import { namespaceOf } from './claims.ts'
import { driveMonitor } from './monitors.ts'
import { finishDrain } from './replicas.ts'

/** Makes the listeners of a service those its endpoints ask for, touching none that did not change. */
export function convergeListeners(step: Step, service: Service): void {
  const { rtype, endpoints } = service.spec
  const wanted = new Map((rtype === 'service' ? endpoints : []).map((each) => [each.name, each]))
  for (const listener of listenersOf(step, service)) {
    if (isClosing(listener)) continue
    const endpoint = wanted.get(listener.endpoint.name)
    if (endpoint === undefined || bindingOf(endpoint) !== bindingOf(listener.endpoint)) {
      closeListener(step, listener)
      continue
    }
    configure(step, listener, endpoint)
    step.state.toApply.add(listener.id) // its role filter may have changed
    wanted.delete(endpoint.name)
  }
  for (const endpoint of wanted.values()) openListener(step, service, endpoint)
}

/** What a socket must be opened anew for. */
const bindingOf = (endpoint: EndpointSpec): string => {
  const { name, port, expose, balance } = endpoint
  const { strategy, failOpen } = balance
  return canonicalJson({ name, port, expose, strategy, failOpen, on: namespaceOf(endpoint) })
}

/** All else holds without another socket, and nobody who is connected notices. */
function configure({ out }: Step, listener: Listener, endpoint: EndpointSpec): void {
  const settings = settingsOf(endpoint)
  const differs = canonicalJson(settings) !== canonicalJson(settingsOf(listener.endpoint))
  listener.endpoint = endpoint
  // One that is not open yet is opened with them.
  if (!differs || (listener.state !== 'opening' && listener.state !== 'listening')) return
  out.push({ type: 'configure-listener', listener: listener.id, ...settings })
}

function settingsOf({ protocol, stream, udp }: EndpointSpec): ListenerSettings {
  if (protocol !== 'udp') return { protocol: 'tcp', stream }
  assert(udp !== undefined, 'a udp endpoint has a udp block')
  return { protocol: 'udp', udp, drainTimeoutMs: stream.drainTimeoutMs }
}

function openListener(step: Step, service: Service, endpoint: EndpointSpec): void {
  const { state } = step
  state.generations += 1
  const listener: Listener = {
    id: listenerId(service.key, endpoint.name, state.generations),
    service: service.key,
    endpoint,
    host: listenHost(endpoint),
    state: 'blocked',
    attempt: 0,
    failures: 0,
    reason: '',
    address: '',
    sentVersion: 0,
    appliedVersion: 0,
    sent: new Set(),
    down: new Set(),
    holding: new Map(),
  }
  state.listeners.set(listener.id, listener)
  service.listeners.add(listener.id)
  const port = portKey(endpoint)
  state.byPort.set(port, [...(state.byPort.get(port) ?? []), listener.id])
  tryListen(step, listener)
}

/** Public binds all interfaces; internal binds loopback while there is no overlay network. */
const listenHost = (endpoint: EndpointSpec): string =>
  endpoint.expose === 'public' ? '0.0.0.0' : '127.0.0.1'

/** tcp and udp are apart (udp W35). */
export const portKey = (endpoint: EndpointSpec): PortKey =>
  `${namespaceOf(endpoint)}:${endpoint.port}`

/** Listens, unless an older listener of ours has not let go of the port yet. */
function tryListen(step: Step, listener: Listener): void {
  const { state, out } = step
  const first = state.byPort.get(portKey(listener.endpoint))?.[0]
  if (first !== listener.id) {
    listener.state = 'blocked'
    return
  }
  listener.state = 'opening'
  listener.attempt = nextAttempt(state)
  const { id, attempt, host, endpoint } = listener
  const { port, balance } = endpoint
  const { strategy, failOpen } = balance
  out.push({
    type: 'open-listener',
    listener: id,
    attempt,
    host,
    port,
    balance: { strategy, failOpen },
    ...settingsOf(endpoint),
  })
}

export function closeListener(step: Step, listener: Listener): void {
  const { state, out } = step
  switch (listener.state) {
    case 'opening':
    case 'listening':
      listener.state = 'closing'
      listener.attempt = nextAttempt(state)
      out.push({ type: 'close-listener', listener: listener.id, attempt: listener.attempt })
      state.toApply.add(listener.id)
      return
    case 'blocked':
    case 'retrying':
      state.timers.cancel(`listener ${listener.id}`)
      return closed(step, listener)
    case 'closing':
    case 'closed':
      return
  }
}

/** Ends every connection of a listener at once. */
export function cutListener(step: Step, listener: Listener): void {
  for (const backend of listener.holding.keys()) {
    step.out.push({ type: 'cut-backend', listener: listener.id, backend })
  }
}

// Answers

export function onListenerEvent(step: Step, event: ListenerEvent): void {
  const listener = step.state.listeners.get(event.listener)
  if (listener === undefined) return
  switch (event.type) {
    case 'listener-opened':
      if (listener.state !== 'opening' || event.attempt !== listener.attempt) return
      listener.state = 'listening'
      listener.address = event.address
      listener.failures = 0
      listener.reason = ''
      step.state.toApply.add(listener.id)
      step.state.toJudge.add(listener.service)
      return notice(step, 'info', 'listening', listener, `listens on ${event.address}`)
    case 'listener-failed':
      if (event.attempt !== listener.attempt) return
      return onListenFailed(step, listener, event)
    case 'listener-closed':
      if (listener.state !== 'closing' || event.attempt !== listener.attempt) return
      return closed(step, listener)
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
      return hurryChecks(step, replica, listener.endpoint.name)
    }
  }
}

function onListenFailed(
  step: Step,
  listener: Listener,
  event: Extract<ListenerEvent, { type: 'listener-failed' }>,
): void {
  const { state, now } = step
  if (listener.state === 'closing') return closed(step, listener)
  if (listener.state !== 'opening') return
  const by = event.holder === undefined ? '' : `, held by ${event.holder}`
  const reason = `${event.reason}${by}`
  const isNews = reason !== listener.reason
  listener.state = 'retrying'
  listener.failures += 1
  listener.reason = reason
  state.timers.set(`listener ${listener.id}`, now + retryDelayMs(listener.failures))
  state.toJudge.add(listener.service)
  if (isNews) {
    const where = `${listener.host}:${listener.endpoint.port}`
    notice(
      step,
      'error',
      'listen-failed',
      listener,
      `cannot listen on ${where}: ${reason}; retrying`,
    )
  }
}

export function onListenerTimer(step: Step, listener: Listener): void {
  if (listener.state === 'retrying') return tryListen(step, listener)
  if (listener.state !== 'closed') return
  cutListener(step, listener)
  armCut(step, listener)
}

/** Connections of a listener that is gone end by themselves, or when its drain is over. */
function armCut({ state, now }: Step, listener: Listener): void {
  const { drainTimeoutMs } = listener.endpoint.stream
  state.timers.set(`listener ${listener.id}`, now + Math.max(1, drainTimeoutMs))
}

function closed(step: Step, listener: Listener): void {
  const { state } = step
  listener.state = 'closed'
  state.toApply.add(listener.id)
  const port = portKey(listener.endpoint)
  const left = (state.byPort.get(port) ?? []).filter((id) => id !== listener.id)
  if (left.length === 0) state.byPort.delete(port)
  else state.byPort.set(port, left)
  const next = state.listeners.get(left[0] ?? listener.id)
  if (next?.state === 'blocked') tryListen(step, next)
  state.toPlan.add(listener.service)
  armCut(step, listener)
  forgetIfDone(step, listener)
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
  step.state.services.get(listener.service)?.listeners.delete(listener.id)
  step.state.toPlan.add(listener.service)
}

// Backends

/**
 * Sends a listener the set it should have, if it differs from the one sent last and that one is
 * known to hold: one question at a time, so a burst of changes costs one more set, not many.
 */
export function applyBackends(step: Step, listener: Listener): void {
  if (listener.sentVersion !== listener.appliedVersion) return
  const isOpen = listener.state === 'listening'
  if (!isOpen && listener.sentVersion === 0) return
  const backends = isOpen ? backendsOf(step, listener) : []
  if (isSent(backends, listener)) return
  listener.sentVersion += 1
  const version = listener.sentVersion
  const before = listener.sent
  listener.sent = new Set(backends.map((each) => each.id))
  listener.down = new Set(backends.filter((each) => each.down).map((each) => each.id))
  for (const id of before) if (!listener.sent.has(id)) listener.holding.set(id, version)
  for (const id of listener.sent) listener.holding.set(id, 0)
  step.out.push({ type: 'apply-backends', listener: listener.id, version, backends })
}

/**
 * Every replica that has been ready and was not asked to leave, so that a table of hashes does not
 * move when one of them fails a check, and what remains can be tried when all of them do.
 */
function backendsOf({ state }: Step, { service: key, endpoint }: Listener): Backend[] {
  const serving: Replica[] = []
  for (const slot of state.services.get(key)?.slots.values() ?? []) {
    const replica = replicaOf(state, slot)
    if (replica === undefined || !takesPart(replica.state)) continue
    if (endpoint.targetRole === undefined || replica.role === endpoint.targetRole)
      serving.push(replica)
  }
  serving.sort((a, b) => a.number - b.number)
  return serving.flatMap((replica) => {
    const { id, host, ports } = replica
    const port = ports[endpoint.name]
    if (port === undefined) return []
    return [{ id, host, port, ...(isDownAt(replica, endpoint.name) ? { down: true } : {}) }]
  })
}

const isSent = (backends: readonly Backend[], { sent, down }: Listener): boolean =>
  backends.length === sent.size &&
  backends.every((each) => sent.has(each.id) && down.has(each.id) === (each.down ?? false))

// What others ask

export const isClosing = (listener: Listener): boolean =>
  listener.state === 'closing' || listener.state === 'closed'

/** Its clients are where its endpoints say, and the set they are sent to holds. */
export const isRouted = (listener: Listener): boolean =>
  listener.state === 'listening' &&
  listener.sentVersion === listener.appliedVersion &&
  listener.sent.size > 0

export function listenersOf({ state }: Pick<Step, 'state'>, service: Service): Listener[] {
  return [...service.listeners].flatMap((id) => state.listeners.get(id) ?? [])
}

/** Milliseconds before the next attempt to listen. */
const retryDelayMs = (failures: number): Instant =>
  Math.min(RETRY_MAX_MS, RETRY_FIRST_MS * 2 ** (failures - 1))

const RETRY_FIRST_MS = 250
const RETRY_MAX_MS = 10_000

function notice(
  step: Step,
  level: 'info' | 'error',
  code: NoticeCode,
  listener: Listener,
  text: string,
): void {
  const service: ServiceKey = listener.service
  const name = `${service}/${listener.endpoint.name}`
  step.out.push({ type: 'notice', level, code, service, text: `${name} ${text}` })
}
