/** Making a service what it should be: plans, its slots, and its end. */
import { assert } from '../../machine.ts'
import { serviceKey } from '../../services/identity.ts'
import { type ObservedSlot, planService, type StopReason } from '../../services/planner.ts'
import { ownPortsOf } from '../../services/port-mappings.ts'
import { isLeaving } from '../../services/replica-life.ts'
import type { ServiceSpec } from '../../spec/deployment.ts'
import { type Replica, replicaOf, type Service, type Slot, type Step } from '../state.ts'
import { isSound } from './checks.ts'
import { claimPorts, releaseClaims } from './claims.ts'
import { closeListeners } from './listeners.ts'
import { rolesOf, startReplica, stopReplica } from './replicas.ts'
import { say } from './standing.ts'

/** Plans one service and begins what the plan asks for. O(slots of this service). */
export function planNow(step: Step, service: Service): void {
  const { state, now } = step
  state.timers.cancel(`plan ${service.key}`)
  if (service.stage === 'leaving' && !beginLeaving(step, service)) return
  const { spec } = service
  const observed = observe(step, service)
  const roles = service.stage === 'running' ? rolesOf(spec, service.wanted) : []
  const plan = planService(
    {
      roles,
      revision: service.revision,
      surgeMax: listensItself(spec) ? 0 : spec.update.surgeMax,
      unavailableMax: spec.update.unavailableMax,
      readyMinMs: spec.update.readyMinMs,
    },
    observed,
    now,
  )
  for (const { number, why } of plan.stop.slice(0, STEP_MAX)) {
    const replica = replicaIn(step, service, number)
    if (replica !== undefined) stopReplica(step, replica, reasonToStop(service, why))
  }
  for (const { number, role } of mayStart(service) ? plan.start.slice(0, STEP_MAX) : []) {
    startReplica(step, service, slotFor(step, service, number, role))
  }
  const isMuch = plan.stop.length > STEP_MAX || plan.start.length > STEP_MAX
  const wakeAt = isMuch ? now + 1 : plan.wakeAt
  if (wakeAt !== undefined) state.timers.set(`plan ${service.key}`, wakeAt)
  noteUpdate(step, service, observed, roles)
  dropEmptySlots(service)
  releaseClaims(step, service)
  forgetIfGone(step, service)
}

/** A program is not started while somebody else has the port it chooses; it is planned again then. */
const mayStart = ({ spec, conflicts }: Service): boolean =>
  !ownPortsOf(spec).some((own) =>
    conflicts.some(({ namespace, port }) => namespace === own.namespace && port === own.port),
  )

const reasonToStop = (service: Service, why: StopReason): string =>
  why === 'outdated' ? 'replaced by a newer one' : STOP_REASONS[service.stage]

const STOP_REASONS: Readonly<Record<Service['stage'], string>> = {
  held: 'not wanted',
  waiting: 'not wanted',
  running: 'not wanted any more',
  halted: 'the service was stopped',
  leaving: 'removed',
}

/** Remembers whether an update is under way: then the plan is made again whenever readiness changes. */
function noteUpdate(
  step: Step,
  service: Service,
  observed: readonly ObservedSlot[],
  roles: readonly string[],
): void {
  const was = service.updating
  service.updating = observed.some(
    ({ number, role, revision, state, standsIn }) =>
      state !== 'empty' &&
      (standsIn || revision !== service.revision || (roles[number - 1] ?? role) !== role),
  )
  if (!was || service.updating) return
  // What its old replicas depended on, and its new ones do not, may leave now.
  for (const key of step.state.deployments.get(service.deployment)?.services ?? []) {
    if (step.state.services.get(key)?.stage === 'leaving') step.state.toPlan.add(key)
  }
}

// Slots

