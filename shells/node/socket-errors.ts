/** What the system says about a socket, in words for people. */

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : ''

/** `connection refused`; the system's own code where there is no better word. */
export function reasonOf(error: unknown): string {
  const code = codeOf(error)
  return WORDS[code] ?? (code || (error instanceof Error ? error.message : String(error)))
}

export const isAddressInUse = (error: unknown): boolean => codeOf(error) === 'EADDRINUSE'

/** This machine does not have the address to listen on, or nothing of its family. */
export const isAddressMissing = (error: unknown): boolean =>
  codeOf(error) === 'EADDRNOTAVAIL' || codeOf(error) === 'EAFNOSUPPORT'

/** There is no way to the peer, or nobody at its end: of all that is sent there, not of one send. */
export const isUnreachable = (error: unknown): boolean => unreachableCodes.has(codeOf(error))

/** This machine ran out of something, whoever was to be reached. */
export const isHostLimit = (error: unknown): boolean => HOST_LIMITS.has(codeOf(error))

const WORDS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'the address is in use',
  EADDRNOTAVAIL: 'the address is not one of this machine',
  EAFNOSUPPORT: 'this machine has no addresses of that family',
  EACCES: 'permission denied',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EHOSTDOWN: 'host is down',
  EHOSTUNREACH: 'host unreachable',
  ENETUNREACH: 'network unreachable',
  ENOENT: 'no such file',
  ENOTFOUND: 'name not found',
  ETIMEDOUT: 'timed out',
  EMFILE: 'out of file descriptors (limit of this process)',
  ENFILE: 'out of file descriptors (limit of the system)',
}

/** See {@link isUnreachable}. */
export const unreachableCodes: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ENONET',
])

const HOST_LIMITS: ReadonlySet<string> = new Set([
  'EMFILE',
  'ENFILE',
  'ENOBUFS',
  'ENOMEM',
  'EAGAIN', // no local port is left to connect from
  'EADDRNOTAVAIL',
])
