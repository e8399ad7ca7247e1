/**
 * Who really holds which port of the simulated host: ours, those of the programs we run, and those
 * of strangers, programs Weir knows nothing about. Two holders of one port are impossible here as they
 * are in a kernel: addresses are compared as it does, and the second one is refused.
 */
import { unreachable } from '../../core/machine.ts'
import type { Program } from '../../core/node/commands.ts'
import type { PortNamespace } from '../../core/publish/claim.ts'
import type { SocketId } from '../../core/publish/events.ts'
import type { ReplicaId } from '../../core/services/identity.ts'
import type { Prng, Ratio } from '../prng.ts'
import type { World } from '../world.ts'

export type Holder =
  | { readonly type: 'stranger' }
  // a process group of a replica; `pid` is its first process
  | { readonly type: 'group'; readonly pid: number; readonly replica: ReplicaId }
  // the node's own, in the life that runs
  | { readonly type: 'socket'; readonly socket: SocketId }

/** Where somebody wants to listen; port 0 is whichever is free. */
export interface Place {
  readonly namespace: PortNamespace
  readonly host: string
  readonly port: number
  /** Of `::`: without IPv4. */
  readonly isV6Only: boolean
}

export interface Held extends Place {
  readonly holder: Holder
}

export type Bound =
  | { readonly type: 'bound'; readonly held: Held }
  | { readonly type: 'in-use'; readonly holder: Holder }
  // this machine has no such address, or nothing of its family
  | { readonly type: 'missing' }

export interface HostPortFaults {
  /** A stranger sits on a port just when a listener or a program wants it. */
  readonly strangerArrives: Ratio
  readonly strangerStaysMsMax: number
  /** `late`: after some seconds, or when everything heals. */
  readonly ipv6: 'there' | 'late' | 'never'
}

export class HostPorts {
  /** Addresses of this machine; wildcards are no addresses. */
  readonly addresses = new Set(OWN_ADDRESSES)
  private readonly byPort = new Map<string, Held[]>()
  private readonly world: World
  private readonly faults: HostPortFaults
  private hasIpv6: boolean

  constructor(world: World, faults: HostPortFaults) {
    this.world = world
    this.faults = faults
    this.hasIpv6 = faults.ipv6 === 'there'
    if (faults.ipv6 !== 'late') return
    world.at(world.draws.faults.between(1, IPV6_LATE_MS_MAX), () => this.setIpv6(true))
  }

  /** As `bind` and `listen` of a kernel; nobody shares an address with anybody. */
  bind(place: Place, holder: Holder): Bound {
    if (!this.has(place.host)) return { type: 'missing' }
    const present = place.port === 0 ? undefined : this.inTheWay(place)
    if (present !== undefined) return { type: 'in-use', holder: present.holder }
    const held: Held = { ...place, port: place.port || this.pickFree(place), holder }
    const key = keyOf(held)
    const others = this.byPort.get(key)
    if (others === undefined) this.byPort.set(key, [held])
    else others.push(held)
    const { namespace, host, port } = held
    this.world.change({
      type: 'port-taken',
      at: nameOf(namespace, host, port),
      by: labelOf(holder),
    })
    return { type: 'bound', held }
  }

  /** Once more of the same is no mistake. */
  free(held: Held): void {
    const others = this.byPort.get(keyOf(held))
    const index = others?.indexOf(held) ?? -1
    if (others === undefined || index < 0) return
    others.splice(index, 1)
    if (others.length === 0) this.byPort.delete(keyOf(held))
    const { namespace, host, port, holder } = held
    this.world.change({
      type: 'port-freed',
      at: nameOf(namespace, host, port),
      by: labelOf(holder),
    })
  }

  /** Who answers there: the address itself goes before a wildcard. */
  at(namespace: PortNamespace, address: string, port: number): Held | undefined {
    const here = this.byPort.get(`${namespace}:${port}`)
    return here?.find(({ host }) => host === address) ?? here?.find((each) => covers(each, address))
  }

  /** Who keeps others from listening there. */
  inTheWay(place: Place): Held | undefined {
    return this.byPort.get(keyOf(place))?.find((each) => overlaps(each, place))
  }

  *all(): Iterable<Held> {
    for (const here of this.byPort.values()) yield* here
  }

  has(host: string): boolean {
    if (host.includes(':') && !this.hasIpv6) return false
    return host === '0.0.0.0' || host === '::' || this.addresses.has(host)
  }