function observe(step: Step, service: Service): ObservedSlot[] {
  const observed = [...service.slots.values()].map((slot): ObservedSlot => {
    const replica = replicaOf(step.state, slot)
    return {
      number: slot.number,
      role: slot.role,
      revision: replica?.revision ?? service.revision,
      state: replica === undefined ? 'empty' : standingOf(replica, service),
      readyAt: replica?.enteredAt ?? step.now,
      startAt: slot.startAt,
      isolated: slot.isolated,
      standsIn: slot.standsIn && slot.number > service.wanted,
    }
  })
  return observed.sort((a, b) => a.number - b.number)
}

function standingOf(replica: Replica, service: Service): ObservedSlot['state'] {
  const { state, leaving, revision } = replica
  if (leaving !== '' || isLeaving(state)) return 'leaving'
  // A new one that is down at an endpoint does not stand for an old one, which may serve there.
  if (state === 'ready' && revision === service.revision && !isSound(replica)) return 'coming'
  return state === 'ready' || state === 'unhealthy' ? state : 'coming'
}

/** A program that listens on a port of its own cannot have a second one beside it. */
export const listensItself = (spec: ServiceSpec): boolean => ownPortsOf(spec).length > 0

function slotFor({ now }: Step, service: Service, number: number, role: string): Slot {
  const present = service.slots.get(number)
  if (present !== undefined) {
    present.role = role
    present.standsIn = number > service.wanted
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
    standsIn: number > service.wanted,
    restarts: 0,
    lastEnd: '',
  }
  service.slots.set(number, slot)
  return slot
}

function dropEmptySlots(service: Service): void {
  for (const slot of service.slots.values()) dropIfUnused(service, slot)
}

/**
 * Forgets an empty slot above what is wanted. A stand-in's slot outlives its replica while the
 * update lasts: its crashes must not be forgotten.
 */
export function dropIfUnused(service: Service, slot: Slot): boolean {
  const wanted = service.stage === 'running' ? service.wanted : 0
  const kept = service.updating && slot.standsIn ? wanted + service.spec.update.surgeMax : wanted
  if (slot.replica !== '' || slot.number <= kept) return false
  service.failing.delete(slot.number)
  service.slots.delete(slot.number)
  return true
}

export function replicaIn({ state }: Step, service: Service, number: number): Replica | undefined {
  const slot = service.slots.get(number)
  return slot === undefined ? undefined : replicaOf(state, slot)
}

// The end

/** A service leaves after those that use it; true once its turn has come. */
function beginLeaving(step: Step, service: Service): boolean {
  for (const key of service.dependents) {
    const dependent = step.state.services.get(key)
    if (dependent !== undefined && mayUse(dependent, service)) return false
  }
  closeListeners(step, service)
  return true
}

/** By its file, or by an older one that replicas of it still run under. */
const mayUse = (dependent: Service, { name }: Service): boolean =>
  dependent.updating ||
  dependent.stage === 'leaving' ||
  dependent.spec.depends.some((each) => each.service === name)

function forgetIfGone(step: Step, service: Service): void {
  const { state, out } = step
  if (service.stage !== 'leaving' || service.slots.size > 0 || service.listeners.size > 0) return
  claimPorts(step, [service])
  state.services.delete(service.key)
  state.deferred.delete(service.key)
  for (const kind of ['plan', 'wait', 'wake', 'sleep'] as const) {
    state.timers.cancel(`${kind} ${service.key}`)
  }
  say(step, service, 'info', 'removed', 'is gone')
  for (const { service: name } of service.spec.depends) {
    const key = serviceKey(service.deployment, name)
    if (state.services.get(key)?.stage === 'leaving') state.toPlan.add(key)
  }
  const deployment = state.deployments.get(service.deployment)
  assert(deployment !== undefined, `${service.key} has no deployment`)
  deployment.services.delete(service.key)
  state.toSettle.add(deployment.name)
  if (deployment.services.size > 0 || deployment.outcome !== 'removing') return
  state.deployments.delete(deployment.name)
  const result = { ok: true, text: `${deployment.name} is removed` } as const
  for (const request of deployment.removeRequests) out.push({ type: 'reply', request, result })
}

/** Most starts, and most stops, that one step begins; the rest follow a millisecond later. */
const STEP_MAX = 1_024
