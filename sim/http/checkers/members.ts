/**
 * Backends and listeners: connections go to who may be chosen, at its address; what is told of sets,
 * of backends that leave and fail, of who waits and who is idle, is told once and true.
 */
import type { BackendId } from '../../../core/balance/group.ts'
import type { IngressCommand } from '../../../core/http/commands.ts'
import type { HttpListenerId, UpstreamId } from '../../../core/http/events.ts'
import type { Instant } from '../../../core/machine.ts'
import type { HttpWorld } from '../world.ts'
import type { HttpChecker, HttpStep } from './checker.ts'

export class Members implements HttpChecker {
  readonly #failedAt = new Map<string, Instant>()
  /** Left, and the ingress has not said yet that it is done with it. */
  readonly #leaving = new Map<HttpListenerId, Set<BackendId>>()
  readonly #before = new Map<HttpListenerId, readonly BackendId[]>()
  /** Backends that failed before, for who waits for this connection. */
  readonly #tried = new Map<UpstreamId, number>()
  readonly #backendOf = new Map<UpstreamId, BackendId>()
  readonly #connected = new Set<UpstreamId>()
  /** Who waits for this connection was repeated, as a session of HTTP/2 did not take it. */
  readonly #repeated = new Set<UpstreamId>()
  readonly #wanted = new Set<HttpListenerId>()
  readonly #idle = new Set<HttpListenerId>()