  /** Of whatever it was bound to. */
  releaseAll(of: (holder: Holder) => boolean): void {
    for (const held of [...this.all()]) if (of(held.holder)) this.free(held)
  }

  /** Gives a stranger the chance to be there first. */
  tempt(place: Place, draw: Prng): void {
    if (this.world.healed || place.port === 0 || !draw.chance(this.faults.strangerArrives)) return
    const wildcard = place.host.includes(':') ? '::' : '0.0.0.0'
    const host = draw.below(2) === 0 ? place.host : wildcard
    const isV6Only = draw.below(2) === 0
    this.settleStranger(
      { ...place, host, isV6Only },
      draw.between(1, this.faults.strangerStaysMsMax),
    )
  }

  /** A stranger takes a port if it is free, for a while. */
  settleStranger(place: Place, forMs: number): void {
    const bound = this.bind(place, { type: 'stranger' })
    if (bound.type === 'bound') this.world.at(forMs, () => this.free(bound.held))
  }

  /** What is bound already stays. */
  setIpv6(has: boolean): void {
    this.hasIpv6 = has
  }

  /** Strangers leave, and the machine gets what it lacks, unless it never does. */
  heal(): void {
    this.releaseAll(({ type }) => type === 'stranger')
    this.hasIpv6 = this.faults.ipv6 !== 'never'
  }

  /** A few ports only, so that one that was given up is soon another's. */
  private pickFree(place: Place): number {
    const first = this.world.draws.schedule.below(EPHEMERAL_COUNT)
    for (let tried = 0; tried < EPHEMERAL_COUNT; tried++) {
      const port = EPHEMERAL_FIRST + ((first + tried) % EPHEMERAL_COUNT)
      if (this.inTheWay({ ...place, port }) === undefined) return port
    }
    throw new RangeError('a script wants more ephemeral ports than the simulated kernel has')
  }
}

/** Whether clients of `address` come to whoever listens at `host`. */
export function covers(
  { host, isV6Only }: Pick<Place, 'host' | 'isV6Only'>,
  address: string,
): boolean {
  if (host === address) return true
  const isIpv6 = address.includes(':')
  return host === '0.0.0.0' ? !isIpv6 : host === '::' && (isIpv6 || !isV6Only)
}

/** Whether two sockets of one port and namespace are in each other's way. */
export const overlaps = (
  one: Pick<Place, 'host' | 'isV6Only'>,
  other: Pick<Place, 'host' | 'isV6Only'>,
): boolean => covers(one, other.host) || covers(other, one.host)

/** Where a program listens: what it was told to, and what it chose by itself. */
export function placesOf({ argv, ports, udpEndpoints }: Program, host: string): Place[] {
  const places = new Map<string, Place>()
  const add = (namespace: PortNamespace, port: number): void => {
    places.set(`${namespace}:${port}`, { namespace, host, port, isV6Only: false })
  }
  for (const [endpoint, port] of Object.entries(ports)) {
    add(udpEndpoints.includes(endpoint) ? 'udp' : 'tcp', port)
  }
  for (const word of argv) {
    const [, namespace, port] = /^(tcp|udp):(\d+)$/.exec(word) ?? []
    if (namespace !== undefined) add(namespace === 'udp' ? 'udp' : 'tcp', Number(port))
  }
  return [...places.values()]
}

/** `tcp [::1]:8080`. */
export const nameOf = (namespace: PortNamespace, host: string, port: number): string =>
  `${namespace} ${addressOf(host, port)}`

export const addressOf = (host: string, port: number): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

export function labelOf(holder: Holder): string {
  switch (holder.type) {
    case 'stranger':
      return 'a stranger'
    case 'group':
      return `${holder.replica} (pid ${holder.pid})`
    case 'socket':
      return `socket ${holder.socket}`
    default:
      return unreachable(holder)
  }
}

const keyOf = ({ namespace, port }: Pick<Place, 'namespace' | 'port'>): string =>
  `${namespace}:${port}`

/** Of the machine in its own network; those of an internal one come and go. */
export const OUTER_ADDRESSES = ['192.0.2.10', '2001:db8::10'] as const
export const INTERNAL_ADDRESSES = ['10.77.0.1', 'fd77::1'] as const
export const OWN_ADDRESSES: readonly string[] = ['127.0.0.1', '::1', ...OUTER_ADDRESSES]
export const EPHEMERAL_FIRST = 32_768
const EPHEMERAL_COUNT = 40
const IPV6_LATE_MS_MAX = 60_000
