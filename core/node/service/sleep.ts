/**
 * Services that are scaled to zero by wish: they sleep while nothing goes through their endpoints, and
 * whoever comes wakes them (proxy reference, section 9, with its open decisions made). Their listeners
 * hold what comes meanwhile.
 */
import { takesPart } from '../../services/replica-life.ts'
import type { ServiceSpec } from '../../spec/deployment.ts'
import type { ListenerEvent } from '../events.ts'
import { type Listener, replicaOf, type Service, type Step } from '../state.ts'
import { recount } from './count.ts'
import { listenersOf } from './listeners.ts'
import { rolesOf } from './replicas.ts'
import { say } from './standing.ts'

/** Its file says that none of it need run. */
export const canSleep = ({ rtype, scale }: ServiceSpec): boolean =>
  rtype === 'service' && scale.mode === 'adaptive' && scale.min === 0 && scale.max > 0

/** How many replicas one that is woken gets: every role is there, or nothing may be for who comes. */
export const awakeCount = ({ replicaGroups }: ServiceSpec): number =>
  replicaGroups.length === 0 ? 1 : replicaGroups.reduce((sum, group) => sum + group.count, 0)

export const isAsleep = ({ spec, wanted }: Service): boolean => wanted === 0 && canSleep(spec)

/** After how long without use its listeners are to say so; 0: never. */
export const idleAfterMs = ({ scale }: ServiceSpec): number =>
  scale.mode === 'adaptive' && scale.min === 0 ? scale.idleAfterMs : 0

/**
 * Whether a listener without backends holds what comes: only what sleeps by wish, or is being woken,
 * is worth waiting for (W48), and not while a wake-up that failed is made up for.
 */
export function whenEmpty(
  { state }: Pick<Step, 'state'>,
  listener: Listener,
): Listener['whenEmpty'] {
  const service = state.services.get(listener.service)
  if (service?.stage !== 'running' || listener.endpoint.protocol === 'udp') return 'refuse'
  if (service.isWaking) return 'hold'
  const isRefusing = state.timers.at(`wake ${service.key}`) !== undefined
  return isAsleep(service) && !isRefusing ? 'hold' : 'refuse'
}

/** A listener whose service went to sleep once more is told so, though nothing else has changed. */
export const napsOf = ({ state }: Pick<Step, 'state'>, { service }: Listener): number =>
  state.services.get(service)?.naps ?? 0

type UseEvent = Extract<
  ListenerEvent,
  { type: 'listener-wanted' | 'listener-idle' | 'listener-busy' }
>

export function onListenerUse(step: Step, listener: Listener, event: UseEvent): void {
  const service = step.state.services.get(listener.service)
  if (service === undefined) return
  switch (event.type) {
    case 'listener-wanted':
      return wake(step, service)
    case 'listener-idle':
      listener.isIdle = true
      return sleepIfIdle(step, service)
    case 'listener-busy':
      listener.isIdle = false
      return step.state.timers.cancel(`sleep ${service.key}`)
  }
}

/** One wake-up for each service, however many wait (W48). */
function wake(step: Step, service: Service): void {
  const { state } = step
  if (service.stage !== 'running' || !isAsleep(service)) return
  if (state.timers.at(`wake ${service.key}`) !== undefined) return
  service.isWaking = true
  setWanted(step, service, awakeCount(service.spec))
  say(step, service, 'info', 'scaled', 'is woken: somebody wants it')
}

/** When there is one of each role that takes part, nobody waits in vain any more. */
export function noteAwake({ state }: Step, service: Service): void {
  const missing = new Set(rolesOf(service.spec, service.wanted))
  for (const slot of service.slots.values()) {
    const replica = replicaOf(state, slot)
    if (replica !== undefined && takesPart(replica.state)) missing.delete(replica.role)
  }
  if (missing.size > 0) return
  service.isWaking = false
  service.wakeFailures = 0
  service.wakeFailure = ''
}

/** It did not come up: who waits is refused, and nobody wakes it again for a while. */
export function failWaking(step: Step, service: Service, reason: string): void {
  if (!service.isWaking) return
  service.isWaking = false
  service.wakeFailure = reason
  if (service.isPinned) return whenAwake(step, service) // people want it: it is started again
  service.wakeFailures += 1
  const doubled = WAKE_AGAIN_FIRST_MS * 2 ** Math.min(service.wakeFailures - 1, DOUBLINGS_MAX)
  const waitMs = Math.min(doubled, WAKE_AGAIN_MAX_MS)
  step.state.timers.set(`wake ${service.key}`, step.now + waitMs)
  setWanted(step, service, 0)
  const text = `could not be woken (${reason}): it refuses what comes for ${waitMs / 1000} s`
  say(step, service, 'error', 'start-failed', text)
}

/** What becomes of who comes changed: the time of refusing is over, say. */
export function whenAwake({ state }: Step, service: Service): void {
  for (const listener of service.listeners) state.toApply.add(listener)
}

/** Back to sleep once nothing has gone through any of its endpoints for long enough. */
export function sleepIfIdle(step: Step, service: Service): void {
  const { state, now } = step
  const isUsed = (each: Listener): boolean =>
    each.state === 'open' ? !each.isIdle : isHeldBy(each)
  const { spec, wanted, stage, isPinned, isWaking } = service
  // Slow to start is not idle: who woke it may have left, and comes back.
  if (!canSleep(spec) || wanted === 0 || stage !== 'running' || isPinned || isWaking) return
  if (listenersOf(step, service).some(isUsed)) return
  const sleepAt = service.wokenAt + idleAfterMs(spec)
  if (sleepAt > now) return state.timers.set(`sleep ${service.key}`, sleepAt)
  setWanted(step, service, 0)
  const text = `goes to sleep: nothing went through it for ${idleAfterMs(spec) / 1000} s`
  say(step, service, 'info', 'scaled', text)
}

const isHeldBy = ({ holding }: Listener): boolean => holding.size > 0

/** Another number of replicas from now on. */
export function setWanted(step: Step, service: Service, wanted: number): void {
  const { state, now } = step
  if (service.wanted === 0) service.wokenAt = now
  if (wanted === 0 && canSleep(service.spec)) {
    service.naps += 1
    service.isWaking = false
  }
  service.wanted = wanted
  state.timers.cancel(`sleep ${service.key}`)
  recount(step, service)
  for (const listener of service.listeners) state.toApply.add(listener)
  state.toPlan.add(service.key)
  state.toJudge.add(service.key)
}

/** After a wake-up that failed, doubled each time. */
const WAKE_AGAIN_FIRST_MS = 1_000
const WAKE_AGAIN_MAX_MS = 60_000
const DOUBLINGS_MAX = 6