  onStep({ event, commands }: HttpStep, world: HttpWorld): void {
    if (event.type === 'upstream-connected') this.#connected.add(event.upstream)
    if (event.type === 'upstream-failed') this.#checkRetry(event.upstream, commands, world)
    if (event.type !== 'apply-backends') return
    const { listener: id } = event
    const truth = world.operator.listeners.get(id)
    if (truth === undefined) return
    this.#wanted.delete(id)
    const leaving = this.#leaving.get(id) ?? new Set()
    for (const backend of this.#before.get(id) ?? [])
      if (!truth.set.has(backend)) leaving.add(backend)
    for (const backend of truth.set.keys()) leaving.delete(backend)
    this.#leaving.set(id, leaving)
    this.#before.set(id, [...truth.set.keys()])
    const applied = commands.filter((each) => each.type === 'backends-applied')
    const isTold = applied.length === 1 && applied[0]?.version === truth.version
    if (!isTold) world.fail(NAME, `set ${truth.version} of ${id} is not told as applied`)
  }

  onCommand(command: IngressCommand, step: HttpStep, world: HttpWorld): void {
    switch (command.type) {
      case 'connect':
        return this.#connect(command, world)
      case 'backend-drained': {
        const { listener, backend, version } = command
        const truth = world.operator.listeners.get(listener)
        if (this.#leaving.get(listener)?.delete(backend) !== true || truth?.version !== version) {
          world.fail(NAME, `${backend} of ${listener} is told as drained, and did not leave`)
        }
        return
      }
      case 'backend-failed': {
        const name = `${command.listener} ${command.backend}`
        const before = this.#failedAt.get(name)
        // Under another address it is another backend.
        const isSoon = before !== undefined && step.now - before < 1_000
        const places = world.operator.listeners.get(command.listener)?.places
        const since = places?.get(command.backend)?.since ?? step.now
        if (isSoon && since <= before - MOVED_MS) {
          world.fail(NAME, `${name} failed twice in a second, as it is told`)
        }
        this.#failedAt.set(name, step.now)
        return
      }
      case 'wanted':
        if (this.#wanted.has(command.listener)) world.fail(NAME, 'wanted is said twice')
        this.#wanted.add(command.listener)
        return
      case 'idle':
      case 'busy': {
        const { listener, type } = command
        if (this.#idle.has(listener) === (type === 'idle')) {
          world.fail(NAME, `${listener} is ${type}, and was`)
        }
        if (type === 'idle') this.#idle.add(listener)
        else this.#idle.delete(listener)
        if (type === 'idle' && this.#exchangesOf(listener, world) > 0) {
          world.fail(NAME, `${listener} is called idle, and is not`)
        }
        return
      }
      case 'emptied':
        return this.#emptied(command.listener, world)
    }
  }

  afterStep(step: HttpStep, world: HttpWorld): void {
    for (const [listener, leaving] of this.#leaving) {
      for (const backend of leaving) {
        const isWaitedFor = [...world.backends.live.values()].some(
          ({ place, isUsed }) => isUsed && place.listener === listener && place.backend === backend,
        )
        if (!isWaitedFor && !this.#isGivenTo(listener, backend, world)) {
          world.fail(NAME, `${backend} of ${listener} is done, and nobody is told, at ${step.now}`)
        }
      }
    }
    // Idle connections to a backend that left are no use to anybody.
    for (const upstream of world.backends.live.values()) {
      const { listener, backend } = upstream.place
      const truth = world.operator.listeners.get(listener)
      if (upstream.isUsed || truth?.phase === 'aborting') continue
      if (truth?.set.has(backend) === true) continue
      world.fail(NAME, `upstream ${upstream.id} is idle, and ${backend} left`)
    }
  }

  /** Who goes to another backend because one failed has tried one more. */
  #checkRetry(failed: UpstreamId, commands: readonly IngressCommand[], world: HttpWorld): void {
    // With one that is over its client may begin the next.
    if (commands.some(({ type }) => type === 'exchanged')) return
    const before = this.#tried.get(failed) ?? 0
    for (const command of commands) {
      if (command.type !== 'connect') continue
      const backend = this.#backendOf.get(failed)!
      const truth = world.operator.listeners.get(command.listener)
      // To the same one, unless that may not be chosen any more.
      const isSame = backend === command.backend || truth?.candidates.has(backend) !== true
      const isRepeat = isSame && this.#connected.has(failed) && !this.#repeated.has(failed)
      if (isRepeat || this.#repeated.has(failed)) this.#repeated.add(command.upstream)
      this.#tried.set(command.upstream, isRepeat ? before : before + 1)
      if (isRepeat) continue
      const settings = world.operator.settingsOf(command.listener, 0)
      if (before + 1 <= Math.max(...settings.map(({ retries }) => retries))) continue
      world.fail(NAME, `one request tries ${before + 2} backends of ${command.listener}`)
    }
  }

  #connect(command: Extract<IngressCommand, { type: 'connect' }>, world: HttpWorld): void {
    const { listener, backend, host, port, upstream } = command
    this.#backendOf.set(upstream, backend)
    const truth = world.operator.listeners.get(listener)
    const member = truth?.set.get(backend)
    if (truth === undefined || member === undefined) {
      world.fail(NAME, `upstream ${upstream} goes to ${backend} of ${listener}, which left`)
    }
    if (member.host !== host || member.port !== port) {
      world.fail(NAME, `upstream ${upstream} goes to ${host}:${port}, where ${backend} was`)
    }
    if (!truth.candidates.has(backend)) {
      world.fail(NAME, `upstream ${upstream} goes to ${backend}, which may not be chosen`)
    }
  }

  #emptied(listener: HttpListenerId, world: HttpWorld): void {
    const truth = world.operator.listeners.get(listener)
    if (truth === undefined || truth.phase === 'open') {
      world.fail(NAME, `${listener} is told as emptied, and was not closed`)
    }
    if (truth.phase === 'closed' && truth.set.size > 0) {
      world.fail(NAME, `${listener} is told as emptied, with backends`)
    }
    for (const { place, id } of world.backends.live.values()) {
      if (place.listener === listener)
        world.fail(NAME, `${listener} is emptied with upstream ${id}`)
    }
    world.operator.forget(listener)
    this.#leaving.delete(listener)
    this.#before.delete(listener)
    this.#wanted.delete(listener)
    this.#idle.delete(listener)
  }

  #exchangesOf(listener: HttpListenerId, world: HttpWorld): number {
    let count = 0
    for (const { isUsed, place } of world.backends.live.values()) {
      if (isUsed && place.listener === listener) count += 1
    }
    return count
  }

  /** Somebody's exchange counts for it still, though its connection is closed. */
  #isGivenTo(listener: HttpListenerId, backend: BackendId, world: HttpWorld): boolean {
    for (const client of world.clients.live.values()) {
      const request = client.requests.find(({ record }) => record === undefined)
      const place = request?.attempts.at(-1)?.upstream.place
      if (place?.listener === listener && place.backend === backend) return true
    }
    return false
  }
}

const NAME = 'http backends'
/** So long what is connecting may go to where its backend was before. */
const MOVED_MS = 700_000
