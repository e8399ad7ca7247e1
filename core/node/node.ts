/**
 * The node machine: the control plane of one machine. It composes the lives in `core/services`,
 * the ledger in `core/publish` and the health monitors; one event in, commands out.
 *
 * Every instant handed to it is a whole number of milliseconds, so that what remains of a timer
 * survives a snapshot exactly.
 */
import { assert, type Instant, type Machine, unreachable } from '../machine.ts'
import type { EndpointCheckName } from '../services/endpoint-checks.ts'
import type { HealthEvent } from '../services/health.ts'
import type { ListenerId, ReplicaId, ServiceKey } from '../services/identity.ts'
import type { ServiceSpec } from '../spec/deployment.ts'
import type { NodeCommand } from './commands.ts'
import { onDeploy } from './deploy.ts'
import type { NodeEvent } from './events.ts'
import {
  onBoot,
  onDrainOver,
  onInternalAddresses,
  onLeftoversReaped,
  onRemove,
  onRestart,
  onScale,
  onShutdown,
  stopIfEmpty,
} from './operator.ts'
import { driveCheck } from './service/checks.ts'
import { checkDependencies } from './service/dependencies.ts'
import { applyBackends, onListenerEvent, onListenerTimer } from './service/listeners.ts'
import { driveMonitor } from './service/monitors.ts'
import { planNow } from './service/plans.ts'
import { onRuntimeEvent, replicaStep } from './service/replicas.ts'
import { sleepIfIdle, whenAwake } from './service/sleep.ts'
import { driveLedger, onSocketEvent } from './service/sockets.ts'
import { judge, judgeDeployment } from './service/standing.ts'
import { type NodeSnapshot, restoreState, snapshotOf } from './snapshot.ts'
import { type NodeConfig, type NodeState, newNodeState, type Step, type TimerKey } from './state.ts'
import { type NodeView, viewOf } from './view.ts'

export { defaultNodeConfig, type NodeConfig } from './state.ts'

export class NodeMachine implements Machine<NodeEvent, NodeCommand> {
  /** For `checkInvariants` and the view; nobody else reads it. */
  readonly state: NodeState

  constructor(config: NodeConfig)
  constructor(restored: NodeState)
  constructor(from: NodeConfig | NodeState) {
    this.state = 'phase' in from ? from : newNodeState(from)
  }

  step(event: NodeEvent, now: Instant, out: NodeCommand[]): void {
    assert(Number.isInteger(now), `instants are whole milliseconds, not ${now}`)
    const step: Step = { state: this.state, now, out }
    dispatch(step, event)
    settle(step)
    stopIfEmpty(step)
  }

  deadline(): Instant | undefined {
    return this.state.timers.next()
  }

  view(now: Instant): NodeView {
    return viewOf(this.state, now)
  }

  /** Of all services that are to be here, in no order. */
  *specs(): Iterable<ServiceSpec> {
    for (const { stage, spec } of this.state.services.values()) if (stage !== 'leaving') yield spec
  }

  /** Plain JSON; a machine restored from it at the same `now` behaves identically from there on. */
  snapshot(now: Instant): NodeSnapshot {
    return snapshotOf(this.state, now)
  }

  static restore(snapshot: NodeSnapshot, now: Instant): NodeMachine {
    return new NodeMachine(restoreState(snapshot, now))
  }
}

