/**
 * Times: nobody waits for longer than what was configured allows, give or take a slack, and whoever
 * obeys the deadline is woken for it; what is told as too late was late.
 */
import type { IngressCommand } from '../../../core/http/commands.ts'
import type { ClientId, IngressEvent } from '../../../core/http/events.ts'
import type { Instant } from '../../../core/machine.ts'
import type { ClientPeer } from '../network/client-peer.ts'
import type { UpstreamPeer } from '../network/upstream-peer.ts'
import type { HttpWorld } from '../world.ts'
import type { HttpChecker, HttpStep } from './checker.ts'

interface Due {
  readonly at: Instant
  readonly touches: number
  readonly triedAt: Instant
  readonly revision: number
  readonly flags: number
  readonly told: number
}

export class Timeouts implements HttpChecker {
  readonly #due = new WeakMap<ClientPeer, Due>()
  /** Told to have taken all, and the end. */
  readonly #finished = new WeakSet<ClientPeer>()

  onStep({ event, commands, now }: HttpStep, world: HttpWorld): void {
    this.#touch(event, now, world)
    if (event.type === 'client-finished') this.#finish(event.client, world)
    for (const command of commands) this.#touch(command, now, world)
  }

  afterStep({ event, commands, now, ingress }: HttpStep, world: HttpWorld): void {
    // By now it is known for whom a new connection is.
    for (const command of commands) this.#touch(command, now, world)
    const deadline = ingress.deadline() ?? Number.POSITIVE_INFINITY
    const check = (dueAt: Instant, what: () => string): void => {
      if (deadline > Math.max(dueAt, now) + SLACK_MS) {
        world.fail(NAME, `the deadline is ${deadline}, ${what()} is over at ${dueAt}`)
      }
      if (event.type === 'tick' && dueAt + SLACK_MS < now) {
        world.fail(NAME, `${what()} should be over at ${dueAt}, and is not at ${now}`)
      }
    }
    for (const client of world.clients.live.values()) {
      check(this.#dueOf(client, world), () => `the wait of client ${client.id}`)
    }
    for (const upstream of world.backends.live.values()) {
      check(dueOfUpstream(upstream, world), () => `upstream ${upstream.id}`)
    }
  }

  #finish(id: ClientId, world: HttpWorld): void {
    const client = world.clients.live.get(id)
    if (client !== undefined) this.#finished.add(client)
  }

  /** Reckoned anew when it may be another. */
  #dueOf(client: ClientPeer, world: HttpWorld): Instant {
    const { touches, wasEnded, becameTunnel, isBlockedTold } = client
    const { triedAt } = world.backends
    const { revision } = world.operator
    const known = this.#due.get(client)
    const { told } = client
    const flags = (wasEnded ? 1 : 0) + (becameTunnel ? 2 : 0) + (isBlockedTold ? 4 : 0)
    const isKnown =
      known?.touches === touches &&
      known.triedAt === triedAt &&
      known.revision === revision &&
      known.flags === flags &&
      known.told === told
    if (isKnown) return known.at
    const at = dueOfClient(client, this.#finished.has(client), world)
    this.#due.set(client, { at, touches, triedAt, revision, flags, told })
    return at
  }

  #touch(it: IngressEvent | IngressCommand, now: Instant, world: HttpWorld): void {
    if ('client' in it) {
      const client = world.clients.live.get(it.client)
      if (client !== undefined) touch(client, now)
    } else if ('upstream' in it) {
      const upstream = world.backends.live.get(it.upstream)
      const client = upstream?.current?.request.client
      if (client !== undefined && upstream?.isUsed === true) touch(client, now)
    }
  }
}

function touch(client: ClientPeer, now: Instant): void {
  client.touchedAt = now
  client.touches += 1
}

function dueOfClient(client: ClientPeer, isFinished: boolean, world: HttpWorld): Instant {
  const { acceptedAt, wasEnded, isBlockedTold } = client
  const { operator } = world
  const current = client.requests.find(({ record }) => record === undefined)
  // For whom a connection is made cannot be seen: it may be for this one.
  const isSeeking = current?.headAt !== undefined
  const touchedAt = Math.max(client.touchedAt, isSeeking ? world.backends.triedAt : 0)
  const isOver = wasEnded || current?.headAt === undefined
  if (isFinished && !client.becameTunnel) return touchedAt + CLOSING_MS
  // Whatever was written waits to be taken, also where that is not told.
  if ((wasEnded || (isBlockedTold && isOver)) && !client.becameTunnel) {
    return touchedAt + takesMs(client, world)
  }
  const limits = operator.limitsSince(acceptedAt)
  const ports = Math.max(...limits.map((each) => Math.max(each.headTimeoutMs, each.keepAliveMs)))
  if (current?.headAt === undefined) return touchedAt + ports
  const settings = operator.settingsSince(Math.min(acceptedAt, current.headAt))
  const longest = Math.max(
    ports,
    ...settings.map((each) =>
      Math.max(
        each.bodyTimeoutMs,
        each.connectTimeoutMs * (each.retries + 2),
        each.responseTimeoutMs,
        each.holdTimeoutMs,
      ),
    ),
  )
  if (!client.becameTunnel) return touchedAt + longest
  const isEndless = settings.some(({ tunnelIdleMs }) => tunnelIdleMs === 0)
  return isEndless
    ? Number.POSITIVE_INFINITY
    : touchedAt + Math.max(longest, ...settings.map(({ tunnelIdleMs }) => tunnelIdleMs))
}

/** For an answer that is written, and waits to be taken. */
function takesMs({ acceptedAt }: ClientPeer, world: HttpWorld): number {
  const { operator } = world
  return Math.max(
    CLOSING_MS,
    ...operator.settingsSince(acceptedAt).map(({ bodyTimeoutMs }) => bodyTimeoutMs),
    ...operator
      .limitsSince(acceptedAt)
      .map((each) => Math.max(each.headTimeoutMs, each.keepAliveMs)),
  )
}

function dueOfUpstream(upstream: UpstreamPeer, world: HttpWorld): Instant {
  const { state, openedAt, isUsed, idleSince } = upstream
  const { operator } = world
  if (state === 'connecting') {
    const settings = operator.settingsSince(openedAt - LATE_MS)
    return openedAt + Math.max(...settings.map((each) => each.connectTimeoutMs))
  }
  if (isUsed) return Number.POSITIVE_INFINITY // it is over with its client
  // What was in force when the head of its last answer came.
  const since = upstream.current?.at ?? openedAt
  const kept = operator.configsSince(since).map((each) => each.idleUpstreamMs)
  const client = upstream.current?.request.client
  return (client?.touchedAt ?? idleSince) + Math.max(...kept, client?.config.idleUpstreamMs ?? 0)
}

const NAME = 'http timeouts'
const SLACK_MS = 2
/** For whom what is sent after the last answer is read and dropped. */
const CLOSING_MS = 5_000
/** An exchange keeps the settings it began with. */
const LATE_MS = 700_000
