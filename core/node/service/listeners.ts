/** Listeners: what the endpoints of a service are reached through, and which replicas take part. */

import { canonicalJson } from '../../journal/canonical-json.ts'
import type { Instant } from '../../machine.ts'
import { listenerId, type ReplicaId, type ServiceKey } from '../../services/identity.ts'
import type { EndpointSpec } from '../../spec/deployment.ts'
import type { Backend, NoticeCode } from '../commands.ts'
import type { ListenerEvent } from '../events.ts'
import {
  type Listener,
  nextAttempt,
  type Replica,
  replicaOf,
  type Service,
  type Step,
} from '../state.ts'
import { driveMonitor } from './monitors.ts'
import { finishDrain } from './replicas.ts'

/** Makes the listeners of a service those its endpoints ask for, touching none that did not change. */
export function convergeListeners(step: Step, service: Service): void {
  const { rtype, endpoints } = service.spec
  const forwarded = rtype === 'service' ? endpoints.filter(isForwarded) : []
  const wanted = new Map(forwarded.map((each) => [each.name, each]))
  for (const listener of listenersOf(step, service)) {
    if (isClosing(listener)) continue
    const endpoint = wanted.get(listener.endpoint.name)
    if (endpoint === undefined || bindingOf(endpoint) !== bindingOf(listener.endpoint)) {
      closeListener(step, listener)
      continue
    }
    listener.endpoint = endpoint // its role filter may have changed
    step.state.toApply.add(listener.id)
    wanted.delete(endpoint.name)
  }
  for (const endpoint of wanted.values()) openListener(step, service, endpoint)
}

/** udp endpoints are claimed and probed, not forwarded. */
const isForwarded = (endpoint: EndpointSpec): boolean => endpoint.protocol !== 'udp'

/** What a socket must be opened anew for. */
const bindingOf = ({ name, port, expose, stream }: EndpointSpec): string =>
  canonicalJson({ name, port, expose, stream })

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
    holding: new Map(),
  }
  state.listeners.set(listener.id, listener)
  service.listeners.add(listener.id)
  state.byPort.set(endpoint.port, [...(state.byPort.get(endpoint.port) ?? []), listener.id])
  tryListen(step, listener)
}

/** Public binds all interfaces; internal binds loopback while there is no overlay network. */
const listenHost = (endpoint: EndpointSpec): string =>
  endpoint.expose === 'public' ? '0.0.0.0' : '127.0.0.1'

/** Listens, unless an older listener of ours has not let go of the port yet. */
function tryListen(step: Step, listener: Listener): void {
  const { state, out } = step
  const first = state.byPort.get(listener.endpoint.port)?.[0]
  if (first !== listener.id) {
    listener.state = 'blocked'
    return
  }
  listener.state = 'opening'
  listener.attempt = nextAttempt(state)
  const { id, attempt, host, endpoint } = listener
  const { port, stream } = endpoint
  out.push({ type: 'open-listener', listener: id, attempt, host, port, stream })
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
      if (replica !== undefined) driveMonitor(step, replica, { type: 'hurry' })
      return
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
  const { port } = listener.endpoint
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
  const backends = isOpen ? readyBackends(step, listener) : []
  if (sameMembers(backends, listener.sent)) return
  listener.sentVersion += 1
  const version = listener.sentVersion
  const before = listener.sent
  listener.sent = new Set(backends.map((each) => each.id))
  for (const id of before) if (!listener.sent.has(id)) listener.holding.set(id, version)
  for (const id of listener.sent) listener.holding.set(id, 0)
  step.out.push({ type: 'apply-backends', listener: listener.id, version, backends })
}

function readyBackends({ state }: Step, { service: key, endpoint }: Listener): Backend[] {
  const ready: Replica[] = []
  for (const slot of state.services.get(key)?.slots.values() ?? []) {
    const replica = replicaOf(state, slot)
    if (replica?.state !== 'ready') continue
    if (endpoint.targetRole === undefined || replica.role === endpoint.targetRole)
      ready.push(replica)
  }
  ready.sort((a, b) => a.number - b.number)
  return ready.flatMap(({ id, host, ports }) => {
    const port = ports[endpoint.name]
    return port === undefined ? [] : [{ id, host, port }]
  })
}

const sameMembers = (backends: readonly Backend[], sent: ReadonlySet<ReplicaId>): boolean =>
  backends.length === sent.size && backends.every((each) => sent.has(each.id))

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
