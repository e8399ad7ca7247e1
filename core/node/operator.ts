/** What operators ask for: deploy, remove, scale, restart, shut down. Each request is answered once. */

import { canonicalJson } from '../journal/canonical-json.ts'
import type { Claim, Wish } from '../publish/claim.ts'
import type { ServiceKey } from '../services/identity.ts'
import type { Reply, ReplyError } from './commands.ts'
import { begin, leaveService } from './deploy.ts'
import type { OperatorEvent, RequestId } from './events.ts'
import { claimPorts } from './service/claims.ts'
import { recount } from './service/count.ts'
import { beginService } from './service/dependencies.ts'
import { requestTenancy } from './service/doors.ts'
import { forgive } from './service/failures.ts'
import { convergeListeners, cutListener, listenersOf } from './service/listeners.ts'
import { listensItself, replicaIn } from './service/plans.ts'
import { abortReplica, replicaStep, stopReplica } from './service/replicas.ts'
import { awakeCount, canSleep, setWanted } from './service/sleep.ts'
import { CHALLENGES_OWNER, driveLedger, METRICS_OWNER } from './service/sockets.ts'
import {
  type DeploymentRecord,
  type NodeConfig,
  nextAttempt,
  type Service,
  type Step,
} from './state.ts'

type Of<Type extends OperatorEvent['type']> = Extract<OperatorEvent, { type: Type }>

export function onBoot(step: Step): void {
  const { state, out } = step
  if (state.phase !== 'new') return
  state.phase = 'reaping'
  state.reapAttempt = nextAttempt(state)
  const { leftoverGraceMs: graceMs } = state.config
  out.push({ type: 'reap-leftovers', attempt: state.reapAttempt, graceMs })
  const wishes = ownWishes(state.config)
  if (wishes.length > 0) driveLedger(step, { type: 'claim', wishes })
}

/** What the node itself listens on. */
function ownWishes({ metrics, challengePort }: NodeConfig): readonly Wish[] {
  const wishes: Wish[] = []
  const common = { namespace: 'tcp', bind: 'always' } as const
  if (metrics !== null) {
    wishes.push({ owner: METRICS_OWNER, claims: [{ ...metrics, ...common, id: 'metrics' }] })
  }
  if (challengePort !== null) {
    const claims = ['0.0.0.0', '::'].map((host): Claim => {
      const tenancy = requestTenancy('*/.well-known/acme-challenge', false, host, [])
      const isOptional = host === '::'
      return { ...common, id: host, host, port: challengePort, tenancy, isOptional }
    })
    wishes.push({ owner: CHALLENGES_OWNER, claims })
  }
  return wishes
}

/** Internal endpoints move; what is connected stays. */
export function onInternalAddresses(step: Step, { addresses }: Of<'internal-addresses'>): void {
  const { state } = step
  const sorted = [...new Set(addresses)].sort()
  if (canonicalJson(sorted) === canonicalJson(state.internal)) return
  state.internal = sorted
  const services = [...state.services.values()].filter((each) => each.stage !== 'leaving')
  if (state.phase === 'running') convergeListeners(step, services)
  else if (!isStopping(step)) claimPorts(step, services)
}

export function onLeftoversReaped(
  step: Step,
  event: { attempt: number; reaped: readonly number[]; surviving: readonly number[] },
): void {
  const { state, out } = step
  if (event.attempt !== state.reapAttempt) return
  state.reapAttempt = 0
  if (event.reaped.length > 0) {
    const { length } = event.reaped
    const processes = `${length} ${length === 1 ? 'process' : 'processes'}`
    const text = `ended ${processes} of an earlier run (pid ${event.reaped.join(', ')})`
    out.push({ type: 'notice', level: 'warn', code: 'leftovers', text })
  }
  if (event.surviving.length > 0) {
    const text = `could not end processes of an earlier run: pid ${event.surviving.join(', ')}; they may hold ports`
    out.push({ type: 'notice', level: 'error', code: 'leftovers', text })
  }
  if (state.phase !== 'reaping') return
  state.phase = 'running'
  for (const service of state.services.values()) {
    if (service.stage === 'held') beginService(step, service)
  }
}

// Remove, scale, restart

