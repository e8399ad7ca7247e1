/** What always holds between two steps of a node. Tests and the simulator ask after every step. */
import { assert } from '../machine.ts'
import { checkInvariants as checkLedger } from '../publish/invariants.ts'
import { isChecked, isRunning, STATE_TIMEOUT_MS, takesPart } from '../services/replica-life.ts'
import type { NodeMachine } from './node.ts'
import { isDownAt, isSound } from './service/checks.ts'
import { isCurrent } from './service/replicas.ts'
import { canSleep, whenEmpty } from './service/sleep.ts'
import { listenersIn } from './service/sockets.ts'
import type { NodeState } from './state.ts'

/** Throws `InvariantError` naming what does not hold. O(everything). */
export function checkInvariants(node: NodeMachine): void {
  const { state } = node
  checkPending(state)
  checkDeployments(state)
  checkServices(state)
  checkSleep(state)
  checkReplicas(state)
  checkListeners(state)
  checkSockets(state)
  checkPorts(state)
}

function checkPending({ toPlan, toJudge, toApply, toSettle }: NodeState): void {
  assert(
    toPlan.size + toJudge.size + toApply.size + toSettle.size === 0,
    'work is left after a step',
  )
}

function checkDeployments({ deployments, services, phase }: NodeState): void {
  let listed = 0
  for (const deployment of deployments.values()) {
    listed += deployment.services.size
    for (const key of deployment.services) {
      assert(services.get(key)?.deployment === deployment.name, `${key} is listed but not there`)
    }
    const isRemoving = deployment.outcome === 'removing'
    assert(isRemoving || deployment.removeRequests.length === 0, `${deployment.name} owes answers`)
    assert(
      !isRemoving || deployment.services.size > 0,
      `${deployment.name} is gone but not forgotten`,
    )
  }
  assert(listed === services.size, 'exactly one deployment for each service')
  assert(phase !== 'stopped' || deployments.size === 0, 'stopped with deployments left')
}

function checkServices({ services, replicas, listeners, timers }: NodeState): void {
  for (const service of services.values()) {
    const { key } = service
    let running = 0
    let ready = 0
    let sound = 0
    let current = 0
    let outdated = 0
    for (const slot of service.slots.values()) {
      if (slot.replica === '') continue
      const replica = replicas.get(slot.replica)
      assert(replica?.service === key, `${slot.replica} of ${key} is not there`)
      assert(replica.number === slot.number, `${replica.id} is in slot ${slot.number}`)
      running += Number(isRunning(replica.state))
      ready += Number(replica.state === 'ready')
      outdated += Number(replica.state === 'ready' && replica.revision !== service.revision)
      const isSoundNow = replica.state === 'ready' && isSound(replica)
      sound += Number(isSoundNow)
      current += Number(isSoundNow && isCurrent(service, replica))
    }
    assert(service.running === running, `${key} counts ${service.running} running, not ${running}`)
    assert(service.ready === ready, `${key} counts ${service.ready} ready, not ${ready}`)
    assert(service.sound === sound, `${key} counts ${service.sound} sound, not ${sound}`)
    assert(service.current === current, `${key} counts ${service.current} current, not ${current}`)
    assert(
      service.outdated === outdated,
      `${key} counts ${service.outdated} outdated, not ${outdated}`,
    )
    for (const number of service.failing)
      assert(service.slots.has(number), `${key} fails in no slot`)
    for (const id of service.listeners) assert(listeners.has(id), `${id} is listed but not there`)
    const waits = timers.at(`wait ${key}`) !== undefined
    const pending = service.dependencies.some((each) => each.state === 'pending')
    assert(waits === (service.stage === 'waiting' && pending), `${key}: a timer while it waits`)
  }
}

function checkSleep(state: NodeState): void {
  const { services, listeners, timers } = state
  for (const service of services.values()) {
    const { key, wanted, isWaking, spec } = service
    const sleeps = canSleep(spec)
    assert(!isWaking || (sleeps && wanted > 0), `${key} is woken, and may not sleep`)
    const isRefusing = timers.at(`wake ${key}`) !== undefined
    assert(!isRefusing || (sleeps && wanted === 0), `${key} refuses for what it does not do`)
    const mayDoze = sleeps && wanted > 0 && !service.isPinned
    assert(timers.at(`sleep ${key}`) === undefined || mayDoze, `${key} is not to go to sleep`)
  }
  for (const listener of listeners.values()) {
    if (listener.state !== 'open' || listener.sentVersion !== listener.appliedVersion) continue
    const told = whenEmpty({ state }, listener)
    assert(listener.whenEmpty === told, `${listener.id} knows what becomes of who comes`)
  }
}

