/** Making services what they should be: waits, plans, what they amount to, and their end. */
import { assert } from '../../machine.ts'
import type { ServiceKey } from '../../services/identity.ts'
import { type ObservedSlot, planService } from '../../services/planner.ts'
import { isLeaving, type ReplicaState } from '../../services/replica-life.ts'
import type { ServiceSpec } from '../../spec/deployment.ts'
import type { Dependency, Replica, Service, Slot, Step } from '../state.ts'
import type { ServiceState } from '../view.ts'
import { closeListener, convergeListeners, isClosing, isRouted, listenersOf } from './listeners.ts'
import { startReplica, stopReplica } from './replicas.ts'

// Dependencies

/** Lets a service begin: once its dependencies are there, or their time is over. */
export function beginService(step: Step, service: Service): void {
  const { state, now } = step
  convergeListeners(step, service, service.spec.rtype === 'service' ? service.spec.endpoints : [])
  service.stage = 'waiting'
  service.haltReason = ''
  service.dependencies = service.spec.depends.map((spec) => ({
    spec,
    on: `${service.deployment}/${spec.service}` as ServiceKey,
    giveUpAt: now + spec.timeoutMs,
    state: 'pending',
  }))
  if (service.dependencies.length > 0) {
    const names = service.dependencies.map(
      (each) => `${each.spec.service} (${each.spec.condition})`,
    )
    say(step, service, 'info', 'waiting', `waits for ${names.join(', ')}`)
  }
  checkDependencies(step, service)
  state.toJudge.add(service.key)
}

export function checkDependencies(step: Step, service: Service): void {
  const { state, now } = step
  if (service.stage !== 'waiting') return
  for (const dependency of service.dependencies) {
    if (dependency.state !== 'pending') continue
    if (isMet(step, dependency)) dependency.state = 'met'
    else if (dependency.giveUpAt <= now) giveUp(step, service, dependency)
  }
  // giveUp may have halted it
  if ((service.stage as Service['stage']) === 'halted') return
  const pending = service.dependencies.filter((each) => each.state === 'pending')
  if (pending.length > 0) {
    state.timers.set(`wait ${service.key}`, Math.min(...pending.map((each) => each.giveUpAt)))
    return
  }
  state.timers.cancel(`wait ${service.key}`)
  service.stage = 'running'
  if (service.wanted > 0) {
    const what = service.wanted === 1 ? 'its replica' : `${service.wanted} replicas`
    say(step, service, 'info', 'starting', `starts ${what}`)
  }
  state.toPlan.add(service.key)
  state.toJudge.add(service.key)
}

function isMet(step: Step, { on, spec }: Dependency): boolean {
  const service = step.state.services.get(on)
  if (service === undefined) return false
  switch (spec.condition) {
    case 'started':
      return service.running > 0
    case 'healthy':
      // A failed bind is a fault of the way to it, not of the service itself.
      return (
        service.state === 'healthy' &&
        listenersOf(step, service).every((each) => each.state !== 'listening' || isRouted(each))
      )
    case 'ready':
      return service.state === 'healthy' && isServed(step, service)
  }
}

/** Every endpoint listens and has a backend that holds. */
const isServed = (step: Step, service: Service): boolean =>
  listenersOf(step, service).every((each) => isClosing(each) || isRouted(each))

function giveUp(step: Step, service: Service, dependency: Dependency): void {
  const { spec } = dependency
  dependency.state = 'given-up'
  const text = `${spec.service} was not ${spec.condition} within ${spec.timeoutMs / 1000} s`
  if (spec.onTimeout === 'fail') return halt(step, service, 'dependency-timeout', text)
  if (spec.onTimeout === 'warn')
    say(step, service, 'warn', 'dependency-timeout', `${text}; starting anyway`)
}

function halt(step: Step, service: Service, code: 'dependency-timeout', reason: string): void {
  service.stage = 'halted'
  service.haltReason = reason
  step.state.timers.cancel(`wait ${service.key}`)
  step.state.toPlan.add(service.key)
  step.state.toJudge.add(service.key)
  say(step, service, 'error', code, `is not started: ${reason}`)
}

// Plans

