/** The lives of replicas: from a slot that wants one to a process group that is gone. */
import { assert, type Instant } from '../../machine.ts'
import { isCrashLoop, recentCrashes, restartDelayMs } from '../../services/backoff.ts'
import type { HealthCommand } from '../../services/health.ts'
import { type HealthEvent, HealthMonitor } from '../../services/health.ts'
import {
  parseServiceKey,
  type ReplicaId,
  replicaId,
  replicaLabel,
} from '../../services/identity.ts'
import { healthPolicy, probeTarget } from '../../services/probe-target.ts'
import { buildProgram } from '../../services/program.ts'
import {
  isChecked,
  isRunning,
  type ReplicaAction,
  type ReplicaState,
  type ReplicaStep,
  replicaTransition,
  STATE_TIMEOUT_MS,
} from '../../services/replica-life.ts'
import type { NodeCommand, NoticeCode } from '../commands.ts'
import type { RuntimeEvent } from '../events.ts'
import { nextAttempt, type Replica, type Service, type Slot, type Step } from '../state.ts'

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
  const ports = leasePorts(step, service, id)
  if (ports === undefined) {
    const { from, to } = state.config.replicaPorts
    return recordFailure(step, service, slot, `no free port left in ${from}-${to}`, 'restart')
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
    host: '',
    pid: 0,
    monitor: undefined,
    leaving: '',
    failure: '',
    exited: false,
  }
  state.replicas.set(id, replica)
  slot.replica = id
  armStateTimer(step, replica, service)
  act(step, replica, service, 'create')
}

function leasePorts(
  { state, now }: Step,
  service: Service,
  id: ReplicaId,
): Record<string, number> | undefined {
  const ports: Record<string, number> = {}
  for (const endpoint of service.spec.endpoints) {
    const isTaken = (each: number) =>
      state.ledger.ownerOf('tcp', each) !== undefined ||
      state.ledger.ownerOf('udp', each) !== undefined
    const port = endpoint.targetPort ?? state.ports.lease(id, isTaken, now)
    if (port === undefined) {
      releasePorts(state.ports, id, ports, now)
      return undefined
    }
    ports[endpoint.name] = port
  }
  return ports
}

function releasePorts(
  leases: Step['state']['ports'],
  id: ReplicaId,
  ports: Readonly<Record<string, number>>,
  now: Instant,
): void {
  for (const port of Object.values(ports)) {
    if (leases.leased.get(port) === id) leases.release(port, now)
  }
}

// The life

/** Feeds one step to a replica's chart and does what it asks for; steps that mean nothing pass. */
export function replicaStep(step: Step, replica: Replica, event: ReplicaStep): void {
  const service = serviceOf(step, replica)
  const next = replicaTransition(replica.state, event)
  if (next === undefined) return
  if (event === 'timeout' && replica.leaving === '' && replica.failure === '') {
    failReplica(step, replica, `no answer while ${replica.state}`, 'restart')
  }
  enter(step, replica, service, next.state)
  for (const action of next.actions) act(step, replica, service, action)
}

/** Asks a replica to leave, for a reason people will read. */
export function stopReplica(step: Step, replica: Replica, why: string): void {
  if (replica.leaving !== '') return
  replica.leaving = why
  replicaStep(step, replica, 'stop')
}

export function abortReplica(step: Step, replica: Replica): void {
  if (replica.leaving === '') replica.leaving = 'abort'
  replicaStep(step, replica, 'abort')
}

function enter(step: Step, replica: Replica, service: Service, next: ReplicaState): void {
  const { state, now } = step
  const previous = replica.state
  service.running += Number(isRunning(next)) - Number(isRunning(previous))
  const ready = Number(next === 'ready') - Number(previous === 'ready')
  service.ready += ready
  if (isCurrent(service, replica)) service.current += ready
  replica.state = next
  replica.enteredAt = now
  if (previous === 'ready' || next === 'ready') {
    for (const listener of service.listeners) state.toApply.add(listener)
    if (service.updating) state.toPlan.add(service.key)
  }
  if (!isChecked(next)) stopMonitor(step, replica)
  armStateTimer(step, replica, service)
  state.toJudge.add(service.key)
}

