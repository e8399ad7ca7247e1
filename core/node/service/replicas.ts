/** The lives of replicas: from a slot that wants one to a process group that is gone. */
import { assert } from '../../machine.ts'
import { parseServiceKey, replicaId, replicaLabel } from '../../services/identity.ts'
import { ownPortsOf } from '../../services/port-mappings.ts'
import { buildProgram } from '../../services/program.ts'
import {
  isChecked,
  isRunning,
  type ReplicaAction,
  type ReplicaState,
  type ReplicaStep,
  replicaTransition,
  STATE_TIMEOUT_MS,
  takesPart,
} from '../../services/replica-life.ts'
import type { EndpointSpec, ServiceSpec } from '../../spec/deployment.ts'
import type { NodeCommand, NoticeCode } from '../commands.ts'
import type { RuntimeEvent } from '../events.ts'
import { nextAttempt, type Replica, type Service, type Slot, type Step } from '../state.ts'
import { isSound } from './checks.ts'
import { exchangePorts, failReplica, recordFailure } from './failures.ts'
import { startMonitors, stopMonitors } from './monitors.ts'
import { dropIfUnused } from './plans.ts'
import { leasePorts, releasePorts } from './ports.ts'
import { noteAwake } from './sleep.ts'

// The beginning

/** Puts a new replica into an empty slot. */
export function startReplica(step: Step, service: Service, slot: Slot): void {
  const { state, now } = step
  assert(slot.replica === '', `slot ${service.key}/${slot.number} is taken`)
  state.incarnations += 1
  const id = replicaId({
    ...parseServiceKey(service.key),
    number: slot.number,
    incarnation: state.incarnations,
  })
  const ports = leasePorts(step, service.spec, id)
  if (ports === undefined) {
    const { from, to } = state.config.replicaPorts
    const reason = `has no free port left in ${from}-${to}`
    return recordFailure(step, service, slot, { reason, code: 'start-failed', policy: 'restart' })
  }
  const replica: Replica = {
    id,
    service: service.key,
    number: slot.number,
    role: slot.role,
    revision: service.revision,
    state: 'creating',
    enteredAt: now,
    startedAt: now,
    attempt: 0,
    ports,
    ownPorts: service.spec.runtime === 'process' ? ownPortsOf(service.spec) : [],
    host: '',
    pid: 0,
    monitor: undefined,
    checks: new Map(),
    checkAttempts: 0,
    leaving: '',
    failure: '',
    exited: false,
  }
  state.replicas.set(id, replica)
  slot.replica = id
  armStateTimer(step, replica, service)
  act(step, replica, service, 'create')
}

// The life

/** Feeds one step to a replica's chart and does what it asks for; steps that mean nothing pass. */
export function replicaStep(step: Step, replica: Replica, event: ReplicaStep): void {
  const service = serviceOf(step, replica)
  const next = replicaTransition(replica.state, event)
  if (next === undefined) return
  if (event === 'timeout' && replica.leaving === '' && replica.failure === '') {
    const reason = `gave no answer while ${replica.state}`
    failReplica(step, replica, { reason, code: 'start-failed', policy: 'restart' })
  }
  const previous = replica.state
  enter(step, replica, service, next.state)
  // Said once, however often a kill has to be repeated.
  if (event === 'timeout' && previous === 'stopping') {
    notice(step, 'warn', 'killed', replica, 'did not stop in time and is killed')
  }
  for (const action of next.actions) act(step, replica, service, action)
}

/** Asks a replica to leave, for a reason people will read. */
export function stopReplica(step: Step, replica: Replica, why: string): void {
  if (replica.leaving !== '') return
  replica.leaving = why
  replicaStep(step, replica, 'stop')
}

export function abortReplica(step: Step, replica: Replica): void {
  replica.leaving = 'aborted'
  replicaStep(step, replica, 'abort')
}

function enter(step: Step, replica: Replica, service: Service, next: ReplicaState): void {
  const { state, now } = step
  const previous = replica.state
  service.running += Number(isRunning(next)) - Number(isRunning(previous))
  const ready = Number(next === 'ready') - Number(previous === 'ready')
  service.ready += ready
  if (isSound(replica)) {
    service.sound += ready
    if (isCurrent(service, replica)) service.current += ready
  }
  if (replica.revision !== service.revision) service.outdated += ready
  replica.state = next
  replica.enteredAt = now
  if (takesPart(previous) || takesPart(next)) {
    for (const listener of service.listeners) state.toApply.add(listener)
    if (service.isWaking && takesPart(next)) noteAwake(step, service)
    if (service.updating) state.toPlan.add(service.key)
  }
  if (!isChecked(next)) stopMonitors(step, replica)
  armStateTimer(step, replica, service)
  state.toJudge.add(service.key)
}

