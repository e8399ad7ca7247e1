/**
 * Who may come, by the network policies in force, and whether anybody does: by the addresses of
 * clients, and by the flows that commands tell of.
 */
import { formatIp } from '../../../core/net/address.ts'
import { inPrefix, type PackedAddress, unpackAddress } from '../../../core/net/packed-address.ts'
import { readProxyHeader } from '../../../core/net/proxy-v2.ts'
import type { UdpConfig } from '../../../core/udp/config.ts'
import type { FlowId } from '../../../core/udp/flow-id.ts'
import { POLICIES } from '../network/places.ts'
import type { UdpWorld } from '../world.ts'
import type { UdpChecker, UdpStep } from './checker.ts'
import type { Lives } from './lives.ts'

type ClientStep = Extract<UdpStep['event'], { type: 'client-datagram' }>

export class Visitors implements UdpChecker {
  readonly #lives: Lives
  #clients = new Map<FlowId, PackedAddress>()
  #refused = 0
  #isIdle = false
  /** When there was a flow last, on the table's clock; undefined where nobody looked. */
  #usedAt: number | undefined

  constructor(lives: Lives) {
    this.#lives = lives
  }

  onLife(): void {
    this.#clients = new Map()
    this.#refused = 0
    this.#isIdle = false
    this.#usedAt = undefined
  }

  onStep(step: UdpStep, world: UdpWorld): void {
    const { event, table } = step
    const { forbidden } = table.counters.dropped
    const sender = event.type === 'client-datagram' ? senderOf(event, world.inForce) : undefined
    if (sender !== undefined) this.#follow(step, sender, forbidden > this.#refused, world)
    this.#refused = forbidden
    for (const command of step.commands) {
      if (command.type === 'close-flow') this.#clients.delete(command.flow)
    }
    this.#checkUse(step, world)
  }

  #follow({ commands }: UdpStep, sender: PackedAddress, isRefused: boolean, world: UdpWorld): void {
    const name = formatIp(unpackAddress(sender).ip)
    for (const command of commands) {
      if (command.type === 'open-upstream' && !this.#clients.has(command.flow)) {
        this.#clients.set(command.flow, sender)
        if (isAgainst(world.inForce, sender))
          world.fail(NAME, `${name} gets a flow, and may not come`)
      } else if (command.type === 'send-upstream') {
        const client = this.#clients.get(command.flow) ?? sender
        if (isAgainst(world.inForce, client))
          world.fail(NAME, `${name} is carried, and may not come`)
      } else if (command.type === 'close-flow' && command.reason === 'forbidden') {
        if (!isAgainst(world.inForce, command.client))
          world.fail(NAME, `${name} is cut off, and may come`)
      }
    }
    const wasCutOff = commands.some(
      (each) => each.type === 'close-flow' && each.reason === 'forbidden',
    )
    if (isRefused && !wasCutOff && !isAgainst(world.inForce, sender))
      world.fail(NAME, `${name} is turned away, and may come`)
  }

  #checkUse({ commands, now }: UdpStep, world: UdpWorld): void {
    for (const { type } of commands) {
      if (type === 'wanted') world.fail(NAME, 'it is wanted, and holds nobody')
      if (type === 'busy' && !this.#isIdle) world.fail(NAME, 'it is busy, and was not idle')
      if (type === 'busy') this.#isIdle = false
      if (type !== 'idle') continue
      const quietMs = this.#usedAt === undefined ? undefined : now - this.#usedAt
      const { idleAfterMs } = world.inForce
      if (this.#isIdle || idleAfterMs === 0 || (quietMs !== undefined && quietMs < idleAfterMs))
        world.fail(NAME, 'it is idle before its time')
      this.#isIdle = true
    }
    if (this.#lives.live.size === 0) return
    this.#usedAt = now
    if (this.#isIdle) world.fail(NAME, 'it is used, and nobody knows')
  }
}

/** Whom a datagram is from; undefined when its header is not to be believed. */
function senderOf({ from, payload }: ClientStep, config: UdpConfig): PackedAddress | undefined {
  const isTrusted = config.trustedProxies.some((prefix) => inPrefix(prefix, from))
  const header = isTrusted ? readProxyHeader(payload) : 'none'
  if (header === 'none') return from
  if (header === 'malformed' || header.transport === 'stream') return undefined
  return header.announced?.source ?? from
}

function isAgainst({ access }: UdpConfig, address: PackedAddress): boolean {
  return POLICIES.get(access)?.(formatIp(unpackAddress(address).ip)) ?? false
}

const NAME = 'udp routes'
