/** Backends as hashes see them: by address and weight, in an order of their own. */
import { parseIp, unmapped } from '../../net/address.ts'
import type { Member } from '../group.ts'
import { weightOf } from '../strategy.ts'

export interface Identified {
  readonly member: Member
  /** 1-65,535. */
  readonly weight: number
  /** What is hashed of it. */
  readonly identity: Uint8Array
}

/**
 * Sorted by address and port: the order in which they were registered tells nothing about them,
 * and may differ from one process to the next (udp W28).
 *
 * An identity is 4 or 6, the octets of the address, then the port, low octet first; a backend's
 * id is no part of it. Where several ids have one address, all but the lowest id's go on with a
 * number, 1, 2... in four octets, low one first: else only one of them would ever win (udp W34).
 */
export function identified(registered: readonly Member[]): Identified[] {
  const sorted = registered.map(addressed).sort(compare)
  let occurrence = 0
  return sorted.map((each, at) => {
    const before = sorted[at - 1]
    const isAnother = before === undefined || compareAddresses(before, each) !== 0
    occurrence = isAnother ? 0 : occurrence + 1
    const { member, port, address } = each
    const octets = [...address, ...littleEndian(port, 2)]
    if (occurrence > 0) octets.push(...littleEndian(occurrence, 4))
    return { member, weight: weightOf(member.backend), identity: Uint8Array.from(octets) }
  })
}

export const sameIdentities = (one: readonly Identified[], other: readonly Identified[]): boolean =>
  one.length === other.length &&
  one.every(({ weight, identity }, at) => {
    const { weight: otherWeight, identity: otherIdentity } = other[at]!
    return weight === otherWeight && compareOctets(identity, otherIdentity) === 0
  })

interface Addressed {
  readonly member: Member
  readonly address: readonly number[]
  readonly port: number
}

function addressed(member: Member): Addressed {
  const { host, port } = member.backend
  return { member, address: addressOctets(host), port }
}

/** An IPv4-mapped address is the IPv4 address it maps. A name, or a zone, is its UTF-16 units. */
function addressOctets(host: string): number[] {
  const ip = parseIp(host)
  if (ip === undefined) return [0, ...unitOctets(host)]
  const plain = unmapped(ip)
  if (plain.family === 4) return [4, ...littleEndian(plain.bits, 4).reverse()]
  const octets = plain.groups.flatMap((group) => [group >>> 8, group & 0xff])
  return [6, ...octets, ...unitOctets(plain.zone)]
}

const unitOctets = (text: string): number[] =>
  text.split('').flatMap((unit) => littleEndian(unit.charCodeAt(0), 2))

const littleEndian = (value: number, octets: number): number[] =>
  Array.from({ length: octets }, (_, at) => (value >>> (8 * at)) & 0xff)

const compare = (one: Addressed, other: Addressed): number =>
  compareAddresses(one, other) || (one.member.backend.id < other.member.backend.id ? -1 : 1)

const compareAddresses = (one: Addressed, other: Addressed): number =>
  compareOctets(one.address, other.address) || one.port - other.port

function compareOctets(one: ArrayLike<number>, other: ArrayLike<number>): number {
  for (let at = 0; at < one.length && at < other.length; at++) {
    if (one[at] !== other[at]) return one[at]! - other[at]!
  }
  return one.length - other.length
}