/** Plans one service and begins what the plan asks for. O(slots of this service). */
export function planNow(step: Step, service: Service): void {
  const { state, now } = step
  state.timers.cancel(`plan ${service.key}`)
  if (service.stage === 'leaving' && !beginLeaving(step, service)) return
  const { spec } = service
  // A program that listens on a port of its own cannot have a second one beside it.
  const alone = spec.endpoints.some((each) => each.targetPort !== undefined)
  const observed = observe(step, service)
  const roles = service.stage === 'running' ? rolesOf(spec, service.wanted) : []
  const plan = planService(
    {
      roles,
      revision: service.revision,
      surgeMax: alone ? 0 : spec.update.surgeMax,
      unavailableMax: spec.update.unavailableMax,
      readyMinMs: spec.update.readyMinMs,
    },
    observed,
    now,
  )
  for (const { number, why } of plan.stop) {
    const replica = replicaIn(step, service, number)
    if (replica !== undefined) stopReplica(step, replica, reasonToStop(service, why))
  }
  for (const { number, role } of plan.start)
    startReplica(step, service, slotFor(step, service, number, role))
  if (plan.wakeAt !== undefined) state.timers.set(`plan ${service.key}`, plan.wakeAt)
  service.updating = observed.some(
    (slot) =>
      slot.state !== 'empty' && (slot.number > roles.length || slot.revision !== service.revision),
  )
  dropEmptySlots(service, roles.length)
  releaseClaims(step, service)
  forgetIfGone(step, service)
}

const reasonToStop = (service: Service, why: 'surplus' | 'outdated'): string =>
  why === 'outdated' ? 'replaced by a newer one' : STOP_REASONS[service.stage]

const STOP_REASONS: Readonly<Record<Service['stage'], string>> = {
  held: 'not wanted',
  waiting: 'not wanted',
  running: 'not wanted any more',
  halted: 'the service was stopped',
  leaving: 'removed',
}

function observe(step: Step, service: Service): ObservedSlot[] {
  const observed = [...service.slots.values()].map((slot): ObservedSlot => {
    const replica = slot.replica === '' ? undefined : step.state.replicas.get(slot.replica)
    return {
      number: slot.number,
      role: slot.role,
      revision: replica?.revision ?? service.revision,
      state: replica === undefined ? 'empty' : standingOf(replica),
      readyAt: replica?.enteredAt ?? step.now,
      startAt: slot.startAt,
      isolated: slot.isolated,
    }
  })
  return observed.sort((a, b) => a.number - b.number)
}

const standingOf = (replica: Replica): ObservedSlot['state'] => {
  const state: ReplicaState = replica.state
  if (replica.leaving !== '' || isLeaving(state)) return 'leaving'
  return state === 'ready' || state === 'unhealthy' ? state : 'coming'
}

/** Roles of the slots 1..N: the groups one after the other, in file order. */
export function rolesOf(spec: ServiceSpec, wanted: number): string[] {
  if (spec.replicaGroups.length === 0) return new Array<string>(wanted).fill('default')
  return spec.replicaGroups
    .flatMap((group) => new Array<string>(group.count).fill(group.role))
    .slice(0, wanted)
}

function slotFor({ now }: Step, service: Service, number: number, role: string): Slot {
  const present = service.slots.get(number)
  if (present !== undefined) {
    present.role = role
    if (service.failing.has(number)) {
      present.restarts += 1
      service.restarts += 1
    }
    return present
  }
  const slot: Slot = {
    number,
    role,
    replica: '',
    crashesAt: [],
    startAt: now,
    isolated: false,
    restarts: 0,
    lastEnd: '',
  }
  service.slots.set(number, slot)
  return slot
}

/** A stand-in's slot outlives its replica while the update lasts: its crashes must not be forgotten. */
function dropEmptySlots(service: Service, wanted: number): void {
  const kept = service.updating ? wanted + service.spec.update.surgeMax : wanted
  for (const slot of service.slots.values()) {
    if (slot.number <= kept || slot.replica !== '') continue
    service.failing.delete(slot.number)
    service.slots.delete(slot.number)
  }
}

export function replicaIn({ state }: Step, service: Service, number: number): Replica | undefined {
  const slot = service.slots.get(number)
  return slot === undefined || slot.replica === '' ? undefined : state.replicas.get(slot.replica)
}

// The end

/** A service leaves after those that depend on it; true once its turn has come. */
function beginLeaving(step: Step, service: Service): boolean {
  for (const key of service.dependents) if (step.state.services.has(key)) return false
  for (const listener of listenersOf(step, service)) closeListener(step, listener)
  return true
}

function forgetIfGone(step: Step, service: Service): void {
  const { state, out } = step
  if (service.stage !== 'leaving' || service.slots.size > 0 || service.listeners.size > 0) return
  releaseClaims(step, service)
  state.services.delete(service.key)
  state.toJudge.delete(service.key)
  for (const kind of ['plan', 'wait'] as const) state.timers.cancel(`${kind} ${service.key}`)
  say(step, service, 'info', 'removed', 'is gone')
  for (const spec of service.spec.depends) {
    const key = `${service.deployment}/${spec.service}` as ServiceKey
    if (state.services.get(key)?.stage === 'leaving') state.toPlan.add(key)
  }
  const deployment = state.deployments.get(service.deployment)
  assert(deployment !== undefined, `${service.key} has no deployment`)
  deployment.services.delete(service.key)
  state.toSettle.add(deployment.name)
  if (deployment.services.size > 0 || deployment.outcome !== 'removing') return
  state.deployments.delete(deployment.name)
  for (const request of deployment.removeRequests) {
    out.push({
      type: 'reply',
      request,
      result: { ok: true, text: `${deployment.name} is removed` },
    })
  }
}

