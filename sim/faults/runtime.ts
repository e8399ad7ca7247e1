/**
 * The simulated process runtime: what runs, in truth. A replica's program is a process group; it
 * outlives the node that started it, holds its ports while any member lives, and behaves as its
 * manner says. The answers a real shell gives come late, twice, or not at all.
 */
import type { Attempt } from '../../core/machine.ts'
import { unreachable } from '../../core/machine.ts'
import type { Program, RuntimeCommand } from '../../core/node/commands.ts'
import type { RuntimeEvent } from '../../core/node/events.ts'
import type { ReplicaId } from '../../core/services/identity.ts'
import type { Ratio } from '../prng.ts'
import type { World } from '../world.ts'
import { placesOf } from './host-ports.ts'

export interface RuntimeFaults {
  /** The log cannot be opened. */
  readonly createFails: Ratio
  readonly startFails: Ratio
  /** The program ends within 200 ms of its start. */
  readonly diesEarly: Ratio
  /** It ends within two minutes. */
  readonly diesLate: Ratio
  /** It begins to listen seconds after its start. */
  readonly startsSlowly: Ratio
  readonly ignoresStop: Ratio
  /** Children of its group outlive the first process, and hold its ports. */
  readonly leavesChildren: Ratio
  /** Sleeps in the kernel: even SIGKILL takes seconds. */
  readonly diesSlowly: Ratio
  /** `verify` says dead though it lives. */
  readonly verifyLies: Ratio
  /** An answer comes up to 15 s late. */
  readonly answersLate: Ratio
  readonly answersTwice: Ratio
  readonly answersLost: Ratio
  /** A leftover that cannot be killed in time when the next life begins. */
  readonly leftoverSurvives: Ratio
}

/** How a program behaves, decided when it is spawned. */
export interface Manner {
  readonly listensAfterMs: number
  readonly endsAfterMs: number | undefined
  /** Undefined: it ignores the stop signal. */
  readonly stopsAfterMs: number | undefined
  readonly diesAfterMs: number
  readonly leavesChildren: boolean
  /** It listens on every address of the machine, IPv6 included, as careless programs do. */
  readonly listensWide: boolean
}

/** A process group that was spawned; `replica` is unique only within `life`. */
export interface Group {
  readonly pid: number
  readonly replica: ReplicaId
  readonly life: number
  readonly program: Program
  readonly manner: Manner
  /** The first process; its end is what the node is told. */
  leaderAlive: boolean
  /** Somebody of the group lives. */
  alive: boolean
  listening: boolean
  /** Fails its health checks until then, though it lives. */
  sickUntil: number
  /** A stop or kill has been ordered, by the node or from outside. */
  doomed: boolean
}

/** What the shell of this life knows of a replica. */
interface Known {
  readonly program: Program
  group: Group | undefined
  /** Answers and effects of one replica keep their order. */
  busyUntil: number
  cancelled: boolean
  /** Removal waits for the group's end. */
  onGone: (() => void)[]
}

export class SimRuntime {
  /** By pid; every group with a living member, of whatever life. */
  readonly groups = new Map<number, Group>()
  /** Manners that the next programs take, whatever the faults say; for scripts. */
  readonly scripted: Partial<Manner>[] = []
  private readonly world: World
  private readonly faults: RuntimeFaults
  private records = new Map<ReplicaId, Known>()
  private pids = FIRST_PID

  constructor(world: World, faults: RuntimeFaults) {
    this.world = world
    this.faults = faults
  }

  apply(command: RuntimeCommand): void {
    switch (command.type) {
      case 'reap-leftovers':
        return this.reap(command.attempt, command.graceMs)
      case 'create-replica':
        return this.create(command.replica, command.attempt, command.program)
      case 'start-replica':
        return this.start(command.replica, command.attempt)
      case 'verify-replica':
        return this.verify(command.replica, command.attempt)
      case 'resolve-address': {
        const { replica, attempt } = command
        return this.answer(replica, 0, {
          type: 'address-resolved',
          replica,
          attempt,
          host: LOOPBACK,
        })
      }
      case 'signal-replica':
        return this.signal(command.replica, command.signal)
      case 'remove-replica':
        return this.remove(command.replica, command.attempt)
      default:
        return unreachable(command)
    }
  }

  /** The group of this life's replica, while its shell knows it. */
  groupOf(replica: ReplicaId): Group | undefined {
    return this.records.get(replica)?.group
  }

  /** Living groups of the present life, in order of their start. */
  living(): Group[] {
    return [...this.groups.values()].filter((group) => group.life === this.world.lifeNumber)
  }

  /** From outside: the program is killed, and nobody asked for it. */
  kill(group: Group): void {
    this.endLeader(group, 'SIGKILL from outside')
  }

  /** No shell remembers anything any more; what runs, runs on. */
  nodeDown(): void {
    this.records = new Map()
  }

  /** What is stuck comes loose; what is sick gets well. */
  heal(): void {
    for (const group of [...this.groups.values()]) {
      group.sickUntil = 0
      if (group.doomed) this.endGroup(group, 'SIGKILL at last')
    }
  }

