/** What holds for every machine, and for every handle and buffer of this one. */
import type { IngressCommand } from '../../../core/http/commands.ts'
import type { ClientPeer } from '../network/client-peer.ts'
import type { HttpWorld } from '../world.ts'
import type { HttpChecker, HttpStep } from './checker.ts'

export class HttpUniversal implements HttpChecker {
  onStep({ event, commands, now, ingress }: HttpStep, world: HttpWorld): void {
    ingress.checkInvariants()
    const deadline = ingress.deadline()
    if (event.type === 'tick' && deadline !== undefined && deadline <= now) {
      world.fail(NAME, `after a tick at ${now} the deadline is ${deadline}`)
    }
    if (commands.length > COMMANDS_MAX) {
      world.fail(NAME, `${commands.length} commands for one ${event.type}`)
    }
  }

  onCommand(command: IngressCommand, _step: HttpStep, world: HttpWorld): void {
    if (command.type === 'pause-client' || command.type === 'resume-client') {
      const { isPaused, id } = world.clients.of(command.client)
      if (isPaused === (command.type === 'pause-client')) {
        world.fail(HANDLES, `${command.type} ${id}, which already is so`)
      }
    } else if (command.type === 'pause-upstream' || command.type === 'resume-upstream') {
      const { isPaused, id } = world.backends.of(command.upstream)
      if (isPaused === (command.type === 'pause-upstream')) {
        world.fail(HANDLES, `${command.type} ${id}, which already is so`)
      }
    } else if (command.type === 'read') {
      if (world.clients.of(command.client).isRead) world.fail(HANDLES, 'read is said twice')
      const { live } = world.clients
      const { clientsMax } = world.operator.config
      if (live.size > clientsMax) world.fail(BUFFERS, `${live.size} clients are let in`)
    } else if (command.type === 'close-client') {
      const client = world.clients.of(command.client)
      const { isBlockedTold, toldGone, requests, id } = client
      const last = requests.findLast(({ record }) => record !== undefined)
      const isOwed = isBlockedTold && !toldGone && last?.record?.outcome === 'done'
      // Whoever takes nothing for too long sees a reset.
      if (isOwed && !(command.reset && isSlow(client, world))) {
        world.fail(HANDLES, `client ${id} is let go before it has its answer`)
      }
    }
  }

  afterStep({ ingress, commands }: HttpStep, world: HttpWorld): void {
    const { clients, upstreams } = ingress.sizes
    if (clients !== world.clients.live.size) {
      world.fail(HANDLES, `${clients} clients by its count, there are ${world.clients.live.size}`)
    }
    if (upstreams !== world.backends.live.size) {
      world.fail(HANDLES, `${upstreams} upstreams by its count, ${world.backends.live.size} there`)
    }
    this.#checkBuffers(world)
    if (commands.some(({ type }) => type === 'exchanged')) this.#checkIdle(world)
  }

  /** Connections that are kept for the next request. */
  #checkIdle(world: HttpWorld): void {
    const idle = new Map<string, number>()
    let since = world.machineNow()
    for (const { isUsed, place, idleSince } of world.backends.live.values()) {
      const name = `${place.listener} ${place.backend} ${place.port}`
      if (!isUsed) idle.set(name, (idle.get(name) ?? 0) + 1)
      if (!isUsed) since = Math.min(since, idleSince)
    }
    const most = Math.max(
      ...world.operator.configsSince(since).map((each) => each.idlePerBackendMax),
    )
    for (const [name, count] of idle) {
      if (count > most) world.fail(BUFFERS, `${count} connections to ${name} are kept`)
    }
  }

  /** What the process was told and did not tell anybody is with it. */
  #checkBuffers(world: HttpWorld): void {
    for (const client of world.clients.live.values()) {
      const { current, config, plan } = client
      if (client.wasEnded || plan.isStream || current?.headAt === undefined) continue
      const beyond = client.told - current.endsAt
      const most = config.pipelinedBytesMax + client.lastRead
      if (beyond > most && current.plan.upgrade === '') {
        world.fail(BUFFERS, `client ${client.id} sent ${beyond} bytes ahead, and is read`)
      }
      const attempt = current.attempts.at(-1)
      if (attempt === undefined || current.plan.framing !== 'length') continue
      const body = Math.min(client.told, current.endsAt) - current.headEndsAt
      const kept = body - attempt.content
      if (kept > client.lastRead + config.pipelinedBytesMax) {
        world.fail(BUFFERS, `${kept} bytes of request ${current.plan.number} are kept`)
      }
    }
  }

  atEnd(world: HttpWorld): void {
    const { sizes } = world.ingress
    const left = { ...sizes, clientsLive: world.clients.live.size, live: world.backends.live.size }
    if (Object.values(left).some((count) => count > 0)) {
      world.fail(NAME, `at the end there is left: ${JSON.stringify(left)}`)
    }
    if (world.ingress.deadline() !== undefined) {
      world.fail(NAME, `at the end it waits for ${world.ingress.deadline()}`)
    }
  }
}

function isSlow({ blockedAt, acceptedAt }: ClientPeer, world: HttpWorld): boolean {
  const { operator } = world
  const least = Math.min(
    ...operator.settingsSince(acceptedAt).map(({ bodyTimeoutMs }) => bodyTimeoutMs),
    ...operator.limitsSince(acceptedAt).map(({ headTimeoutMs }) => headTimeoutMs),
  )
  return world.machineNow() - blockedAt >= least
}

const NAME = 'http universal'
const HANDLES = 'http handles'
const BUFFERS = 'http buffers'
/** More than any one event of these small worlds may cause. */
const COMMANDS_MAX = 1_000
