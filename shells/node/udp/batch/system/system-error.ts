import { getSystemErrorName } from 'node:util'
import { formatPacked, type PackedAddress } from '../../../../../core/net/packed-address.ts'

/** A system call failed; like the errors of Node's own sockets: `bind EADDRINUSE 127.0.0.1:53`. */
export class SystemError extends Error {
  /** `EADDRINUSE` and so on. */
  readonly code: string
  readonly syscall: string
  /** Below zero. */
  readonly errno: number

  /** `errno` may be below zero or above. */
  constructor(syscall: string, errno: number, address?: PackedAddress) {
    const code = getSystemErrorName(-Math.abs(errno))
    super([syscall, code, ...(address === undefined ? [] : [formatPacked(address)])].join(' '))
    this.code = code
    this.syscall = syscall
    this.errno = -Math.abs(errno)
  }
}
