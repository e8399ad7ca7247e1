/**
 * Services, judged by the programs that really run and by what was really said: one process for
 * each identity, none too many, none left over, traffic only to what passed its checks, nobody
 * stopped under a client, dependents in their turn, pauses between crashes.
 */
import type { Instant } from '../../core/machine.ts'
import type { NodeCommand } from '../../core/node/commands.ts'
import type { NodeEvent } from '../../core/node/events.ts'
import { restartDelayMs } from '../../core/services/backoff.ts'
import {
  type ListenerId,
  parseReplicaId,
  parseServiceKey,
  type ReplicaId,
  type ServiceKey,
  serviceKey,
} from '../../core/services/identity.ts'
import type { DependencySpec } from '../../core/spec/deployment.ts'
import type { Group } from '../faults/runtime.ts'
import type { Change } from '../trace.ts'
import type { World } from '../world.ts'
import type { Checker } from './checker.ts'
import { sleeps, wantsOf } from './ports/wanted.ts'
import { isPatienceOver } from './shutdowns.ts'
import { isChecked, type ListenerTold, type ReplicaTold, type Told } from './told.ts'

export class Services implements Checker {
  readonly name = 'services'
  private readonly told: Told
  private event: NodeEvent = { type: 'tick' }
  /** The shortest drain time a service had in this life. */
  private readonly drainMs = new Map<ServiceKey, number>()
  /** Services that have not begun. */
  private readonly waiting = new Map<ServiceKey, Wait>()
  /** Crashes of a slot that nobody forgave: instants on the node's clock, oldest first. */
  private readonly crashes = new Map<string, Instant[]>()

  constructor(told: Told) {
    this.told = told
  }

  onChange(change: Change, world: World): void {
    if (change.type === 'node-booted') {
      this.drainMs.clear()
      this.waiting.clear()
      this.crashes.clear()
    }
    if (change.type === 'process-spawned') this.checkSpawn(change.replica, change.pid, world)
  }

  onEvent(event: NodeEvent, world: World): void {
    switch (event.type) {
      case 'deploy':
        for (const [name, spec] of Object.entries(event.deployment.services)) {
          const key = serviceKey(event.deployment.name, name)
          const times = spec.endpoints.map((each) => (each.http ?? each.stream).drainTimeoutMs)
          const before = this.drainMs.get(key) ?? Number.POSITIVE_INFINITY
          this.drainMs.set(key, Math.min(before, Math.max(0, ...times)))
          this.forgive(key)
          const known = world.operator.specOf(key) !== undefined
          const { depends } = spec
          if (known) {
            // Whether what had begun by an older file waits for a newer one's sake is left open.
            const wait = this.waiting.get(key)
            if (JSON.stringify(wait?.depends) !== JSON.stringify(depends)) this.waiting.delete(key)
            continue
          }
          // One that was on its way out and had not gone yet goes on.
          if (this.told.replicasOf(key).some((each) => !each.removed)) continue
          this.waiting.set(key, { since: world.nodeNow(), depends, met: new Set() })
        }
        return
      case 'scale': // to nothing and back again is a new beginning
      case 'restart':
        return this.forgive(event.service as ServiceKey)
      case 'replica-exited':
        return this.noteExit(event.replica, world)
    }
  }

  onStep(
    event: NodeEvent,
    _commands: readonly NodeCommand[],
    _machine: unknown,
    world: World,
  ): void {
    this.event = event
    // What was so when the event came counts: the file before it was obeyed until then.
    for (const [key, wait] of this.waiting) this.look(key, wait, world)
  }

  onCommand(command: NodeCommand, world: World): void {
    switch (command.type) {
      case 'create-replica':
        return this.checkCreate(command.replica, world)
      case 'apply-backends':
        return this.checkBackends(command, world)
      case 'cut-backend':
        return this.checkCut(command, world)
      case 'signal-replica':
      case 'remove-replica':
        return this.checkStop(command.replica, command.type, world)
      case 'reply': {
        const asked = world.operator.open.get(command.request)?.event
        if (asked?.type === 'remove' && command.result.ok) {
          this.checkGone(`${asked.deployment}/`, `${asked.deployment} is removed`, world)
        }
        return
      }
      case 'stopped':
        return this.checkGone('', 'the node has stopped', world)
    }
  }

