/** Replicas that end by themselves: what is remembered, and when they are started again. */
import { assert } from '../../machine.ts'
import { isCrashLoop, recentCrashes, restartDelayMs } from '../../services/backoff.ts'
import { replicaLabel } from '../../services/identity.ts'
import type { NoticeCode } from '../commands.ts'
import type { Replica, Service, Slot, Step } from '../state.ts'
import { serviceOf } from './replicas.ts'
import { failWaking } from './sleep.ts'

export interface Failure {
  readonly reason: string
  readonly code: Extract<NoticeCode, 'exited' | 'start-failed'>
  /** What `errors.on_panic` says of it; an end with code 0 and what is not the program's fault restart. */
  readonly policy: Service['spec']['errors']['onPanic']
}

/** A replica nobody asked to leave did not come up, or ended; counted once. */
export function failReplica(step: Step, replica: Replica, failure: Failure): void {
  if (replica.leaving !== '' || replica.failure !== '') return
  const service = serviceOf(step, replica)
  const slot = service.slots.get(replica.number)
  assert(slot !== undefined, `${replica.id} has no slot`)
  replica.failure = failure.reason
  recordFailure(step, service, slot, failure, replica)
}

export function recordFailure(
  step: Step,
  service: Service,
  slot: Slot,
  { reason, code, policy }: Failure,
  replica?: Replica,
): void {
  const { state, now } = step
  slot.crashesAt = recentCrashes([...slot.crashesAt, now], now)
  slot.startAt = now + restartDelayMs(slot.crashesAt.length)
  slot.lastEnd = reason
  service.failing.add(slot.number)
  state.toPlan.add(service.key)
  state.toJudge.add(service.key)
  const label = `${service.name}-${slot.number}`
  const looping = isCrashLoop(slot.crashesAt.length)
  const then = whatNext(step, service, slot, policy)
  if (policy === 'isolate' && (!service.isWaking || service.isPinned)) slot.isolated = true
  if (policy === 'shutdown' && service.stage === 'running') {
    service.stage = 'halted'
    service.haltReason = `${label} ${reason} (errors.on_panic is shutdown)`
  }
  step.out.push({
    type: 'notice',
    level: 'error',
    code: looping ? 'crash-loop' : code,
    service: service.key,
    ...(replica === undefined ? {} : { replica: replica.id }),
    text: `${label} ${reason}; ${then}${looping ? ' (crash loop)' : ''}`,
  })
  failWaking(step, service, `${label} ${reason}`)
}

function whatNext({ now }: Step, service: Service, slot: Slot, policy: Failure['policy']): string {
  if (service.stage !== 'running') return 'the service is being stopped'
  const sleepsOn = service.isWaking && !service.isPinned
  if (sleepsOn && policy !== 'shutdown') return 'the service sleeps on'
  if (policy === 'isolate') return 'it stays out until `weir restart`'
  if (policy === 'shutdown') return 'the service is stopped'
  const delayMs = slot.startAt - now
  return delayMs === 0 ? 'starting it again' : `starting it again in ${delayMs / 1000} s`
}

/** Somebody else has a port the replica was promised: not its fault, and another one is taken. */
export function exchangePorts(step: Step, replica: Replica, taken: readonly number[]): void {
  const service = serviceOf(step, replica)
  const ports = taken.join(', ')
  replica.failure = `port ${ports} is taken`
  step.state.toPlan.add(service.key)
  step.out.push({
    type: 'notice',
    level: 'warn',
    code: 'start-failed',
    service: service.key,
    replica: replica.id,
    text: `${replicaLabel(replica.id)}: somebody else has port ${ports}; taking another`,
  })
}

/** What failed before is not held against what runs from now on. */
export function forgive({ now }: Step, slot: Slot): void {
  slot.crashesAt = []
  slot.startAt = now
  slot.isolated = false
}
