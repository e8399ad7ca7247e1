/** The checks of single endpoints: a replica that fails one is down there and serves elsewhere. */
import { assert } from '../../machine.ts'
import {
  checkedEndpoint,
  DOWN_INTERVAL_MS,
  type EndpointCheck,
  type EndpointCheckName,
  endpointChecks,
  endpointTarget,
  isPassive,
  passiveCheck,
} from '../../services/endpoint-checks.ts'
import { type HealthCommand, type HealthEvent, HealthMonitor } from '../../services/health.ts'
import { type MappingTarget, namespaceOf } from '../../services/port-mappings.ts'
import { isChecked } from '../../services/replica-life.ts'
import type { ServiceSpec } from '../../spec/deployment.ts'
import type { Replica, Service, Step } from '../state.ts'
import { noteHealth } from './monitors.ts'
import { isCurrent, notice, serviceOf } from './replicas.ts'

export function startChecks(step: Step, replica: Replica, service: Service): void {
  for (const check of checksFor(replica, service)) startCheck(step, replica, check)
}

export function stopChecks(step: Step, replica: Replica): void {
  for (const name of [...replica.checks.keys()]) stopCheck(step, replica, name)
}

/** After another version of the file: checks it took away say nothing any more (udp W22). */
export function updateChecks(step: Step, replica: Replica, service: Service): void {
  if (!isChecked(replica.state)) return
  const wanted = new Map(checksFor(replica, service).map((check) => [check.name, check]))
  const wasSound = isSound(replica)
  for (const name of [...replica.checks.keys()]) {
    // What was suspected is looked at anew, if it still is when somebody connects.
    if (!wanted.has(name)) stopCheck(step, replica, name)
  }
  for (const check of wanted.values()) {
    if (!replica.checks.has(check.name)) startCheck(step, replica, check)
  }
  noteSoundness(step, replica, service, wasSound)
  for (const listener of service.listeners) step.state.toApply.add(listener)
  for (const { name, policy } of wanted.values()) {
    driveCheck(step, replica, name, { type: 'policy', policy })
  }
  noteHealth(step, replica, service)
}

const checksFor = (replica: Replica, { spec }: Service): EndpointCheck[] =>
  endpointChecks(spec).filter(
    (check) => endpointTarget(check, spec, replica.host, replica.ports) !== undefined,
  )

function startCheck(step: Step, replica: Replica, { name, policy }: EndpointCheck): void {
  // Its attempts go on, or what is late for the one that had its name would pass for an answer.
  replica.checks.set(name, new HealthMonitor(policy, step.now, replica.checkAttempts))
  driveCheck(step, replica, name, { type: 'tick' })
}

function stopCheck(step: Step, replica: Replica, name: EndpointCheckName): void {
  const monitor = replica.checks.get(name)
  if (monitor === undefined) return
  driveCheck(step, replica, name, { type: 'stop' })
  replica.checkAttempts = Math.max(replica.checkAttempts, monitor.state.attempt)
  replica.checks.delete(name)
}

export function driveCheck(
  step: Step,
  replica: Replica,
  name: EndpointCheckName,
  event: HealthEvent,
): void {
  const { state, now } = step
  const monitor = replica.checks.get(name)
  if (monitor === undefined) return
  const service = serviceOf(step, replica)
  const before = monitor.state.verdict
  const wasSound = isSound(replica)
  const commands: HealthCommand[] = []
  monitor.step(event, now, commands)
  const deadline = monitor.deadline()
  if (deadline === undefined) state.timers.cancel(`check ${replica.id} ${name}`)
  else state.timers.set(`check ${replica.id} ${name}`, deadline)
  noteSoundness(step, replica, service, wasSound)
  if (monitor.state.verdict !== before) {
    for (const listener of service.listeners) state.toApply.add(listener)
  }
  for (const command of commands) obeyCheck(step, replica, service, name, command, before)
  if (isPassive(name)) settlePassive(step, replica, name, monitor, before)
}

/** It is over when it passes, and in no hurry once the backend is down. */
function settlePassive(
  step: Step,
  replica: Replica,
  name: EndpointCheckName,
  { state: { verdict, reason, phase, policy } }: HealthMonitor,
  before: HealthMonitor['state']['verdict'],
): void {
  if (phase !== 'waiting' || verdict === 'unknown') return
  if (verdict === 'healthy' && reason === '') return stopCheck(step, replica, name)
  if (verdict === before || verdict === 'healthy') return
  const slower = { ...policy, intervalMs: DOWN_INTERVAL_MS }
  driveCheck(step, replica, name, { type: 'policy', policy: slower })
}