/** Lets go of ports that neither the file nor a socket of the service uses any more. */
export function releaseClaims(step: Step, service: Service): void {
  const { state } = step
  const held = new Set<string>()
  if (service.stage !== 'leaving') {
    for (const endpoint of service.spec.endpoints) {
      const namespace = endpoint.protocol === 'udp' ? 'udp' : 'tcp'
      held.add(`${namespace}:${endpoint.port}`)
      if (endpoint.targetPort !== undefined) held.add(`${namespace}:${endpoint.targetPort}`)
    }
  }
  for (const each of listenersOf(step, service)) {
    if (each.state !== 'closed') held.add(`tcp:${each.endpoint.port}`)
  }
  service.claims = service.claims.filter((claim) => {
    const keep = held.has(`${claim.namespace}:${claim.port}`)
    if (!keep) state.ledger.release(claim.namespace, claim.port, service.key)
    return keep
  })
}

// What a service amounts to

/** Recomputes the state of a service from what is there; tells those who depend on it. */
export function judge(step: Step, service: Service): void {
  const { state } = step
  service.state = stateOf(service)
  const routed = isServed(step, service)
  const standing = `${service.state} ${routed} ${service.running > 0} ${problemOf(step, service)}`
  if (standing === service.standing) return
  service.standing = standing
  for (const key of service.dependents) {
    const dependent = state.services.get(key)
    if (dependent !== undefined) checkDependencies(step, dependent)
  }
  state.toSettle.add(service.deployment)
}

function stateOf(service: Service): ServiceState {
  switch (service.stage) {
    case 'leaving':
      return 'stopping'
    case 'halted':
      return 'failed'
    case 'held':
    case 'waiting':
      return 'waiting'
    case 'running':
      break
  }
  if (service.wanted === 0) return 'idle'
  if (service.current >= service.wanted) return 'healthy'
  if (service.failing.size === 0) return service.ready >= service.wanted ? 'updating' : 'starting'
  return service.ready > 0 ? 'degraded' : 'unhealthy'
}

/** What keeps a service from being ready that will not pass by itself soon; empty when nothing. */
export function problemOf(step: Pick<Step, 'state'>, service: Service): string {
  if (service.stage === 'halted') return service.haltReason
  const deaf = listenersOf(step, service).find((each) => each.state === 'retrying')
  if (deaf !== undefined) {
    return `cannot listen on ${deaf.host}:${deaf.endpoint.port}: ${deaf.reason}`
  }
  if (service.failing.size === 0) return ''
  const [number = 0] = service.failing
  const slot = service.slots.get(number)
  if (slot === undefined) return ''
  const replica = slot.replica === '' ? undefined : step.state.replicas.get(slot.replica)
  const unwell = replica?.monitor?.state.reason ?? ''
  return `${service.name}-${slot.number}: ${unwell === '' ? slot.lastEnd : `unhealthy, ${unwell}`}`
}

/** Says when a deployment is what its file asks for, and when it cannot be without help. */
export function judgeDeployment(step: Step, name: string): void {
  const { state, out } = step
  const deployment = state.deployments.get(name)
  if (deployment === undefined || deployment.outcome === 'removing') return
  const problems: string[] = []
  let ready = true
  for (const key of deployment.services) {
    const service = state.services.get(key)
    assert(service !== undefined, `${name} lists ${key}, which is not there`)
    const served = service.state === 'idle' || isServed(step, service)
    if (served && (service.state === 'healthy' || service.state === 'idle')) continue
    ready = false
    const problem = problemOf(step, service)
    // Starting and waiting pass by themselves: it is too early to say.
    if (problem === '') {
      deployment.outcome = 'converging'
      return
    }
    problems.push(`${service.name}: ${problem}`)
  }
  const outcome = ready ? 'ready' : 'failed'
  if (deployment.outcome === outcome) return
  deployment.outcome = outcome
  out.push({ type: 'settled', deployment: name, outcome, problems })
}

function say(
  { out }: Step,
  service: Service,
  level: 'info' | 'warn' | 'error',
  code: 'waiting' | 'starting' | 'dependency-timeout' | 'removed',
  text: string,
): void {
  out.push({ type: 'notice', level, code, service: service.key, text: `${service.key} ${text}` })
}