function armStateTimer({ state, now }: Step, replica: Replica, service: Service): void {
  const { spec } = service
  const timeout = STATE_TIMEOUT_MS[replica.state]
  if (timeout === 'none') return state.timers.cancel(`replica ${replica.id}`)
  const ms =
    timeout === 'grace' ? spec.stopGraceMs : timeout === 'drain' ? drainTimeoutMs(service) : timeout
  state.timers.set(`replica ${replica.id}`, now + Math.max(1, ms))
}

const drainTimeoutMs = ({ spec }: Service): number =>
  spec.endpoints.length === 0
    ? DRAIN_TIMEOUT_MS
    : Math.max(...spec.endpoints.map((endpoint) => endpoint.stream.drainTimeoutMs))

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
      return startMonitor(step, replica, service)
    case 'drain':
      return finishDrain(step, replica) // its listeners are told by `enter`
    case 'cut':
      return cut(step, replica, service)
    case 'stop':
      notice(step, 'info', 'stopping', replica, `stopping (${replica.leaving || replica.failure})`)
      out.push({ type: 'signal-replica', replica: id, signal: service.spec.stopSignal })
      return
    case 'kill':
      if (replica.leaving !== 'abort') {
        notice(step, 'warn', 'killed', replica, 'did not stop in time and is killed')
      }
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
  for (const id of service.listeners) {
    if (!step.state.listeners.get(id)?.holding.has(replica.id)) continue
    notice(step, 'warn', 'drain-cut', replica, 'still had connections and they are cut')
    step.out.push({ type: 'cut-backend', listener: id, backend: replica.id })
  }
}

function forget(step: Step, replica: Replica, service: Service): void {
  const { state, now } = step
  const slot = service.slots.get(replica.number)
  assert(slot?.replica === replica.id, `${replica.id} is not in its slot`)
  releasePorts(state.ports, replica.id, replica.ports, now)
  slot.replica = ''
  state.replicas.delete(replica.id)
  state.timers.cancel(`replica ${replica.id}`)
  state.toPlan.add(service.key)
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
      failReplica(step, replica, event.reason, 'restart')
      return replicaStep(step, replica, 'create-failed')
    case 'replica-started':
      replica.pid = event.pid
      replica.startedAt = step.now
      return replicaStep(step, replica, 'started')
    case 'replica-start-failed':
      failReplica(step, replica, event.reason, policyOf(step, replica))
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
    failReplica(
      step,
      replica,
      `${how}${said}`,
      event.code === 0 ? 'restart' : policyOf(step, replica),
    )
  } else {
    notice(step, 'info', 'exited', replica, how)
  }
  replicaStep(step, replica, 'exited')
}

const describeExit = (code: number | null, signal: string | null): string =>
  signal === null ? `exited with code ${code ?? 'unknown'}` : `ended by ${signal}`

// Failures

type CrashPolicy = 'restart' | 'shutdown' | 'isolate'

const policyOf = (step: Step, replica: Replica): CrashPolicy =>
  serviceOf(step, replica).spec.errors.onPanic

function failReplica(step: Step, replica: Replica, reason: string, policy: CrashPolicy): void {
  if (replica.leaving !== '' || replica.failure !== '') return
  const service = serviceOf(step, replica)
  const slot = service.slots.get(replica.number)
  assert(slot !== undefined, `${replica.id} has no slot`)
  replica.failure = reason
  recordFailure(step, service, slot, reason, policy)
}