  // Starting ----------------------------------------------------------------------------------

  private checkCreate(id: ReplicaId, world: World): void {
    const { deployment, service, number } = parseReplicaId(id)
    const key = serviceKey(deployment, service)
    if (!this.told.reaped) world.fail(this.name, `${id} is created before leftovers are gone`)
    const spec = world.operator.specOf(key)
    const numberMax = world.operator.wanted(key) + (spec?.update.surgeMax ?? 0)
    if (number > numberMax || world.operator.wanted(key) === 0) {
      world.fail(this.name, `${id} is one too many: at most ${numberMax} are wanted`)
    }
    for (const other of this.told.replicas.values()) {
      if (other.service === key && other.number === number && !other.removed) {
        world.fail(this.name, `${id} is created beside ${other.id}`)
      }
    }
    this.checkPause(id, key, world)
    this.checkTurn(id, key, world)
  }

  private checkSpawn(id: ReplicaId, pid: number, world: World): void {
    const { deployment, service, number } = parseReplicaId(id)
    for (const group of world.runtime.groups.values()) {
      if (group.pid === pid || group.life !== world.lifeNumber) continue
      const other = parseReplicaId(group.replica)
      if (other.deployment !== deployment || other.service !== service) continue
      if (other.number !== number) continue
      world.fail(this.name, `${id} is started while ${group.replica} (pid ${group.pid}) lives`)
    }
  }

  /** The pause after a crash grows as `core/services/backoff.ts` says. */
  private checkPause(id: ReplicaId, key: ServiceKey, world: World): void {
    const { number } = parseReplicaId(id)
    const now = world.nodeNow()
    const recent = (this.crashes.get(`${key}/${number}`) ?? []).filter(
      (at) => now - at < CRASH_WINDOW_MS,
    )
    const last = recent.at(-1)
    const spec = world.operator.specOf(key)
    // One that sleeps is woken when its refusing is over.
    if (last === undefined || spec === undefined || sleeps(spec)) return
    // Counted at the crash itself: what has left the window since does not shorten the pause.
    const counted = recent.filter((at) => last - at < CRASH_WINDOW_MS).length
    const pauseMs = restartDelayMs(counted)
    if (now - last >= pauseMs) return
    world.fail(
      this.name,
      `${id} starts ${now - last} ms after crash ${counted}, not after ${pauseMs} ms`,
    )
  }

  private checkTurn(id: ReplicaId, key: ServiceKey, world: World): void {
    const wait = this.waiting.get(key)
    if (wait === undefined) return
    this.waiting.delete(key)
    this.look(key, wait, world) // what the event changed may have made it so
    const waitedMs = world.nodeNow() - wait.since
    for (const dependency of wait.depends) {
      if (wait.met.has(nameOf(dependency))) continue
      if (dependency.onTimeout !== 'fail' && waitedMs >= dependency.timeoutMs) continue
      const { service, condition } = dependency
      world.fail(this.name, `${id} starts though ${service} has not been ${condition}`)
    }
  }

  private look(key: ServiceKey, { depends, met }: Wait, world: World): void {
    const { deployment } = parseServiceKey(key)
    for (const dependency of depends) {
      if (this.isMet(deployment, dependency, world)) met.add(nameOf(dependency))
    }
  }

  /** Weaker than any reading of the condition: what was never so in truth was never met. */
  private isMet(deployment: string, dependency: DependencySpec, world: World): boolean {
    const key = serviceKey(deployment, dependency.service)
    const replicas = this.told.replicasOf(key).filter((each) => each.started && !each.exited)
    const spec = world.operator.specOf(key)
    if (spec !== undefined && sleeps(spec)) return true // who comes wakes it
    if (dependency.condition === 'started') return replicas.length > 0
    const well = replicas.filter((each) => whyNoTraffic(each, world) === undefined)
    const wanted = world.operator.wanted(key)
    if (wanted === 0 || well.length < wanted) return false
    if (dependency.condition === 'healthy') return true
    // One that no socket leads to any more is on its way out.
    return this.told
      .listenersOf(key)
      .every(({ id, closed, applied }) => closed || applied > 0 || !this.told.leadingTo(id))
  }

  // Stopping ----------------------------------------------------------------------------------