function obeyCheck(
  step: Step,
  replica: Replica,
  service: Service,
  name: EndpointCheckName,
  command: HealthCommand,
  before: HealthMonitor['state']['verdict'],
): void {
  const { id } = replica
  switch (command.type) {
    case 'probe': {
      const { attempt, timeoutMs } = command
      const check = isPassive(name)
        ? passiveCheck(service.spec, checkedEndpoint(name))
        : endpointChecks(service.spec).find((each) => each.name === name)
      const target = check && endpointTarget(check, service.spec, replica.host, replica.ports)
      assert(target !== undefined, `${id} has a check ${name} that its file has not`)
      step.out.push({ type: 'probe', replica: id, check: name, attempt, target, timeoutMs })
      return
    }
    case 'cancel':
      step.out.push({ type: 'cancel-probe', replica: id, check: name, attempt: command.attempt })
      return
    case 'verdict': {
      const where = `at ${checkedEndpoint(name)}`
      if (command.verdict === 'unhealthy') {
        notice(step, 'warn', 'unhealthy', replica, `is down ${where}: ${command.reason}`)
      } else if (before === 'unhealthy') {
        notice(step, 'info', 'healthy', replica, `is up again ${where}`)
      }
      noteHealth(step, replica, service)
    }
  }
}

/**
 * A connection or a datagram did not get through to an endpoint: look now. A TCP one that has no
 * check of its own gets one, which lasts until it passes: it counts the failure that began it.
 */
export function onBackendFailed(
  step: Step,
  replica: Replica,
  target: MappingTarget,
  reason: string,
): void {
  if (!('endpoint' in target) || !isChecked(replica.state)) return
  const { endpoint } = target
  const names = [...replica.checks.keys()].filter((name) => checkedEndpoint(name) === endpoint)
  for (const name of names) driveCheck(step, replica, name, { type: 'hurry' })
  const service = serviceOf(step, replica)
  const check = passiveCheck(service.spec, endpoint)
  if (names.length > 0 || check === undefined) return
  if (endpointTarget(check, service.spec, replica.host, replica.ports) === undefined) return
  const { name, policy } = check
  const monitor = HealthMonitor.suspecting(policy, step.now, replica.checkAttempts)
  replica.checks.set(name, monitor)
  driveCheck(step, replica, name, {
    type: 'result',
    attempt: monitor.state.attempt,
    ok: false,
    reason,
  })
  driveCheck(step, replica, name, { type: 'hurry' })
}

// What others ask

/** Passes every check of its endpoints now. */
export const isSound = ({ checks }: Replica): boolean =>
  [...checks.values()].every(({ state }) => state.verdict === 'healthy')

export const failsCheck = ({ checks }: Replica): boolean =>
  [...checks.values()].some(({ state }) => state.verdict === 'unhealthy')

/**
 * One verdict for each address: what a check of one endpoint says holds for every other one that
 * leads to the same port. A program that fails its own check is down everywhere, whatever can be
 * connected to.
 */
export function isDownAt(replica: Replica, target: MappingTarget, spec: ServiceSpec): boolean {
  if (replica.state === 'unhealthy') return true
  for (const [name, { state }] of replica.checks) {
    if (state.verdict !== 'unhealthy') continue
    if ('endpoint' in target && leadTogether(spec, replica, checkedEndpoint(name), target.endpoint))
      return true
  }
  return false
}

/** Both are at one port of the replica. */
function leadTogether(
  { endpoints }: ServiceSpec,
  { ports }: Replica,
  name: string,
  other: string,
): boolean {
  if (name === other) return true
  if (ports[name] === undefined || ports[name] !== ports[other]) return false
  const [a, b] = [name, other].map((each) => endpoints.find((endpoint) => endpoint.name === each))
  return a !== undefined && b !== undefined && namespaceOf(a) === namespaceOf(b)
}

/** `fails udp_probe at dns: no answer within 2s`; empty when it fails none. */
export function checkProblem({ checks }: Replica): string {
  for (const [name, { state }] of checks) {
    if (state.verdict !== 'unhealthy') continue
    const endpoint = checkedEndpoint(name)
    if (isPassive(name)) return `cannot be reached at ${endpoint}: ${state.reason}`
    return `fails ${name.slice(endpoint.length + 1)} at ${endpoint}: ${state.reason}`
  }
  return ''
}

function noteSoundness(step: Step, replica: Replica, service: Service, was: boolean): void {
  const { state } = step
  const change = Number(isSound(replica)) - Number(was)
  if (replica.state !== 'ready' || change === 0) return
  service.sound += change
  if (isCurrent(service, replica)) service.current += change
  if (service.updating) state.toPlan.add(service.key)
  state.toJudge.add(service.key)
}