function armStateTimer({ state, now }: Step, replica: Replica, service: Service): void {
  const { spec } = service
  const timeout = STATE_TIMEOUT_MS[replica.state]
  if (timeout === 'none') return state.timers.cancel(`replica ${replica.id}`)
  const ms =
    timeout === 'grace'
      ? spec.stopGraceMs
      : timeout === 'drain'
        ? patienceMs({ state, now }, drainTimeoutMs(service))
        : timeout
  state.timers.set(`replica ${replica.id}`, now + Math.max(1, ms))
}

/** How long old work may go on: a shutdown has an end of its own. */
export const patienceMs = ({ state, now }: Pick<Step, 'state' | 'now'>, ms: number): number =>
  state.phase === 'draining' ? Math.max(0, Math.min(ms, state.drainEndsAt - now)) : ms

const drainTimeoutMs = ({ spec }: Service): number =>
  spec.endpoints.length === 0 ? DRAIN_TIMEOUT_MS : Math.max(...spec.endpoints.map(drainTimeoutOf))

/** How long what goes through an endpoint may go on. */
export const drainTimeoutOf = ({ http, stream }: EndpointSpec): number =>
  (http ?? stream).drainTimeoutMs

function act(step: Step, replica: Replica, service: Service, action: ReplicaAction): void {
  const { out } = step
  const { id } = replica
  switch (action) {
    case 'create': {
      const program = buildProgram({
        replica: { ...parseServiceKey(service.key), number: replica.number, incarnation: 0 },
        role: replica.role,
        spec: service.spec,
        directory: service.directory,
        ports: replica.ports,
      })
      out.push({ type: 'create-replica', replica: id, attempt: ask(step, replica), program })
      return
    }
    case 'start':
      out.push({ type: 'start-replica', replica: id, attempt: ask(step, replica) })
      return
    case 'verify':
      out.push({ type: 'verify-replica', replica: id, attempt: ask(step, replica) })
      return
    case 'resolve':
      out.push({ type: 'resolve-address', replica: id, attempt: ask(step, replica) })
      return
    case 'check':
      return startMonitors(step, replica, service)
    case 'drain':
      return finishDrain(step, replica) // its listeners are told by `enter`
    case 'cut':
      return cut(step, replica, service)
    case 'stop':
      notice(step, 'info', 'stopping', replica, `stopping (${replica.leaving || replica.failure})`)
      out.push({ type: 'signal-replica', replica: id, signal: service.spec.stopSignal })
      return
    case 'kill':
      out.push({ type: 'signal-replica', replica: id, signal: 'SIGKILL' })
      return
    case 'remove':
      out.push({ type: 'remove-replica', replica: id, attempt: ask(step, replica) })
      return
    case 'forget':
      return forget(step, replica, service)
  }
}

function ask(step: Step, replica: Replica): number {
  replica.attempt = nextAttempt(step.state)
  return replica.attempt
}

/** Goes on once no listener can still have a connection to it. */
export function finishDrain(step: Step, replica: Replica): void {
  if (replica.state !== 'draining') return
  const { listeners } = serviceOf(step, replica)
  for (const id of listeners) {
    if (step.state.listeners.get(id)?.holding.has(replica.id)) return
  }
  replicaStep(step, replica, 'drained')
}

function cut(step: Step, replica: Replica, service: Service): void {
  const held = [...service.listeners].filter((id) =>
    step.state.listeners.get(id)?.holding.has(replica.id),
  )
  if (held.length === 0) return
  notice(step, 'warn', 'drain-cut', replica, 'still had connections and they are cut')
  for (const listener of held) {
    step.out.push({ type: 'cut-backend', listener, backend: replica.id })
  }
}

function forget(step: Step, replica: Replica, service: Service): void {
  const { state } = step
  const slot = service.slots.get(replica.number)
  assert(slot?.replica === replica.id, `${replica.id} is not in its slot`)
  releasePorts(step, replica.id, replica.ports)
  slot.replica = ''
  state.replicas.delete(replica.id)
  state.timers.cancel(`replica ${replica.id}`)
  // Surplus that is gone changes no plan, so that ending thousands does not plan thousands of times.
  const isSurplus = dropIfUnused(service, slot) && !service.updating
  if (!isSurplus || service.slots.size === 0) state.toPlan.add(service.key)
}

