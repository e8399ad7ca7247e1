/** The URL of an HTTP health check: which endpoint, which path, and the Host header to send. */

export interface HealthUrl {
  readonly scheme: 'http' | 'https'
  /** As written, brackets of an IPv6 address included. */
  readonly host: string
  /** Absent: the first endpoint's. */
  readonly port?: number
  /** Path and query; `/` when the URL has none. */
  readonly target: string
}

/** Undefined for anything but `http://HOST[:PORT][/PATH][?QUERY]`; no user, no fragment. */
export function parseHealthUrl(text: string): HealthUrl | undefined {
  const match = URL_PATTERN.exec(text)
  if (match === null) return undefined
  const [, scheme, host = '', port, target = ''] = match
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65535)) return undefined
  return {
    scheme: scheme === 'https' ? 'https' : 'http',
    host,
    ...(port === undefined ? {} : { port: Number(port) }),
    target: target.startsWith('/') ? target : `/${target}`,
  }
}

export const formatHealthUrl = ({ scheme, host, port, target }: HealthUrl): string =>
  `${scheme}://${host}${port === undefined ? '' : `:${port}`}${target}`

export const URL_PATTERN =
  /^(https?):\/\/(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::(\d{1,5}))?([/?][!-"$-~]*)?$/
