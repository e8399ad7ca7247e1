/** Opening UDP sockets: bound ones for clients, connected ones for backends. */
import type { PackedAddress } from '../../../../../core/net/packed-address.ts'
import {
  AF_INET,
  AF_INET6,
  emptyAddress,
  type Family,
  familyOf,
  isWildcard,
  NAME_BYTES,
  nameBytes,
  readName,
  writeName,
} from './addresses.ts'
import { CLOEXEC, type Libc, type Memory, NONBLOCK } from './libc.ts'
import { SystemError } from './system-error.ts'

export interface BoundSocket {
  readonly fd: number
  /** With the port the system chose, where it was asked to. */
  readonly address: PackedAddress
  readonly isWildcard: boolean
}

export class Sockets {
  readonly #libc: Libc
  readonly #name: Memory
  readonly #value: Memory

  constructor(libc: Libc) {
    this.#libc = libc
    this.#name = libc.allocate(NAME_BYTES)
    this.#value = libc.allocate(8)
  }

  /** A socket bound to `address`; on a wildcard it tells the address of each datagram. */
  bound(address: PackedAddress): BoundSocket | SystemError {
    const family = familyOf(address)
    const fd = this.#socket(family)
    if (fd < 0) return new SystemError('socket', fd, address)
    const wildcard = isWildcard(address)
    // What is bound is what was asked for, whatever the system's default.
    if (family === AF_INET6) this.#set(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1)
    if (wildcard && family === AF_INET) this.#set(fd, IPPROTO_IP, IP_PKTINFO, 1)
    if (wildcard && family === AF_INET6) this.#set(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, 1)
    // As much as the system allows: `net.core.rmem_max` and `wmem_max` may be less.
    this.#set(fd, SOL_SOCKET, SO_RCVBUF, LISTENING_BUFFER_BYTES)
    this.#set(fd, SOL_SOCKET, SO_SNDBUF, LISTENING_BUFFER_BYTES)
    writeName(this.#name.words, 0, family, address)
    const result = this.#libc.bind(fd, this.#name.address, nameBytes(family))
    if (result < 0) return this.#failed(fd, 'bind', result, address)
    return { fd, address: this.#nameOf(fd, family), isWildcard: wildcard }
  }

  /** A socket connected to `address`, with the buffers the system gives: there may be thousands. */
  connected(address: PackedAddress): number | SystemError {
    const family = familyOf(address)
    const fd = this.#socket(family)
    if (fd < 0) return new SystemError('socket', fd, address)
    writeName(this.#name.words, 0, family, address)
    const result = this.#libc.connect(fd, this.#name.address, nameBytes(family))
    return result < 0 ? this.#failed(fd, 'connect', result, address) : fd
  }

  /** Takes the error that waits on a socket; 0 when there is none. */
  takeError(fd: number): number {
    this.#value.words[0] = 0
    this.#value.words[1] = 4
    const { address } = this.#value
    const result = this.#libc.getsockopt(fd, SOL_SOCKET, SO_ERROR, address, address + 4n)
    return result < 0 ? -result : this.#value.words[0]!
  }

  #socket(family: Family): number {
    return this.#libc.socket(family, SOCK_DGRAM | NONBLOCK | CLOEXEC, 0)
  }

  /** Best effort: what an option improves works somehow without it. */
  #set(fd: number, level: number, option: number, value: number): void {
    this.#value.words[0] = value
    this.#libc.setsockopt(fd, level, option, this.#value.address, 4)
  }

  #nameOf(fd: number, family: Family): PackedAddress {
    const address = emptyAddress()
    this.#value.words[0] = NAME_BYTES
    this.#libc.getsockname(fd, this.#name.address, this.#value.address)
    readName(this.#name.words, 0, family, address)
    return address
  }

  #failed(fd: number, syscall: string, errno: number, address: PackedAddress): SystemError {
    this.#libc.close(fd)
    return new SystemError(syscall, errno, address)
  }
}

const LISTENING_BUFFER_BYTES = 4 * 1024 * 1024

const SOCK_DGRAM = 2
const SOL_SOCKET = 1
const SO_ERROR = 4
const SO_SNDBUF = 7
const SO_RCVBUF = 8
const IPPROTO_IP = 0
const IP_PKTINFO = 8
const IPPROTO_IPV6 = 41
const IPV6_V6ONLY = 26
const IPV6_RECVPKTINFO = 49
