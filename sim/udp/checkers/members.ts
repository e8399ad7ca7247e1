/**
 * Backends: flows go to those that may be chosen and stay until theirs leaves, is down or fails;
 * each departure is told once, when nobody waits for it any more or has waited long enough.
 */
import type { Backend, BackendId } from '../../../core/balance/group.ts'
import type { Instant } from '../../../core/machine.ts'
import type { FlowCommand } from '../../../core/udp/commands.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import type { UdpWorld } from '../world.ts'
import type { UdpChecker, UdpStep } from './checker.ts'
import type { Lives } from './lives.ts'

/** A backend that comes back after it was done with, or elsewhere, is another one. */
interface Given {
  readonly backend: BackendId
  readonly stay: number
}

export class Members implements UdpChecker {
  readonly #lives: Lives
  #version = 0
  #set = new Map<BackendId, Backend>()
  #candidates = new Set<BackendId>()
  /** Left, and the table has not said yet that it is done with it; until when it may wait. */
  #leaving = new Map<BackendId, Instant>()
  /** How often each was done with, or moved. */
  #stays = new Map<BackendId, number>()
  /** Where each was last. */
  #places = new Map<BackendId, string>()
  #given = new Map<FlowId, Given>()
  #failedAt = new Map<string, Instant>()
  #isEmptied = false

  constructor(lives: Lives) {
    this.#lives = lives
  }

  onLife(): void {
    this.#version = 0
    this.#set = new Map()
    this.#candidates = new Set()
    this.#leaving = new Map()
    this.#stays = new Map()
    this.#places = new Map()
    this.#given = new Map()
    this.#failedAt = new Map()
    this.#isEmptied = false
  }

  onStep(step: UdpStep, world: UdpWorld): void {
    const { event, commands, now } = step
    if (event.type === 'apply-backends') this.#apply(event.version, event.backends, now, world)
    for (const command of commands) this.#follow(command, step, world)
    for (const [backend, until] of this.#leaving) {
      if (event.type === 'tick' && until <= now) {
        world.fail(NAME, `${backend} is waited for at ${now}, though only until ${until}`)
      }
      if (!this.#isWaitedFor(backend)) world.fail(NAME, `${backend} is done, and nobody is told`)
    }
  }

  #apply(version: number, backends: readonly Backend[], now: Instant, world: UdpWorld): void {
    if (version <= this.#version) return
    this.#version = version
    const left = [...this.#set.keys()].filter((id) => !backends.some((each) => each.id === id))
    for (const id of left) this.#leaving.set(id, now + world.inForce.lingerMs)
    this.#set = new Map(backends.map((each) => [each.id, each]))
    for (const [id, { host, port }] of this.#set) {
      this.#leaving.delete(id)
      const place = `${host} ${port}`
      if ((this.#places.get(id) ?? place) !== place) this.#endStay(id)
      this.#places.set(id, place)
    }
    const up = backends.filter(({ down }) => down !== true)
    const main = up.filter(({ backup }) => backup !== true)
    const isFailingOpen = up.length === 0 && world.options.failOpen
    const chosenFrom = main.length > 0 ? main : isFailingOpen ? backends : up
    this.#candidates = new Set(chosenFrom.map(({ id }) => id))
  }

  #follow(command: FlowCommand, step: UdpStep, world: UdpWorld): void {
    if (this.#isEmptied) world.fail(NAME, `${command.type} after emptied`)
    switch (command.type) {
      case 'open-upstream': {
        this.#checkChoice(command, step, world)
        const { flow, backend } = command
        this.#given.set(flow, { backend, stay: this.#stays.get(backend) ?? 0 })
        return
      }
      case 'close-flow':
        this.#given.delete(command.flow)
        return
      case 'backends-applied': {
        const isTurn = step.event.type === 'apply-backends'
        if (isTurn && command.version === this.#version) return
        world.fail(NAME, `version ${command.version} is applied, out of turn`)
        return
      }
      case 'backend-drained':
        return this.#checkDrained(command, step, world)
      case 'backend-failed':
        return this.#checkFailed(command, step, world)
      case 'emptied':
        this.#isEmptied = true
        if (this.#lives.live.size > 0) world.fail(NAME, 'emptied, and there are flows')
        return
    }
  }

  #checkChoice(
    { flow, backend, host, port }: Extract<FlowCommand, { type: 'open-upstream' }>,
    { event }: UdpStep,
    world: UdpWorld,
  ): void {
    const member = this.#set.get(backend)
    if (!this.#candidates.has(backend) || member === undefined) {
      world.fail(NAME, `${flow} is given ${backend}, which may not be chosen`)
    }
    if (member.host !== host || member.port !== port) {
      world.fail(NAME, `${flow} goes to ${host}:${port}, where ${backend} is not`)
    }
    const before = this.#given.get(flow)
    if (before === undefined) return
    const failed = event.type === 'upstream-failed' && event.flow === flow
    if (failed && backend === before.backend) {
      world.fail(NAME, `${flow} is given ${backend} once more`)
    }
    if (failed || !this.#candidates.has(before.backend) || !this.#isSameStay(before)) return
    world.fail(NAME, `${flow} leaves ${before.backend}, which is as good as ever`)
  }

  #checkDrained(
    { backend, version }: Extract<FlowCommand, { type: 'backend-drained' }>,
    { event, now }: UdpStep,
    world: UdpWorld,
  ): void {
    const until = this.#leaving.get(backend)
    if (until === undefined) world.fail(NAME, `${backend} is drained, which did not leave`)
    if (version !== this.#version) world.fail(NAME, `${backend} is drained in ${version}`)
    const isCut = event.type === 'cut-backend' && event.backend === backend
    const isOver = event.type === 'tick' && until <= now
    if (!isCut && !isOver && this.#isWaitedFor(backend)) {
      world.fail(NAME, `${backend} is drained while somebody waits for it`)
    }
    this.#leaving.delete(backend)
    this.#endStay(backend)
  }

  #endStay(backend: BackendId): void {
    this.#stays.set(backend, (this.#stays.get(backend) ?? 0) + 1)
  }

  #checkFailed(
    { backend }: Extract<FlowCommand, { type: 'backend-failed' }>,
    { event, now }: UdpStep,
    world: UdpWorld,
  ): void {
    const flow = event.type === 'upstream-failed' && event.blame === 'backend' ? event.flow : NONE
    const given = flow === NONE ? undefined : this.#given.get(flow)
    if (given?.backend !== backend) world.fail(NAME, `${backend} did not fail`)
    const which = `${backend} ${given.stay}`
    const last = this.#failedAt.get(which)
    if (last !== undefined && now - last < FAILURES_EVERY_MS) {
      world.fail(NAME, `${backend} fails again after ${now - last} ms`)
    }
    this.#failedAt.set(which, now)
  }

  #isSameStay({ backend, stay }: Given): boolean {
    return stay === (this.#stays.get(backend) ?? 0)
  }

  #isWaitedFor(backend: BackendId): boolean {
    for (const [flow, life] of this.#lives.live) {
      const given = this.#given.get(flow)
      // The first is true after the step, the second while its commands are looked at.
      if (life.backend !== backend || given?.backend !== backend) continue
      if (!this.#isSameStay(given)) continue
      if (!life.opened || life.owed > 0) return true
    }
    return false
  }
}

const NAME = 'udp backends'
const NONE = -1
const FAILURES_EVERY_MS = 1_000
