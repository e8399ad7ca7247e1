/**
 * Which way a request goes: to the listener of a route that was in force meanwhile, past nobody who
 * is not let in, to no more at one backend than may be; and who waits there is wanted.
 */
import type { BackendId } from '../../../core/balance/group.ts'
import type { HttpRoute } from '../../../core/http/config.ts'
import type { HttpListenerId } from '../../../core/http/events.ts'
import { inPrefix } from '../../../core/net/packed-address.ts'
import type { ClientPeer } from '../network/client-peer.ts'
import type { Attempt, SimRequest } from '../truth.ts'
import type { HttpWorld } from '../world.ts'
import type { HttpChecker, HttpStep } from './checker.ts'

export class Ways implements HttpChecker {
  readonly #wanted = new Set<HttpListenerId>()

  onStep({ event, commands }: HttpStep): void {
    if (event.type === 'apply-backends') this.#wanted.delete(event.listener)
    for (const command of commands) {
      if (command.type === 'wanted') this.#wanted.add(command.listener)
      if (command.type === 'emptied') this.#wanted.delete(command.listener)
    }
  }

  afterStep(_step: HttpStep, world: HttpWorld): void {
    const held = heldOf(world)
    if (held === undefined) return
    const { operator } = world
    let bytes = 0
    let lastRead = 0
    for (const request of held) {
      const { client, startsAt } = request
      bytes += client.told - startsAt
      lastRead = Math.max(lastRead, client.lastRead)
      const ways = waysOf(request, world)
      for (const { listener } of ways) {
        const truth = operator.listeners.get(listener)
        const isWanted = truth?.candidates.size === 0 && truth.whenEmpty === 'hold'
        if (ways.length > 1 || !isWanted || truth.phase !== 'open') continue
        if (!this.#wanted.has(listener)) {
          world.fail(NAME, `request ${request.plan.number} waits, and ${listener} is not wanted`)
        }
      }
    }
    const since = Math.min(...held.map(({ begunAt = 0 }) => begunAt))
    const configs = operator.configsSince(since)
    if (held.length > Math.max(0, ...configs.map(({ heldMax }) => heldMax))) {
      world.fail(BUFFERS, `${held.length} requests are held`)
    }
    const most = Math.max(0, ...configs.map(({ heldBytesMax }) => heldBytesMax))
    if (held.length > 0 && bytes > most + lastRead) {
      world.fail(BUFFERS, `requests that are held have ${bytes} bytes`)
    }
  }

  /** A connection is asked something, by what was just written to it. */
  asked(attempt: Attempt, world: HttpWorld): void {
    const { request, listener, upstream } = attempt
    const { plan, client, begunAt = 0 } = request
    const ways = waysOf(request, world)
    const isLed = ways.some((way) => way.listener === listener && !redirects(way, client))
    if (!isLed) world.fail(NAME, `request ${plan.number} goes to ${listener}, where no route leads`)
    const settings = world.operator.settingsOf(listener, begunAt)
    const isDenied = settings.every(({ access }) =>
      access.some(({ sources }) =>
        sources.some((prefix) => inPrefix(prefix, client.plan.peers.source)),
      ),
    )
    if (isDenied) world.fail(NAME, `request ${plan.number} is let in to ${listener}`)
    this.#checkRoom(listener, upstream.place.backend, attempt, world)
  }

  #checkRoom(
    listener: HttpListenerId,
    backend: BackendId,
    { request, upstream }: Attempt,
    world: HttpWorld,
  ): void {
    const settings = world.operator.settingsOf(listener, request.begunAt ?? 0)
    const limits = settings.map(({ requestsPerBackendMax }) => requestsPerBackendMax)
    if (limits.includes(0)) return
    const place = world.operator.listeners.get(listener)?.places.get(backend)
    // Where it is since then it is another one.
    const since = place?.since ?? Number.POSITIVE_INFINITY
    if (upstream.openedAt <= since) return
    let count = 1
    for (const other of world.backends.live.values()) {
      const { isUsed, openedAt } = other
      if (other === upstream || !isUsed || other.place.listener !== listener) continue
      if (other.place.backend !== backend || openedAt <= since) continue
      // What came under a larger limit stays.
      if ((other.current?.at ?? openedAt) >= (request.begunAt ?? 0)) count += 1
    }
    if (count <= Math.max(...limits)) return
    world.fail(NAME, `${backend} of ${listener} has ${count} requests at one time`)
  }
}

/** Requests that wait for a backend, when that is certain: nobody else waits for a connection. */
function heldOf(world: HttpWorld): readonly SimRequest[] | undefined {
  for (const { state } of world.backends.live.values()) if (state === 'connecting') return undefined
  const held: SimRequest[] = []
  for (const client of world.clients.live.values()) {
    const request = client.requests.find(({ record }) => record === undefined)
    if (request?.headAt === undefined || request.answer !== undefined) continue
    const { upstream } = request.attempts.at(-1) ?? {}
    if (upstream?.isHeld === true || client.wasEnded) continue
    if (isNext(request)) held.push(request)
  }
  return held
}

/** Nothing of an answer to one before it is under way. */
const isNext = ({ client, plan, headAt }: SimRequest): boolean =>
  !client.isBlockedTold && headAt !== undefined && plan.flaw === undefined && !client.toldEnded

/** Where routes led that were in force since it began. */
function waysOf({ plan, client, begunAt = 0 }: SimRequest, world: HttpWorld): readonly HttpRoute[] {
  const path = plan.target.replace(/\?.*$/, '')
  return world.operator
    .routesSince(client.plan.port, begunAt)
    .flatMap((routes) => routeOf(routes, plan.host, path) ?? [])
}

/** The exact host before the wildcard before any; of those the longest prefix. */
function routeOf(routes: readonly HttpRoute[], host: string, path: string): HttpRoute | undefined {
  const wildcard = `*${host.slice(host.indexOf('.'))}`
  for (const name of [host, wildcard, undefined]) {
    const [best] = routes
      .filter((route) => route.host === name && isUnder(route.path, path))
      .sort((one, other) => other.path.length - one.path.length)
    if (best !== undefined) return best
  }
  return undefined
}

const isUnder = (prefix: string, path: string): boolean =>
  prefix === '/' || path === prefix || path.startsWith(`${prefix}/`)

const redirects = ({ redirectTo }: HttpRoute, { plan }: ClientPeer): boolean =>
  redirectTo !== undefined && !plan.isSecure

const NAME = 'http routes'
const BUFFERS = 'http buffers'
