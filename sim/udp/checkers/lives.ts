/**
 * The lives of flows, as the commands tell them: one socket each, one end with one reason that is
 * true, never more than a limit allowed, none that ends early or lingers on.
 */
import type { BackendId } from '../../../core/balance/group.ts'
import { type Attempt, type Instant, unreachable } from '../../../core/machine.ts'
import type { CloseReason, FlowCommand } from '../../../core/udp/commands.ts'
import type { UdpConfig } from '../../../core/udp/config.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import type { UdpWorld } from '../world.ts'
import type { UdpChecker, UdpStep } from './checker.ts'

export interface Life {
  readonly admittedAt: Instant
  readonly config: UdpConfig
  attempt: Attempt
  backend: BackendId
  opened: boolean
  owed: number
  answered: boolean
  /** Exact: not rounded to a unit. */
  endsAt: Instant
  datagramsUp: number
  bytesUp: number
  datagramsDown: number
  bytesDown: number
}

export class Lives implements UdpChecker {
  readonly live = new Map<FlowId, Life>()
  #ended = new Set<FlowId>()
  #flowsMax = 0
  #isClosing = false
  #isAborting = false
  #closesAll = false

  onLife(world: UdpWorld): void {
    this.live.clear()
    this.#ended = new Set()
    this.#flowsMax = world.inForce.flowsMax
    this.#isClosing = false
    this.#isAborting = false
    this.#closesAll = false
  }

  onStep(step: UdpStep, world: UdpWorld): void {
    const { event, commands, now, table, before } = step
    if (event.type === 'configure') this.#flowsMax = Math.max(this.#flowsMax, event.config.flowsMax)
    this.#isClosing ||= event.type === 'close'
    this.#isAborting ||= event.type === 'abort-all'
    this.#closesAll ||= event.type === 'close-all'
    if (event.type === 'upstream-opened') {
      const life = this.live.get(event.flow)
      if (life?.attempt === event.attempt) life.opened = true
    }
    for (const command of commands) this.#follow(command, step, world)
    if (this.live.size > this.#flowsMax) world.fail(NAME, `${this.live.size} flows, too many`)
    if (table.flowCount !== this.live.size) {
      world.fail(NAME, `${table.flowCount} flows by its count, ${this.live.size} by its commands`)
    }
    if (event.type === 'client-datagram' && commands.length === 0) {
      const grew = table.flowCount !== before.flowCount || table.deadline() !== before.deadline
      if (grew) world.fail(NAME, 'a datagram that went nowhere left something behind')
    }
    if (event.type === 'tick') this.#checkOverdue(now, world)
    this.#checkWoken(now, table.deadline(), world)
  }

  afterBatch(world: UdpWorld): void {
    const { all, opened, closed } = world.sockets
    if (opened - closed !== all.size || all.size !== this.live.size) {
      world.fail(NAME, `${all.size} sockets for ${this.live.size} flows`)
    }
  }

  atEnd(world: UdpWorld): void {
    if (world.sockets.all.size > 0)
      world.fail(NAME, `emptied with ${world.sockets.all.size} sockets`)
  }

  #follow(command: FlowCommand, step: UdpStep, world: UdpWorld): void {
    const { now } = step
    switch (command.type) {
      case 'open-upstream':
        return this.#open(command, step, world)
      case 'close-upstream':
        this.#lifeOf(command, world).opened = false
        return
      case 'send-upstream': {
        const life = this.#lifeOf(command, world)
        const { config } = life
        if (!life.opened) world.fail(NAME, `${command.flow} sends before its socket is open`)
        life.datagramsUp += 1
        life.bytesUp += command.payload.length
        life.owed += Math.max(1, config.responses)
        const quietMs = life.answered
          ? config.frontTimeoutMs
          : Math.min(config.frontTimeoutMs, config.halfOpenTimeoutMs)
        return putOff(life, now, quietMs)
      }
      case 'send-client': {
        const life = this.live.get(command.flow)
        if (life === undefined) world.fail(NAME, `${command.flow} answers and is no flow`)
        if (!life.opened) world.fail(NAME, `${command.flow} answers before its socket is open`)
        life.datagramsDown += 1
        life.bytesDown += command.payload.length
        life.owed = Math.max(0, life.owed - 1)
        life.answered = true
        return putOff(life, now, life.config.backTimeoutMs)
      }
      case 'close-flow':
        return this.#close(command, step, world)
    }
  }

