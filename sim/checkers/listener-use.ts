/**
 * Who may come, who waits, and whether anybody uses a listener: judged by the addresses clients come
 * from, by what becomes of each, and by what the policies of the node say.
 */

import { contains, parseCidr } from '../../core/net/cidr.ts'
import { formatPacked, unpackAddress } from '../../core/net/packed-address.ts'
import type { NetworkPolicy } from '../../core/policy/policy.ts'
import { type ListenerId, parseListenerId } from '../../core/services/identity.ts'
import type { StreamListenerCommand } from '../../core/stream/commands.ts'
import type { StreamListenerEvent } from '../../core/stream/events.ts'
import type { FrontDoor } from '../faults/listeners.ts'
import type { Stream } from '../faults/streams.ts'
import type { World } from '../world.ts'

interface Use {
  /** Somebody waits, or might have, and that was said since the last set. */
  wantedSaid: boolean
  idleSaid: boolean
  /** When its last client left, as far as that was seen. */
  quietSince: number
}

export class ListenerUse {
  private uses = new WeakMap<FrontDoor, Use>()

  onStream(
    door: FrontDoor,
    event: StreamListenerEvent,
    commands: readonly StreamListenerCommand[],
    world: World,
  ): void {
    const use = this.uses.get(door) ?? { wantedSaid: false, idleSaid: false, quietSince: 0 }
    this.uses.set(door, use)
    if (event.type === 'apply-backends') use.wantedSaid = false
    for (const command of commands) {
      if (command.type === 'wanted') this.onWanted(door, use, commands, world)
      if (command.type === 'idle') this.onIdle(door, use, world)
      if (command.type === 'busy' && !use.idleSaid) fail(door, 'is busy, and was not idle', world)
      if (command.type === 'busy') use.idleSaid = false
    }
    const { live } = door.streams
    const held = [...live.values()].filter(({ heldAt }) => heldAt !== undefined)
    if (live.size > 0 && use.idleSaid) fail(door, 'is used, and nobody knows', world)
    if (live.size > 0) use.quietSince = world.nodeNow()
    if (held.length === 0) return
    if (held.length > door.config.heldMax) fail(door, `lets ${held.length} clients wait`, world)
    if (door.inForce.size > 0) fail(door, 'lets clients wait for what is there', world)
    if (door.whenEmpty === 'refuse') fail(door, 'lets clients wait for what never comes', world)
    if (!use.wantedSaid) fail(door, 'lets clients wait, and nobody knows', world)
  }

  /** Of one that was let in. */
  onConnect(door: FrontDoor, stream: Stream, world: World): void {
    if (!isForbidden(door, stream, world)) return
    fail(door, `connects ${formatPacked(stream.peers.source)}, whom a policy is against`, world)
  }

  /** Whether it was not let in, or let go, for a reason that was so; undefined: for another one. */
  isTrue(door: FrontDoor, stream: Stream, reason: string, world: World): boolean | undefined {
    const { heldAt, config } = stream
    switch (reason) {
      case 'forbidden':
        return isForbidden(door, stream, world)
      case 'no-backend':
        return (
          door.inForce.size === 0 && (door.whenEmpty === 'refuse' || config.holdTimeoutMs === 0)
        )
      case 'held-max': {
        const waiting = [...door.streams.live.values()].filter((each) => each.heldAt !== undefined)
        return door.inForce.size === 0 && waiting.length >= door.config.heldMax
      }
      case 'hold-timeout':
        return heldAt !== undefined && world.nodeNow() - heldAt >= config.holdTimeoutMs
      case 'hold-refused':
        return heldAt !== undefined && door.whenEmpty === 'refuse'
      default:
        return undefined
    }
  }

  private onWanted(
    door: FrontDoor,
    use: Use,
    commands: readonly StreamListenerCommand[],
    world: World,
  ): void {
    if (use.wantedSaid) fail(door, 'is wanted, and said so before', world)
    use.wantedSaid = true
    const isTurnedAway = commands.some(
      (each) => each.type === 'close' && ['no-backend', 'held-max'].includes(each.reason),
    )
    const isWaitedAt = [...door.streams.live.values()].some(({ heldAt }) => heldAt !== undefined)
    if (door.whenEmpty === 'refuse' || !(isWaitedAt || isTurnedAway))
      fail(door, 'is wanted by nobody', world)
  }

  private onIdle(door: FrontDoor, use: Use, world: World): void {
    const { idleAfterMs } = door.config
    const isQuiet = world.nodeNow() - use.quietSince >= idleAfterMs
    if (use.idleSaid || door.closed || idleAfterMs === 0 || !isQuiet)
      fail(door, 'is idle before its time', world)
    use.idleSaid = true
  }
}

/** Read from the policies anew, for one source and one listener. */
function isForbidden(door: FrontDoor, { peers }: Stream, { options }: World): boolean {
  const { ip } = unpackAddress(peers.source)
  const isIn = (text: string): boolean => {
    const cidr = parseCidr(text)
    return cidr !== undefined && contains(cidr, ip)
  }
  const governing = options.node.policies.filter(({ cidrs }) => cidrs.some(isIn))
  const said = governing.map((policy) => wordOf(policy, door.id))
  return said.includes('deny') || (said.length > 0 && !said.includes('allow'))
}

function wordOf({ accessRules }: NetworkPolicy, listener: ListenerId): 'allow' | 'deny' | 'none' {
  const { service } = parseListenerId(listener)
  const words = accessRules
    .filter((rule) => rule.service === '*' || rule.service === service)
    .map(({ action }) => action)
  return words.includes('deny') ? 'deny' : (words[0] ?? 'none')
}

const fail = ({ id }: FrontDoor, what: string, world: World): never =>
  world.fail('listeners', `${id} ${what}`)
