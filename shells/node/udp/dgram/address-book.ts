/** Addresses as `node:dgram` writes them, and as the machine wants them. */
import { formatIp, type IpAddress, parseIp } from '../../../../core/net/address.ts'
import {
  type PackedAddress,
  packAddress,
  unpackAddress,
} from '../../../../core/net/packed-address.ts'
import type { LocalAddresses } from '../local-addresses.ts'

export class AddressBook {
  readonly #interfaces: LocalAddresses
  /** What was packed lately, without its port: parsing takes longer than all of forwarding. */
  readonly #packed = new Map<string, PackedAddress>()

  constructor(interfaces: LocalAddresses) {
    this.#interfaces = interfaces
  }

  /** With port 0. Undefined for an interface that is not known, or is gone. */
  pack(text: string): PackedAddress | undefined {
    const known = this.#packed.get(text)
    if (known !== undefined) return known
    const ip = parseIp(text)
    const packed = ip && packAddress({ ip: this.#numbered(ip), port: 0 })
    // Interfaces can get other numbers, other addresses stay what they are.
    if (packed === undefined || (ip?.family === 6 && ip.zone !== '')) return packed
    if (this.#packed.size === PACKED_MAX) this.#packed.clear()
    this.#packed.set(text, packed)
    return packed
  }

  /** The text of an address to send to or to bind, its interface by name. */
  text(packed: PackedAddress): string {
    const { ip } = unpackAddress(packed)
    if (ip.family === 4 || ip.zone === '') return formatIp(ip)
    return formatIp({ ...ip, zone: this.#interfaces.nameOf(Number(ip.zone)) ?? ip.zone })
  }

  #numbered(ip: IpAddress): IpAddress {
    if (ip.family === 4 || ip.zone === '') return ip
    const number = this.#interfaces.numberOf(ip.zone)
    return number === undefined ? ip : { ...ip, zone: String(number) }
  }
}

/** Forged sources are as many as anybody likes. */
const PACKED_MAX = 16_384