function dispatch(step: Step, event: NodeEvent): void {
  switch (event.type) {
    case 'boot':
      return onBoot(step)
    case 'deploy':
      return onDeploy(step, event)
    case 'remove':
      return onRemove(step, event)
    case 'scale':
      return onScale(step, event)
    case 'restart':
      return onRestart(step, event)
    case 'shutdown':
      return onShutdown(step, event)
    case 'internal-addresses':
      return onInternalAddresses(step, event)
    case 'leftovers-reaped':
      return onLeftoversReaped(step, event)
    case 'replica-created':
    case 'replica-create-failed':
    case 'replica-started':
    case 'replica-start-failed':
    case 'replica-verified':
    case 'address-resolved':
    case 'replica-exited':
    case 'replica-removed':
      return onRuntimeEvent(step, event)
    case 'probe-result': {
      const replica = step.state.replicas.get(event.replica)
      const { check, attempt, ok, reason } = event
      if (replica === undefined) return
      const result: HealthEvent = { type: 'result', attempt, ok, reason }
      if (check === 'main') driveMonitor(step, replica, result)
      else driveCheck(step, replica, check, result)
      return
    }
    case 'socket-bound':
    case 'socket-failed':
    case 'socket-unbound':
      return onSocketEvent(step, event)
    case 'backends-applied':
    case 'backend-drained':
    case 'backend-failed':
    case 'listener-wanted':
    case 'listener-idle':
    case 'listener-busy':
      return onListenerEvent(step, event)
    case 'tick':
      return onTick(step)
    default:
      return unreachable(event)
  }
}

function onTick(step: Step): void {
  const { timers } = step.state
  for (let key = timers.pop(step.now); key !== undefined; key = timers.pop(step.now)) {
    onTimer(step, key)
  }
}

function onTimer(step: Step, key: TimerKey): void {
  const { state } = step
  if (key === 'ledger') return driveLedger(step, { type: 'tick' })
  if (key === 'shutdown') return onDrainOver(step)
  const space = key.indexOf(' ')
  const id = key.slice(space + 1)
  switch (key.slice(0, space) as TimerKey extends `${infer Kind} ${string}` ? Kind : never) {
    case 'replica': {
      const replica = state.replicas.get(id as ReplicaId)
      if (replica !== undefined) replicaStep(step, replica, 'timeout')
      return
    }
    case 'health': {
      const replica = state.replicas.get(id as ReplicaId)
      if (replica !== undefined) driveMonitor(step, replica, { type: 'tick' })
      return
    }
    case 'check': {
      const end = id.indexOf(' ')
      const replica = state.replicas.get(id.slice(0, end) as ReplicaId)
      const name = id.slice(end + 1) as EndpointCheckName
      if (replica !== undefined) driveCheck(step, replica, name, { type: 'tick' })
      return
    }
    case 'plan':
      state.toPlan.add(id as ServiceKey)
      return
    case 'wait': {
      const service = state.services.get(id as ServiceKey)
      if (service !== undefined) checkDependencies(step, service)
      return
    }
    case 'wake': {
      const service = state.services.get(id as ServiceKey)
      if (service !== undefined) whenAwake(step, service)
      return
    }
    case 'sleep': {
      const service = state.services.get(id as ServiceKey)
      if (service !== undefined) sleepIfIdle(step, service)
      return
    }
    case 'listener': {
      const listener = state.listeners.get(id as ListenerId)
      if (listener !== undefined) onListenerTimer(step, listener)
      return
    }
  }
}

/** Plans, judges and sends until nothing is left to do: what one changes, the others see. */
function settle(step: Step): void {
  const { toPlan, toJudge, toApply, toSettle, services, listeners } = step.state
  while (toPlan.size > 0 || toJudge.size > 0 || toApply.size > 0) {
    for (const key of takeAll(toPlan)) {
      const service = services.get(key)
      if (service !== undefined) planNow(step, service)
    }
    for (const id of takeAll(toApply)) {
      const listener = listeners.get(id)
      if (listener !== undefined) applyBackends(step, listener)
    }
    for (const key of takeAll(toJudge)) {
      const service = services.get(key)
      if (service !== undefined) judge(step, service)
    }
  }
  // Last: a deployment is judged by what all of its services are now.
  for (const name of takeAll(toSettle)) judgeDeployment(step, name)
}

function takeAll<Key>(keys: Set<Key>): Key[] {
  const taken = [...keys]
  keys.clear()
  return taken
}