// Answers

/** Facts about a replica this node does not know (any more) change nothing. */
export function onRuntimeEvent(
  step: Step,
  event: Exclude<RuntimeEvent, { type: 'leftovers-reaped' }>,
): void {
  const replica = step.state.replicas.get(event.replica)
  if (replica === undefined) {
    // A late success still owns a process: it is given back, not just ignored.
    if (event.type === 'replica-started') {
      step.out.push({ type: 'remove-replica', replica: event.replica, attempt: 0 })
    }
    return
  }
  if (event.type === 'replica-exited') return onExited(step, replica, event)
  if (event.attempt !== replica.attempt) return
  switch (event.type) {
    case 'replica-created':
      return replicaStep(step, replica, 'created')
    case 'replica-create-failed':
      if (event.portsTaken.some((port) => step.state.ports.leased.get(port) === replica.id)) {
        exchangePorts(step, replica, event.portsTaken)
      } else {
        const { reason } = event
        failReplica(step, replica, { reason, code: 'start-failed', policy: 'restart' })
      }
      return replicaStep(step, replica, 'create-failed')
    case 'replica-started':
      replica.pid = event.pid
      replica.startedAt = step.now
      return replicaStep(step, replica, 'started')
    case 'replica-start-failed':
      failReplica(step, replica, {
        reason: `did not start: ${event.reason}`,
        code: 'start-failed',
        policy: policyOf(step, replica),
      })
      return replicaStep(step, replica, 'start-failed')
    case 'replica-verified':
      // A dead one is about to be reported as exited, with its code and its last words.
      if (event.alive) replicaStep(step, replica, 'alive')
      return
    case 'address-resolved':
      replica.host = event.host
      return replicaStep(step, replica, 'addressed')
    case 'replica-removed':
      return replicaStep(step, replica, 'removed')
  }
}

function onExited(
  step: Step,
  replica: Replica,
  event: Extract<RuntimeEvent, { type: 'replica-exited' }>,
): void {
  if (replica.exited) return
  replica.exited = true
  const how = describeExit(event.code, event.signal)
  const last = event.logTail.at(-1)
  if (replica.leaving === '' && replica.failure === '') {
    const said = last === undefined ? '' : `; its last line: ${last}`
    const policy = event.code === 0 ? 'restart' : policyOf(step, replica)
    failReplica(step, replica, { reason: `${how}${said}`, code: 'exited', policy })
  } else {
    notice(step, 'info', 'exited', replica, how)
  }
  replicaStep(step, replica, 'exited')
}

const describeExit = (code: number | null, signal: string | null): string =>
  signal === null ? `exited with code ${code ?? 'unknown'}` : `ended by ${signal}`

// Leaf helpers

const policyOf = (step: Step, replica: Replica) => serviceOf(step, replica).spec.errors.onPanic

/** It is what the file asks for: not an older revision, not surplus, in the role of its slot. */
export const isCurrent = ({ revision, wanted, spec }: Service, replica: Replica): boolean =>
  replica.revision === revision &&
  replica.number <= wanted &&
  replica.role === roleOf(spec, replica.number)

/** Roles of the slots 1..wanted. */
export const rolesOf = (spec: ServiceSpec, wanted: number): string[] =>
  Array.from({ length: wanted }, (_, index) => roleOf(spec, index + 1))

/** The role of slot `number`: the groups one after the other, in file order. */
function roleOf({ replicaGroups }: ServiceSpec, number: number): string {
  let last = 0
  for (const group of replicaGroups) {
    last += group.count
    if (number <= last) return group.role
  }
  return 'default'
}

export function serviceOf({ state }: Step, replica: Replica): Service {
  const service = state.services.get(replica.service)
  assert(service !== undefined, `${replica.id} has no service`)
  return service
}

export function notice(
  step: Step,
  level: Extract<NodeCommand, { type: 'notice' }>['level'],
  code: NoticeCode,
  replica: Replica,
  text: string,
): void {
  step.out.push({
    type: 'notice',
    level,
    code,
    service: replica.service,
    replica: replica.id,
    text: `${replicaLabel(replica.id)} ${text}`,
  })
}

/** For a replica without endpoints: nothing drains, the limit never shows. */
const DRAIN_TIMEOUT_MS = 30_000