export function onRemove(step: Step, { request, deployment: name }: Of<'remove'>): void {
  const record = step.state.deployments.get(name)
  if (record === undefined) {
    const known = [...step.state.deployments.keys()].join(', ') || 'none'
    return refuse(step, request, 'not-found', `no deployment "${name}" here (there are: ${known})`)
  }
  record.removeRequests.push(request)
  removeDeployment(step, record)
}

function removeDeployment(step: Step, record: DeploymentRecord): void {
  record.outcome = 'removing'
  for (const key of record.services) leaveService(step, key)
  if (record.services.size > 0) return
  step.state.deployments.delete(record.name)
  for (const request of record.removeRequests) {
    reply(step, request, { ok: true, text: `${record.name} is removed` })
  }
}

export function onScale(step: Step, event: Of<'scale'>): void {
  const { request, replicas } = event
  const service = findService(step, request, event.service)
  if (service === undefined) return
  const refusal = refuseScale(step, service, replicas)
  if (refusal !== undefined) return refuse(step, request, 'invalid', refusal)
  const stays =
    canSleep(service.spec) && replicas > 0 ? '; it stays awake until the next deploy' : ''
  const text = `${service.key}: ${service.wanted} -> ${replicas} replicas${stays}`
  setWanted(step, service, replicas)
  service.isPinned = replicas > 0
  step.state.timers.cancel(`wake ${service.key}`)
  unsettle(step, service)
  step.out.push({ type: 'notice', level: 'info', code: 'scaled', service: service.key, text })
  reply(step, request, { ok: true, text })
}

function refuseScale(step: Step, service: Service, replicas: number): string | undefined {
  const { key, spec } = service
  const { replicasMax } = step.state.config
  if (spec.rtype !== 'service') return `${key} is a ${spec.rtype}, which is not scaled`
  if (!Number.isInteger(replicas) || replicas < 0 || replicas > replicasMax) {
    return `${replicas} is not a number of replicas; use 0 to ${replicasMax}`
  }
  const isWhole = replicas === awakeCount(spec) || (replicas === 0 && canSleep(spec))
  if (spec.replicaGroups.length > 0 && !isWhole) {
    return `${key} has replica groups; change their counts in the file and deploy it`
  }
  if (spec.scale.mode === 'adaptive' && replicas > spec.scale.max) {
    return `${key} has at most ${spec.scale.max} replicas; change max in the file and deploy it`
  }
  if (replicas > 1 && listensItself(spec)) {
    return `${key} listens on a target_port of its own, so it has one replica at most`
  }
  if (service.stage !== 'halted') return undefined
  return `${key} gave up: ${service.haltReason}; \`weir restart ${key}\` starts it again`
}

export function onRestart(step: Step, event: Of<'restart'>): void {
  const { request, replica: number } = event
  const service = findService(step, request, event.service)
  if (service === undefined) return
  if (service.spec.rtype !== 'service') {
    return refuse(step, request, 'invalid', `${service.key} is a ${service.spec.rtype}`)
  }
  if (number !== undefined && service.stage !== 'halted' && !service.slots.has(number)) {
    const known = [...service.slots.keys()].sort((a, b) => a - b).join(', ') || 'none'
    return refuse(
      step,
      request,
      'not-found',
      `${service.key} has no replica ${number} (there are: ${known})`,
    )
  }
  for (const slot of service.slots.values()) {
    if (number !== undefined && slot.number !== number) continue
    forgive(step, slot)
    service.failing.delete(slot.number)
  }
  const single = number === undefined ? undefined : replicaIn(step, service, number)
  if (single !== undefined) stopReplica(step, single, 'restarted by the operator')
  if (number === undefined) service.revision += 1
  recount(step, service)
  if (service.stage === 'halted') begin(step, service)
  unsettle(step, service)
  if (service.stage === 'waiting') {
    const text = `${service.key} waits for its dependencies; nothing of it runs yet`
    return reply(step, request, { ok: true, text })
  }
  if (service.state === 'asleep') {
    const text = `${service.key} sleeps; nothing of it runs, and the next one who comes starts it anew`
    return reply(step, request, { ok: true, text })
  }
  const what = number === undefined ? 'its replicas one after the other' : `replica ${number}`
  reply(step, request, { ok: true, text: `${service.key}: restarting ${what}` })
}