  // A replica's life, in order ----------------------------------------------------------------

  private create(replica: ReplicaId, attempt: Attempt, program: Program): void {
    const { world } = this
    const record: Known = {
      program,
      group: undefined,
      busyUntil: 0,
      cancelled: false,
      onGone: [],
    }
    this.records.set(replica, record)
    this.effect(replica, () => {
      if (record.cancelled) return
      // What it chooses by itself nobody but the program knows.
      const places = placesOf({ ...program, argv: [] }, LOOPBACK)
      for (const place of places) world.ports.tempt(place, world.draws.faults)
      const portsTaken = places
        .filter((place) => world.ports.inTheWay(place) !== undefined)
        .map(({ port }) => port)
      if (portsTaken.length > 0) {
        const reason = `port ${portsTaken[0]} is taken`
        this.answer(replica, 0, {
          type: 'replica-create-failed',
          replica,
          attempt,
          reason,
          portsTaken,
        })
      } else if (this.happens(this.faults.createFails)) {
        const reason = 'cannot open the log: no space left on device'
        this.answer(replica, 0, {
          type: 'replica-create-failed',
          replica,
          attempt,
          reason,
          portsTaken,
        })
      } else {
        this.answer(replica, 0, { type: 'replica-created', replica, attempt })
      }
    })
  }

  private start(replica: ReplicaId, attempt: Attempt): void {
    const record = this.records.get(replica)
    if (record === undefined) return
    this.effect(replica, () => {
      if (record.cancelled || record.group !== undefined) return
      if (this.happens(this.faults.startFails)) {
        const reason = 'spawn failed: no such file'
        this.answer(replica, 0, { type: 'replica-start-failed', replica, attempt, reason })
        return
      }
      const group = this.spawn(replica, record)
      const { pid } = group
      this.answer(replica, 0, { type: 'replica-started', replica, attempt, pid })
    })
  }

  private verify(replica: ReplicaId, attempt: Attempt): void {
    const truth = this.records.get(replica)?.group?.leaderAlive === true
    const alive = truth && !this.happens(this.faults.verifyLies)
    this.answer(replica, 0, { type: 'replica-verified', replica, attempt, alive })
  }

  private signal(replica: ReplicaId, signal: string): void {
    const group = this.records.get(replica)?.group
    if (group === undefined || !group.alive) return
    group.doomed = true
    const { stopsAfterMs, diesAfterMs } = group.manner
    if (signal === 'SIGKILL') {
      this.world.at(diesAfterMs, () => this.endGroup(group, 'SIGKILL'))
    } else if (stopsAfterMs !== undefined) {
      this.world.at(stopsAfterMs, () => this.endLeader(group, signal))
    }
  }

  private remove(replica: ReplicaId, attempt: Attempt): void {
    const record = this.records.get(replica)
    const gone = (): void => {
      // A second removal that was ordered while the first waited must not forget a newer record.
      if (this.records.get(replica) === record) this.records.delete(replica)
      this.answer(replica, 0, { type: 'replica-removed', replica, attempt }, record)
    }
    if (record === undefined) return gone()
    record.cancelled = true
    const { group } = record
    if (group === undefined || !group.alive) return this.effect(replica, gone)
    group.doomed = true
    record.onGone.push(gone)
    this.world.at(group.manner.diesAfterMs, () => this.endGroup(group, 'SIGKILL'))
  }

  private reap(attempt: Attempt, graceMs: number): void {
    const { world } = this
    const life = world.lifeNumber
    const leftovers = [...this.groups.values()].filter((group) => group.life < life)
    const surviving: number[] = []
    let waitMs = 1
    for (const group of leftovers) {
      group.doomed = true
      if (this.happens(this.faults.leftoverSurvives)) {
        surviving.push(group.pid)
        continue
      }
      const { stopsAfterMs, diesAfterMs, leavesChildren } = group.manner
      const politely = stopsAfterMs !== undefined && stopsAfterMs < graceMs && !leavesChildren
      const endsMs = politely ? stopsAfterMs : graceMs + diesAfterMs
      waitMs = Math.max(waitMs, endsMs)
      world.at(endsMs, () => this.endGroup(group, 'SIGKILL by its successor'))
    }
    const reaped = leftovers.map(({ pid }) => pid).filter((pid) => !surviving.includes(pid))
    world.inNode(waitMs + 1, () => {
      world.step({ type: 'leftovers-reaped', attempt, reaped, surviving })
    })
  }

  // Processes ---------------------------------------------------------------------------------

  private spawn(replica: ReplicaId, record: Known): Group {
    const { world } = this
    const manner = { ...this.drawManner(record.program), ...this.scripted.shift() }
    const group: Group = {
      pid: this.pids++,
      replica,
      life: world.lifeNumber,
      program: record.program,
      manner,
      leaderAlive: true,
      alive: true,
      listening: false,
      sickUntil: 0,
      doomed: false,
    }
    record.group = group
    this.groups.set(group.pid, group)
    const { pid, life } = group
    world.change({
      type: 'process-spawned',
      replica,
      pid,
      life,
      manner: JSON.stringify(manner),
    })
    world.at(manner.listensAfterMs, () => this.listen(group))
    if (manner.endsAfterMs !== undefined) {
      world.at(manner.endsAfterMs, () => {
        if (!world.healed || isBroken(group.program)) this.endLeader(group, 'exit 1')
      })
    }
    return group
  }

