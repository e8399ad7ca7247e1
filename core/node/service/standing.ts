/** What a service amounts to, and its deployment: for dependents, operators and `settled`. */
import { assert } from '../../machine.ts'
import { describeConflict } from '../../publish/ledger.ts'
import type { SocketState, SocketView } from '../../publish/view.ts'
import type { NodeCommand, NoticeCode } from '../commands.ts'
import { type Listener, replicaOf, type Service, type Slot, type Step } from '../state.ts'
import type { ServiceState } from '../view.ts'
import { checkProblem } from './checks.ts'
import { foreignConflicts } from './claims.ts'
import { checkDependencies } from './dependencies.ts'
import { isClosing, isSupplied, listenersOf } from './listeners.ts'
import { canSleep, isAsleep } from './sleep.ts'
import { isMissed, problemOfSocket } from './sockets.ts'

type Seen = Pick<Step, 'state'>

/** Recomputes the state of a service from what is there; tells those who depend on it. */
export function judge(step: Step, service: Service): void {
  const { state } = step
  const before = service.state
  service.state = stateOf(service)
  // Whether who comes may wait depends on it.
  if (service.state !== before && canSleep(service.spec)) {
    for (const listener of service.listeners) state.toApply.add(listener)
  }
  const routed = `${isServed(step, service)} ${isServed(step, service, isFailing)}`
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
  if (service.wanted === 0) return isAsleep(service) ? 'asleep' : 'idle'
  if (service.current >= service.wanted && service.outdated === 0) return 'healthy'
  if (service.failing.size === 0) return service.ready >= service.wanted ? 'updating' : 'starting'
  return service.sound > 0 ? 'degraded' : 'unhealthy'
}

/** Every endpoint listens wherever it is to, or need not, and has a backend that holds. */
export const isServed = (
  { state }: Seen,
  service: Service,
  needNot: (socket: SocketView) => boolean = () => false,
): boolean =>
  service.conflicts.length === 0 &&
  listenersOf({ state }, service).every(
    (each) => isClosing(each) || isSupplied(each) || mayLack(service, each),
  ) &&
  state.ledger
    .socketsOf(service.key)
    .every((each) => SERVED.has(each.state) || isMissed(each) || needNot(each))

/** Nobody comes by UDP for one that sleeps: a datagram wakes nothing. */
const mayLack = (service: Service, listener: Listener): boolean =>
  isAsleep(service) &&
  listener.endpoint.protocol === 'udp' &&
  listener.sentVersion === listener.appliedVersion

/** Tried, and not for the first time. */
export const isFailing = ({ failures }: SocketView): boolean => failures > 0

const SERVED: ReadonlySet<SocketState> = new Set(['listening', 'releasing'])

/** Why a service is not (yet) what it should be, for people; empty when there is nothing to say. */
export function detailOf(step: Seen, service: Service): string {
  const problem = problemOf(step, service)
  if (problem !== '' || service.stage === 'leaving') return problem
  if (service.wakeFailure !== '' && isAsleep(service)) {
    return `could not be woken: ${service.wakeFailure}`
  }
  const [number = 0] = service.failing
  const slot = service.slots.get(number)
  return slot === undefined || slot.lastEnd === ''
    ? ''
    : `${service.name}-${number} ${slot.lastEnd}`
}

/** What keeps a service from being ready and will not pass by itself soon; empty when nothing. */
function problemOf(step: Seen, service: Service): string {
  if (service.stage === 'halted') return service.haltReason
  if (service.stage !== 'running' && service.stage !== 'waiting') return ''
  // Also while the next attempt is under way: its reason holds until that succeeds.
  for (const socket of step.state.ledger.socketsOf(service.key)) {
    const problem = problemOfSocket(socket)
    if (problem !== '') return problem
  }
  const [conflict] = foreignConflicts(service, service.conflicts)
  if (conflict !== undefined) return `cannot listen: ${describeConflict(conflict)}`
  // Who waits for a service that will not come waits in vain.
  for (const { state, on, spec } of service.stage === 'waiting' ? service.dependencies : []) {
    const other = state === 'pending' ? step.state.services.get(on) : undefined
    if (other !== undefined && problemOf(step, other) !== '') {
      return `waits for ${spec.service}, which is ${other.state}`
    }
  }
  for (const number of service.failing) {
    const slot = service.slots.get(number)
    const problem = slot === undefined ? '' : problemOfSlot(step, slot)
    if (problem !== '') return `${service.name}-${number} ${problem}`
  }
  return ''
}

/** One end that is answered by a start at once is not a problem yet. */
function problemOfSlot({ state }: Seen, slot: Slot): string {
  const replica = replicaOf(state, slot)
  if (replica !== undefined && replica.leaving !== '') return ''
  if (slot.isolated) return `${slot.lastEnd}; it stays out until \`weir restart\``
  const health = replica?.monitor?.state
  if (health?.verdict === 'unhealthy') return `is unhealthy: ${health.reason}`
  const failed = replica === undefined ? '' : checkProblem(replica)
  if (failed !== '') return failed
  return slot.crashesAt.length > 1 ? slot.lastEnd : ''
}

/** Says when a deployment is what its file asks for, and when it cannot be without help. */
export function judgeDeployment(step: Step, name: string): void {
  const { state, out } = step
  const deployment = state.deployments.get(name)
  if (deployment === undefined || deployment.outcome === 'removing') return
  const problems: string[] = []
  // A set of backends that is on its way does not make what was ready unready.
  const wasReady = deployment.outcome === 'ready'
  for (const key of deployment.services) {
    const service = state.services.get(key)
    assert(service !== undefined, `${name} lists ${key}, which is not there`)
    const problem = problemOf(step, service)
    if (problem !== '') problems.push(`${service.name}: ${problem}`)
    else if (service.state === 'idle' || (wasReady && isComing(service))) continue
    else if (!WELL.has(service.state) || !(wasReady || isServed(step, service))) {
      // Starting, waiting, updating and leaving pass by themselves: it is too early to say.
      deployment.outcome = 'converging'
      return
    }
  }
  const outcome = problems.length === 0 ? 'ready' : 'failed'
  if (deployment.outcome === outcome) return
  deployment.outcome = outcome
  out.push({ type: 'settled', deployment: name, outcome, problems })
}

/** One that slept is ready for whoever woke it: they wait. */
const isComing = ({ spec, state, updating, isPinned }: Service): boolean =>
  canSleep(spec) && state === 'starting' && !updating && !isPinned

const WELL: ReadonlySet<ServiceState> = new Set(['healthy', 'asleep'])

export function say(
  { out }: Step,
  service: Service,
  level: Extract<NodeCommand, { type: 'notice' }>['level'],
  code: NoticeCode,
  text: string,
): void {
  out.push({ type: 'notice', level, code, service: service.key, text: `${service.key} ${text}` })
}