function unsettle({ state }: Step, service: Service): void {
  const deployment = state.deployments.get(service.deployment)
  if (deployment !== undefined && deployment.outcome !== 'removing')
    deployment.outcome = 'converging'
  service.standing = ''
  state.toPlan.add(service.key)
  state.toJudge.add(service.key)
}

/** By `deployment/service`, or by the short name where it is unique; answers the request if not. */
function findService(step: Step, request: RequestId, name: string): Service | undefined {
  const { services } = step.state
  if (isStopping(step)) {
    refuse(step, request, 'stopping', 'this node is shutting down')
    return undefined
  }
  const exact = services.get(name as ServiceKey)
  const found =
    exact === undefined ? [...services.values()].filter((each) => each.name === name) : [exact]
  const [first, ...others] = found
  if (first === undefined) {
    const known = [...services.keys()].join(', ') || 'none'
    refuse(step, request, 'not-found', `no service "${name}" here (there are: ${known})`)
  } else if (others.length > 0) {
    const which = found.map((each) => each.key).join(' or ')
    refuse(step, request, 'conflict', `"${name}" is in several deployments: say ${which}`)
  } else if (first.stage === 'leaving') {
    refuse(step, request, 'conflict', `${first.key} is being removed`)
  } else {
    return first
  }
  return undefined
}

// Shutdown

export function onShutdown(step: Step, event: Of<'shutdown'>): void {
  const { state, out } = step
  if (event.request !== undefined) state.shutdownRequests.push(event.request)
  if (!isStopping(step)) {
    state.phase = 'draining'
    state.drainEndsAt = step.now + state.config.drainTimeoutMs
    state.timers.set('shutdown', state.drainEndsAt)
    const text =
      event.mode === 'abort' ? 'stopping at once' : 'stopping: old work is finished first'
    out.push({ type: 'notice', level: 'info', code: 'shutdown', text })
    for (const record of [...state.deployments.values()]) removeDeployment(step, record)
    // Nobody new from outside; those inside who use one another still can, in their turn.
    claimPorts(step, [...state.services.values()])
  }
  if (event.mode === 'abort') {
    state.drainEndsAt = step.now
    state.timers.cancel('shutdown')
    for (const replica of [...state.replicas.values()]) abortReplica(step, replica)
    for (const service of state.services.values()) {
      for (const listener of listenersOf(step, service)) cutListener(step, listener)
    }
  }
}

/** A shutdown has waited long enough: what is still connected is cut, and nothing drains any more. */
export function onDrainOver(step: Step): void {
  const { state, out } = step
  const replicas = [...state.replicas.values()].filter((each) => each.state === 'draining')
  const text = `old work was not finished within ${state.config.drainTimeoutMs / 1000} s: it is cut`
  out.push({ type: 'notice', level: 'warn', code: 'drain-cut', text })
  const done = new Set(replicas.map(({ id }) => id))
  for (const replica of replicas) replicaStep(step, replica, 'timeout')
  for (const listener of state.listeners.values()) cutListener(step, listener, done)
}

/** Answers those who asked for it once nothing is left, and says so, once. */
export function stopIfEmpty(step: Step): void {
  const { state, out } = step
  if (!isStopping(step) || state.deployments.size > 0) return
  state.timers.cancel('shutdown')
  const owners = [METRICS_OWNER, CHALLENGES_OWNER]
  driveLedger(step, { type: 'claim', wishes: owners.map((owner) => ({ owner, claims: [] })) })
  if (!state.ledger.isEmpty) return
  for (const request of state.shutdownRequests.splice(0)) {
    out.push({ type: 'reply', request, result: { ok: true, text: 'stopped' } })
  }
  if (state.phase === 'stopped') return
  state.phase = 'stopped'
  out.push({ type: 'stopped' })
}

const isStopping = ({ state }: Pick<Step, 'state'>): boolean =>
  state.phase === 'draining' || state.phase === 'stopped'

function reply({ out }: Step, request: RequestId, result: Reply): void {
  out.push({ type: 'reply', request, result })
}

const refuse = (step: Step, request: RequestId, code: ReplyError, text: string): void =>
  reply(step, request, { ok: false, code, text })