  private listen(group: Group): void {
    if (!group.leaderAlive) return
    const { world } = this
    const { pid, replica, program, manner } = group
    const everywhere = world.ports.has('::') ? '::' : '0.0.0.0'
    for (const place of placesOf(program, manner.listensWide ? everywhere : '127.0.0.1')) {
      if (world.ports.bind(place, { type: 'group', pid, replica }).type !== 'bound') {
        return this.endLeader(group, 'exit 1 (address in use)')
      }
    }
    group.listening = true
    world.change({ type: 'process-listening', replica, pid })
  }

  private endLeader(group: Group, how: string): void {
    if (!group.leaderAlive) return
    const { world } = this
    const { pid, replica } = group
    group.leaderAlive = false
    group.listening = false
    world.change({ type: 'process-ended', replica, pid, how })
    world.listeners.processEnded(group)
    if (group.life === world.lifeNumber && world.life !== 'down') {
      const killed = how.startsWith('SIG')
      this.answer(replica, 0, {
        type: 'replica-exited',
        replica,
        code: killed ? null : 1,
        signal: killed ? how.split(' ', 1)[0]! : null,
        logTail: [],
      })
    }
    if (!group.manner.leavesChildren) this.endGroup(group, how)
  }

  private endGroup(group: Group, how: string): void {
    if (!group.alive) return
    const { world } = this
    const { pid, replica } = group
    this.endLeader(group, how)
    if (!group.alive) return
    group.alive = false
    this.groups.delete(pid)
    world.ports.releaseAll((holder) => holder.type === 'group' && holder.pid === pid)
    world.change({ type: 'group-gone', replica, pid })
    const record = this.records.get(replica)
    if (record?.group === group) for (const gone of record.onGone.splice(0)) gone()
  }

  private drawManner(program: Program): Manner {
    const { faults, world } = this
    const draw = world.draws.faults
    const broken = isBroken(program)
    const early = this.happens(faults.diesEarly)
    const late = this.happens(faults.diesLate)
    return {
      listensAfterMs: this.happens(faults.startsSlowly)
        ? draw.between(500, 20_000)
        : draw.below(40),
      endsAfterMs:
        broken || early ? draw.below(200) : late ? draw.between(200, 120_000) : undefined,
      stopsAfterMs: this.happens(faults.ignoresStop) ? undefined : draw.below(100),
      diesAfterMs: this.happens(faults.diesSlowly) ? draw.between(1_000, 15_000) : draw.below(5),
      leavesChildren: this.happens(faults.leavesChildren),
      listensWide: world.draws.schedule.below(4) === 0,
    }
  }

  // Time and order ----------------------------------------------------------------------------

  /** Does something a moment later, after what this replica has under way. */
  private effect(replica: ReplicaId, run: () => void): void {
    this.world.inNode(this.queueUp(this.records.get(replica), this.shortly()), run)
  }

  /** Tells the node, after what it is being told about this replica already. */
  private answer(
    replica: ReplicaId,
    delayMs: number,
    event: RuntimeEvent,
    record = this.records.get(replica),
  ): void {
    const { faults, world } = this
    const isFact = event.type === 'replica-exited'
    if (!isFact && this.happens(faults.answersLost)) return
    const late = !isFact && this.happens(faults.answersLate)
    const lateMs = late ? world.draws.faults.between(100, 15_000) : 0
    const afterMs = late ? lateMs : this.queueUp(record, delayMs + this.shortly())
    world.inNode(afterMs, () => world.step(event))
    if (this.happens(faults.answersTwice)) {
      world.inNode(afterMs + world.draws.faults.between(0, 5_000), () => world.step(event))
    }
  }

  private queueUp(record: Known | undefined, delayMs: number): number {
    const { now } = this.world
    if (record === undefined) return delayMs
    record.busyUntil = Math.max(record.busyUntil + 1, now + delayMs)
    return record.busyUntil - now
  }

  private shortly(): number {
    return this.world.draws.schedule.below(5)
  }

  private happens(fault: Ratio): boolean {
    return !this.world.healed && this.world.draws.faults.chance(fault)
  }
}

/** What a test draws when it needs no particular manner. */
export const GOOD_MANNER: Manner = {
  listensAfterMs: 1,
  endsAfterMs: undefined,
  stopsAfterMs: 1,
  diesAfterMs: 1,
  leavesChildren: false,
  listensWide: false,
}

const isBroken = (program: Program): boolean => program.argv[1] === BROKEN

export const LOOPBACK = '127.0.0.1'
/** The second word of a program that never works. */
export const BROKEN = 'broken'
const FIRST_PID = 1_000