function recordFailure(
  step: Step,
  service: Service,
  slot: Slot,
  reason: string,
  policy: CrashPolicy,
): void {
  const { state, now } = step
  slot.crashesAt = recentCrashes([...slot.crashesAt, now], now)
  const delayMs = restartDelayMs(slot.crashesAt.length)
  slot.startAt = now + delayMs
  slot.lastEnd = reason
  service.failing.add(slot.number)
  state.toPlan.add(service.key)
  state.toJudge.add(service.key)
  const label = `${service.name}-${slot.number}`
  const looping = isCrashLoop(slot.crashesAt.length)
  if (policy === 'isolate') slot.isolated = true
  if (policy === 'shutdown' && service.stage === 'running') {
    service.stage = 'halted'
    service.haltReason = `${label} ${reason} (errors.on_panic is shutdown)`
  }
  const then =
    policy === 'isolate'
      ? 'it stays out until `weir restart`'
      : policy === 'shutdown'
        ? 'the service is stopped'
        : delayMs === 0
          ? 'starting it again'
          : `starting it again in ${delayMs / 1000} s`
  step.out.push({
    type: 'notice',
    level: 'error',
    code: looping ? 'crash-loop' : 'exited',
    service: service.key,
    text: `${label} ${reason}; ${then}${looping ? ' (crash loop)' : ''}`,
  })
}

// Health

function startMonitor(step: Step, replica: Replica, service: Service): void {
  if (probeTarget(service.spec, replica.host, replica.ports) === undefined) {
    return onVerdict(step, replica, service, 'healthy', '')
  }
  replica.monitor = new HealthMonitor(healthPolicy(service.spec.health), step.now)
  driveMonitor(step, replica, { type: 'tick' })
}

export function driveMonitor(step: Step, replica: Replica, event: HealthEvent): void {
  const { state, now } = step
  const { monitor } = replica
  if (monitor === undefined) return
  const service = serviceOf(step, replica)
  const commands: HealthCommand[] = []
  monitor.step(event, now, commands)
  for (const command of commands) obeyMonitor(step, replica, service, command, commands)
  const deadline = monitor.deadline()
  if (deadline === undefined || replica.monitor !== monitor)
    state.timers.cancel(`health ${replica.id}`)
  else state.timers.set(`health ${replica.id}`, deadline)
}

function obeyMonitor(
  step: Step,
  replica: Replica,
  service: Service,
  command: HealthCommand,
  commands: HealthCommand[],
): void {
  switch (command.type) {
    case 'probe': {
      const { attempt, timeoutMs } = command
      const target = probeTarget(service.spec, replica.host, replica.ports)
      if (target === undefined) {
        // The file took the check away: what runs is healthy from now on.
        return replica.monitor?.step(
          { type: 'result', attempt, ok: true, reason: '' },
          step.now,
          commands,
        )
      }
      step.out.push({ type: 'probe', replica: replica.id, attempt, target, timeoutMs })
      return
    }
    case 'cancel':
      step.out.push({ type: 'cancel-probe', replica: replica.id, attempt: command.attempt })
      return
    case 'verdict':
      return onVerdict(step, replica, service, command.verdict, command.reason)
  }
}

function onVerdict(
  step: Step,
  replica: Replica,
  service: Service,
  verdict: 'healthy' | 'unhealthy',
  reason: string,
): void {
  if (verdict === 'unhealthy') service.failing.add(replica.number)
  else service.failing.delete(replica.number)
  step.state.toJudge.add(service.key)
  if (verdict === 'healthy') {
    notice(step, 'info', 'healthy', replica, 'is healthy')
    return replicaStep(step, replica, 'passed')
  }
  notice(step, 'warn', 'unhealthy', replica, `is unhealthy: ${reason}`)
  replicaStep(step, replica, 'failed')
}

function stopMonitor(step: Step, replica: Replica): void {
  if (replica.monitor === undefined) return
  driveMonitor(step, replica, { type: 'stop' })
  replica.monitor = undefined
}

// Leaf helpers

/** It is what the file asks for: not an older revision, not surplus. */
export const isCurrent = (service: Service, replica: Replica): boolean =>
  replica.revision === service.revision && replica.number <= service.wanted

export function serviceOf({ state }: Step, replica: Replica): Service {
  const service = state.services.get(replica.service)
  assert(service !== undefined, `${replica.id} has no service`)
  return service
}

function notice(
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