function checkReplicas({ replicas, services, timers }: NodeState): void {
  for (const replica of replicas.values()) {
    const { id, state } = replica
    assert(
      services.get(replica.service)?.slots.get(replica.number)?.replica === id,
      `${id} is not in its slot`,
    )
    const timed = timers.at(`replica ${id}`) !== undefined
    assert(timed === (STATE_TIMEOUT_MS[state] !== 'none'), `${id}: a timer fits its state ${state}`)
    const due = replica.monitor?.deadline()
    assert(timers.at(`health ${id}`) === due, `${id}: the timer of its health`)
    assert(replica.monitor === undefined || isChecked(state), `${id} is watched while ${state}`)
    assert(replica.checks.size === 0 || isChecked(state), `${id} is checked while ${state}`)
    for (const [name, check] of replica.checks) {
      assert(timers.at(`check ${id} ${name}`) === check.deadline(), `${id}: the timer of ${name}`)
    }
    assert(replica.host !== '' || !isChecked(state), `${id} is checked without an address`)
  }
}

function checkListeners({ listeners, services, replicas, timers, uses }: NodeState): void {
  for (const listener of listeners.values()) {
    const { id, state } = listener
    assert(services.get(listener.service)?.listeners.has(id) === true, `${id} has no service`)
    assert(state === 'open' || listener.claims.size === 0, `${id} asks for ports while ${state}`)
    assert(state !== 'closing' || listener.sockets.size > 0, `${id} is closing for nothing`)
    assert(state !== 'closed' || listener.sockets.size === 0, `${id} is closed, and reached`)
    for (const socket of listener.sockets) {
      assert(
        listenersIn(uses.get(socket)).includes(id),
        `${id} is not where socket ${socket} leads`,
      )
    }
    assert(listener.sentVersion - listener.appliedVersion <= 1, `${id}: one question at a time`)
    assert(
      (timers.at(`listener ${id}`) !== undefined) === (state === 'closed' && !listener.isReplaced),
      `${id}: a timer while it is drained after its close`,
    )
    for (const backend of listener.sent.keys())
      assert(listener.holding.has(backend), `${id} holds what it was sent`)
    for (const backend of listener.down)
      assert(listener.sent.has(backend), `${id}: only one of the set is down`)
    if (listener.sentVersion !== listener.appliedVersion) continue
    for (const backend of listener.sent.keys()) {
      const replica = replicas.get(backend)
      const serves = replica !== undefined && takesPart(replica.state)
      assert(serves, `${id} sends traffic to ${backend}`)
      const spec = services.get(listener.service)?.spec
      const isDown = spec !== undefined && isDownAt(replica, listener.target, spec)
      assert(listener.down.has(backend) === isDown, `${id} knows whether ${backend} is down`)
    }
  }
}

function checkSockets({ ledger, uses, listeners, services, timers, deferred }: NodeState): void {
  checkLedger(ledger)
  assert(timers.at('ledger') === ledger.deadline(), 'the timer of the ledger')
  for (const [socket, use] of uses) {
    assert(ledger.socket(socket) !== undefined, `socket ${socket} leads somewhere and is not there`)
    for (const id of listenersIn(use)) {
      assert(
        listeners.get(id)?.sockets.has(socket) === true,
        `${id} does not know socket ${socket}`,
      )
    }
  }
  for (const { id, state, attempt } of ledger.sockets()) {
    if (attempt === 0) continue // never bound
    assert(uses.has(id), `socket ${id} is ${state} and leads nowhere`)
  }
  for (const service of services.values()) {
    assert(deferred.has(service.key) === service.conflicts.length > 0, `${service.key} is deferred`)
  }
}

function checkPorts({ ports, replicas, ledger }: NodeState): void {
  for (const [port, owner] of ports.leased) {
    const replica = [...replicas.values()].find((each) => each.id === owner)
    assert(replica !== undefined, `port ${port} is leased by ${owner}, which is not there`)
    assert(Object.values(replica.ports).includes(port), `${owner} does not know its port ${port}`)
    const isTaken = ledger.isTaken('tcp', port) || ledger.isTaken('udp', port)
    assert(!isTaken, `port ${port} has two owners`)
  }
}