  private checkStop(id: ReplicaId, what: string, world: World): void {
    const replica = this.told.replicas.get(id)
    if (replica === undefined || this.told.aborting || replica.exited) return
    const group = world.runtime.groupOf(id)
    if (group?.leaderAlive !== true) return
    for (const listener of this.told.listenersOf(replica.service)) {
      if (listener.sent.has(id) && !listener.cut.has(id)) {
        world.fail(this.name, `${what} ${id} while ${listener.id} sends it traffic`)
      }
      if (listener.cut.has(id)) continue
      if (listener.holding.has(id)) {
        world.fail(this.name, `${what} ${id} before ${listener.id} was done with it`)
      }
      const live = world.listeners.doors.get(listener.id)?.streams.connectionsOn(id) ?? 0
      if (live > 0) {
        world.fail(this.name, `${what} ${id} under ${live} connections of ${listener.id}`)
      }
    }
  }

  private checkBackends(
    { listener: id, backends, whenEmpty }: Extract<NodeCommand, { type: 'apply-backends' }>,
    world: World,
  ): void {
    const kept = new Set(backends.map((each) => each.id))
    this.checkHold(id, whenEmpty, world)
    for (const each of kept) {
      const replica = this.told.replicas.get(each)
      if (replica === undefined) continue
      const why = whyNoTraffic(replica, world)
      if (why !== undefined) world.fail(this.name, `${each} gets traffic though it ${why}`)
    }
    const listener = this.told.listeners.get(id)
    // A set that waited for another one mixes what several events made necessary.
    if (listener === undefined || this.isLeft(listener)) return
    if (this.event.type === 'backends-applied') return
    const left = [...listener.sent].filter((each) => !kept.has(each))
    if (left.length > 0 && left.every((each) => this.isSpared(each, world))) {
      this.checkSpare(listener.service, kept.size, left, world)
    }
  }

  /** Nobody waits for what will not come: only what sleeps by wish is woken. */
  private checkHold(id: ListenerId, whenEmpty: 'refuse' | 'hold', world: World): void {
    const key = this.told.listeners.get(id)?.service
    const spec = key === undefined ? undefined : world.operator.specOf(key)
    if (whenEmpty === 'refuse' || spec === undefined || sleeps(spec)) return
    world.fail(this.name, `${id} lets clients wait for ${key}, which nobody wakes`)
  }

  /** No socket leads to it: its set is being given up as a whole, or was never used. */
  private isLeft({ id, closed }: ListenerTold): boolean {
    return closed || !this.told.leadingTo(id)
  }

  /** It is taken out by choice: it is well, is one of those wanted, and nobody asked for it. */
  private isSpared(id: ReplicaId, world: World): boolean {
    const replica = this.told.replicas.get(id)
    if (replica === undefined || replica.exited || replica.failures > 0) return false
    // Across a change of endpoints, those that lack one are ready without being in its set.
    const names = Object.keys(replica.program.ports).join()
    const others = this.told.replicasOf(replica.service)
    if (others.some(({ program }) => Object.keys(program.ports).join() !== names)) return false
    if (this.event.type === 'restart' && this.event.replica !== undefined) return false
    const spec = world.operator.specOf(replica.service)
    if (spec === undefined || spec.errors.onPanic === 'shutdown' || sleeps(spec)) return false
    return replica.number <= world.operator.wanted(replica.service)
  }

  /** While old replicas are replaced, enough others take traffic. */
  private checkSpare(
    key: ServiceKey,
    left: number,
    gone: readonly ReplicaId[],
    world: World,
  ): void {
    const spec = world.operator.specOf(key)
    if (spec === undefined) return
    const { unavailableMax } = spec.update
    // Of a program that chooses its own port there is never a second one.
    const isAlone = wantsOf(key, spec, []).some(({ bind }) => bind === 'never')
    const surgeMax = isAlone ? 0 : spec.update.surgeMax
    const missing = surgeMax === 0 ? Math.max(1, unavailableMax) : unavailableMax
    const least = world.operator.wanted(key) - missing
    if (left >= least) return
    world.fail(this.name, `${gone.join(', ')} cannot be spared: ${left} are left of ${least}`)
  }

