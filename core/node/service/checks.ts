/** The checks of single endpoints: a replica that fails one is down there and serves elsewhere. */
import { assert } from '../../machine.ts'
import {
  checkedEndpoint,
  type EndpointCheck,
  type EndpointCheckName,
  endpointChecks,
  endpointTarget,
} from '../../services/endpoint-checks.ts'
import { type HealthCommand, type HealthEvent, HealthMonitor } from '../../services/health.ts'
import { isChecked } from '../../services/replica-life.ts'
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
      const check = endpointChecks(service.spec).find((each) => each.name === name)
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

/** A connection or a datagram did not get through to an endpoint: look now. */
export function hurryChecks(step: Step, replica: Replica, endpoint: string): void {
  for (const name of [...replica.checks.keys()]) {
    if (checkedEndpoint(name) === endpoint) driveCheck(step, replica, name, { type: 'hurry' })
  }
}

// What others ask

/** Passes every check of its endpoints now. */
export const isSound = ({ checks }: Replica): boolean =>
  [...checks.values()].every(({ state }) => state.verdict === 'healthy')

export const failsCheck = ({ checks }: Replica): boolean =>
  [...checks.values()].some(({ state }) => state.verdict === 'unhealthy')

export const isDownAt = (replica: Replica, endpoint: string): boolean =>
  replica.state === 'unhealthy' ||
  [...replica.checks].some(
    ([name, { state }]) => state.verdict === 'unhealthy' && checkedEndpoint(name) === endpoint,
  )

/** `fails udp_probe at dns: no answer within 2s`; empty when it fails none. */
export function checkProblem({ checks }: Replica): string {
  for (const [name, { state }] of checks) {
    if (state.verdict !== 'unhealthy') continue
    const endpoint = checkedEndpoint(name)
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