  #open(
    { flow, attempt, backend }: Extract<FlowCommand, { type: 'open-upstream' }>,
    { now }: UdpStep,
    world: UdpWorld,
  ): void {
    if (this.#ended.has(flow)) world.fail(NAME, `${flow} lives again`)
    const life = this.live.get(flow)
    const { inForce: config } = world
    if (attempt !== (life?.attempt ?? 0) + 1) world.fail(NAME, `${flow} skips to ${attempt}`)
    if (life === undefined) {
      const started: Life = {
        admittedAt: now,
        config,
        attempt,
        backend,
        opened: false,
        owed: 0,
        answered: false,
        endsAt: 0,
        datagramsUp: 0,
        bytesUp: 0,
        datagramsDown: 0,
        bytesDown: 0,
      }
      this.live.set(flow, started)
      return putOff(started, now, config.halfOpenTimeoutMs)
    }
    Object.assign(life, { attempt, backend, opened: false, owed: 0 })
    putOff(life, now, life.config.halfOpenTimeoutMs)
  }

  #close(
    command: Extract<FlowCommand, { type: 'close-flow' }>,
    step: UdpStep,
    world: UdpWorld,
  ): void {
    const { flow, reason, totals, backend } = command
    const life = this.#lifeOf(command, world)
    world.trace.mark(`udp close ${reason}`)
    if (!this.#isTrue(reason, flow, life, step, world)) {
      world.fail(NAME, `${flow} is closed at ${step.now} for ${reason}, which is not true`)
    }
    const real = { ...pickTotals(life), durationMs: step.now - life.admittedAt }
    if (
      JSON.stringify(real) !==
      JSON.stringify({ ...pickTotals(totals), durationMs: totals.durationMs })
    ) {
      world.fail(NAME, `${flow} ends with ${JSON.stringify(totals)}, not ${JSON.stringify(real)}`)
    }
    if (backend !== life.backend)
      world.fail(NAME, `${flow} ends on ${backend}, not ${life.backend}`)
    this.live.delete(flow)
    this.#ended.add(flow)
  }

  #isTrue(
    reason: CloseReason,
    flow: FlowId,
    life: Life,
    { event, now }: UdpStep,
    world: UdpWorld,
  ): boolean {
    const { config } = life
    const isItsFailure = event.type === 'upstream-failed' && event.flow === flow
    switch (reason) {
      case 'idle':
        return life.answered && now >= life.endsAt
      case 'half-open':
        return !life.answered && now >= life.endsAt
      case 'lifetime':
        return config.lifetimeMaxMs > 0 && now >= life.admittedAt + config.lifetimeMaxMs
      case 'responses':
        return config.responses > 0 && life.owed === 0
      case 'requests':
        return config.requests > 0 && life.datagramsUp >= config.requests && life.owed === 0
      case 'evicted':
        return (
          event.type === 'client-datagram' &&
          !life.answered &&
          this.live.size >= world.inForce.flowsMax &&
          // Half-open, and none of those would have ended earlier, give or take a unit.
          [...this.live.values()].every((each) => each.answered || each.endsAt > life.endsAt - 16)
        )
      case 'backend-failed':
        return isItsFailure && event.blame === 'backend'
      case 'host-limit':
        return isItsFailure && event.blame === 'host'
      case 'forbidden': // whether that is so, another checker knows
      case 'superseded':
        return event.type === 'client-datagram'
      case 'drained':
        return this.#isClosing
      case 'closed':
        return this.#closesAll
      case 'aborted':
        return this.#isAborting || (event.type === 'abort-flow' && event.flow === flow)
      default:
        return unreachable(reason)
    }
  }

  /** A tick at `now` ends whatever should have ended a unit before. */
  #checkOverdue(now: Instant, world: UdpWorld): void {
    for (const [flow, { endsAt }] of this.live) {
      if (endsAt + UNIT_MS <= now) world.fail(NAME, `${flow} should have ended at ${endsAt}`)
    }
  }

  /** Whoever obeys the deadline ends nothing later than a unit after its time. */
  #checkWoken(now: Instant, deadline: Instant | undefined, world: UdpWorld): void {
    let next = Number.POSITIVE_INFINITY
    for (const { endsAt } of this.live.values()) next = Math.min(next, endsAt)
    if ((deadline ?? Number.POSITIVE_INFINITY) <= Math.max(next, now) + UNIT_MS) return
    if (this.live.size > 0) world.fail(NAME, `the deadline is ${deadline}, a flow ends at ${next}`)
  }

  #lifeOf({ flow, attempt }: { flow: FlowId; attempt: Attempt }, world: UdpWorld): Life {
    const life = this.live.get(flow)
    if (life === undefined) world.fail(NAME, `${flow}.${attempt} is no flow, or no more`)
    if (life.attempt !== attempt)
      world.fail(NAME, `${flow}.${attempt} has moved to ${life.attempt}`)
    return life
  }
}

/** A lifetime that is over already ends it next. */
function putOff(life: Life, now: Instant, quietMs: number): void {
  const { lifetimeMaxMs } = life.config
  const endsAt = lifetimeMaxMs > 0 ? life.admittedAt + lifetimeMaxMs : Number.POSITIVE_INFINITY
  life.endsAt = Math.max(now, Math.min(now + quietMs, endsAt))
}

const pickTotals = ({
  datagramsUp,
  bytesUp,
  datagramsDown,
  bytesDown,
}: Pick<Life, 'datagramsUp' | 'bytesUp' | 'datagramsDown' | 'bytesDown'>) => ({
  datagramsUp,
  bytesUp,
  datagramsDown,
  bytesDown,
})

const NAME = 'udp lives'
const UNIT_MS = 16