  private checkCut(
    { listener: id, backend }: Extract<NodeCommand, { type: 'cut-backend' }>,
    world: World,
  ): void {
    const listener = this.told.listeners.get(id)
    if (listener === undefined || this.told.aborting || isPatienceOver(this.told, world)) return
    const leftAt = listener.leftAt.get(backend)
    // While an older set is under way it may be leaving without having been taken out.
    const since = leftAt ?? (listener.version > listener.applied ? listener.sentAt : undefined)
    if (since === undefined) world.fail(this.name, `${id} cuts ${backend}, which is not leaving`)
    const drainMs = this.drainMs.get(listener.service) ?? 0
    if (world.nodeNow() - since < drainMs) {
      world.fail(
        this.name,
        `${id} cuts ${backend} after ${world.nodeNow() - since} ms of ${drainMs}`,
      )
    }
  }

  private checkGone(prefix: string, when: string, world: World): void {
    for (const group of world.runtime.groups.values()) {
      if (group.life !== world.lifeNumber || !group.replica.startsWith(prefix)) continue
      world.fail(this.name, `${when}, but ${group.replica} (pid ${group.pid}) lives`)
    }
    for (const key of this.waiting.keys()) if (key.startsWith(prefix)) this.waiting.delete(key)
  }

  // Crashes -----------------------------------------------------------------------------------

  /**
   * A crash counts only when it is plain that nobody had asked the replica to leave. A set that is
   * under way can hide that it is leaving: such an end is left out, which only makes the check
   * milder.
   */
  private noteExit(id: ReplicaId, world: World): void {
    const replica = this.told.replicas.get(id)
    if (replica === undefined || replica.signalled || replica.removeOrdered) return
    if (!replica.started) return
    for (const listener of this.told.listenersOf(replica.service)) {
      if (listener.version > listener.applied) return
      if (this.isLeft(listener) && replica.passed) return
      if (replica.passed && !listener.sent.has(id)) return
      if (listener.leftAt.has(id)) return
    }
    if (this.counted.has(id)) return
    this.counted.add(id)
    const slot = `${replica.service}/${replica.number}`
    this.crashes.set(slot, [...(this.crashes.get(slot) ?? []), world.nodeNow()])
  }

  private readonly counted = new Set<ReplicaId>()

  private forgive(key: ServiceKey): void {
    for (const slot of this.crashes.keys()) {
      if (slot.startsWith(`${key}/`)) this.crashes.delete(slot)
    }
  }

  /** What should run runs, and nothing else does. */
  atRest(world: World): void {
    for (const key of world.operator.serviceKeys()) {
      // A roll-out of a program that never works stands still with its stand-ins.
      const most = world.operator.wanted(key) + (world.operator.specOf(key)?.update.surgeMax ?? 0)
      const surplus = livingOf(key, world).length - most
      if (surplus > 0) world.fail(this.name, `at rest ${key} has ${surplus} too many`)
    }
    for (const group of world.runtime.groups.values()) {
      if (group.life !== world.lifeNumber) {
        world.fail(this.name, `${group.replica} of an earlier life still lives`)
      }
      const { deployment, service } = parseReplicaId(group.replica)
      if (world.operator.specOf(serviceKey(deployment, service)) === undefined) {
        world.fail(this.name, `at rest ${group.replica} runs though nobody wants it`)
      }
    }
  }
}

interface Wait {
  /** On the node's clock. */
  readonly since: Instant
  readonly depends: readonly DependencySpec[]
  /** What was seen to hold at some time since. */
  readonly met: Set<string>
}

export const livingOf = (key: ServiceKey, world: World): Group[] =>
  world.runtime.living().filter((group) => group.replica.startsWith(`${key}/`))

/** Why a replica must not be sent clients now, as far as the node was told. */
function whyNoTraffic(replica: ReplicaTold, world: World): string | undefined {
  if (!replica.started) return 'was not started'
  if (replica.exited) return 'has ended'
  if (replica.signalled || replica.removeOrdered) return 'is being stopped'
  // A newer file may have taken its check away, or have given it one it never had before.
  const checked = replica.isChecked && isChecked(world.operator.specOf(replica.service))
  return replica.passed || !checked ? undefined : 'has passed no check since its start'
}

const nameOf = ({ service, condition }: DependencySpec): string => `${service} ${condition}`

const CRASH_WINDOW_MS = 300_000
