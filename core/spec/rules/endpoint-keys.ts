/** Keys of an endpoint that mean nothing, or cannot work, beside what else it says. */
import type { EndpointProtocol, EndpointSpec, HttpSpec, StreamSpec } from '../deployment.ts'
import { addressOfHost } from '../grammar/addresses.ts'
import type { Path } from '../problem.ts'
import { isMap } from '../schema/objects.ts'
import type { Reading } from '../schema/reading.ts'
import { writtenAt } from './written.ts'

/** An endpoint's keys as the file spells them; `undefined` where it does not say one. */
export type WrittenKeys = Readonly<Partial<Record<string, unknown>>> & {
  readonly protocol: EndpointProtocol
  readonly host?: string
  readonly stream?: StreamSpec
  readonly http?: HttpSpec
}

export function checkKeys(read: WrittenKeys, path: Path, reading: Reading): void {
  for (const key of USELESS[read.protocol]) {
    if (read[key] === undefined) continue
    const message = `${key} means nothing for a ${read.protocol} endpoint; remove it`
    reading.report([...path, key], message)
  }
  checkHost(read, path, reading)
  const { protocol, stream, http } = read
  if (protocol === 'https' && http?.redirectHttps) {
    const message = 'redirect_https is for plain endpoints, and this is https; remove it'
    reading.report([...path, 'http', 'redirect_https'], message)
  }
  if (stream === undefined) return
  if (protocol === 'udp') checkStreamOfUdp(stream, [...path, 'stream'], reading)
  else if (protocol === 'tcp') checkTls(stream, [...path, 'stream'], reading)
  if (protocol !== 'udp' && stream.healthCheck?.type === 'udp_probe') {
    const at = [...path, 'stream', 'health_check', 'type']
    const message = `udp_probe cannot check a ${protocol} endpoint; write tcp_connect`
    reading.report(at, message, 'value')
  }
}

/**
 * Of a stream block only what comes before the requests means something at an http, https or
 * websocket endpoint. `tree` is the file as it was written: a default that is written out is as
 * wrong as anything else.
 */
export function checkStreamOfHttp(endpoint: EndpointSpec, tree: unknown, reading: Reading): void {
  const { protocol, http } = endpoint
  if (http === undefined) return
  const path = [...reading.pathOf(endpoint), 'stream']
  const written = writtenAt(tree, path)
  if (!isMap(written)) return
  for (const key of Object.keys(written)) {
    if (OF_CONNECTIONS.includes(key) || reading.isSpoilt([...path, key])) continue
    const why = `${key} is for tcp and means nothing for ${protocol}`
    reading.report([...path, key], `${why}; ${adviceInstead(key, protocol)}`)
  }
}

function adviceInstead(key: string, protocol: EndpointProtocol): string {
  if (key === 'tls') {
    return protocol === 'https' ? 'TLS is ended here anyway; remove it' : 'write protocol: https'
  }
  return INSTEAD[key] ?? 'remove it'
}

/** With TLS a client says whom it asks for before anything else; a plain tcp client never does. */
function checkHost({ protocol, host, stream }: WrittenKeys, path: Path, reading: Reading): void {
  const at = [...path, 'host']
  if (protocol !== 'tcp' || host === undefined || reading.isSpoilt([...path, 'stream'])) return
  if ((stream?.tls ?? 'off') === 'off') {
    const advice = 'remove it, or write stream: { tls: terminate }'
    reading.report(at, `host needs tls: plain tcp does not say whom it is for; ${advice}`)
  } else if (addressOfHost(host) !== undefined) {
    const why = 'a client never asks TLS for an address (RFC 6066, 3)'
    reading.report(at, `host must be a name: ${why}; remove it, or write the name`, 'value')
  }
}

function checkStreamOfUdp(stream: StreamSpec, path: Path, reading: Reading): void {
  if (stream.tls !== 'off') {
    reading.report([...path, 'tls'], 'tls is not possible on a udp endpoint', 'value')
  }
  const ofTcp = {
    proxy_protocol: stream.proxyProtocol,
    accept_proxy_protocol: stream.acceptProxyProtocol.length > 0,
  }
  for (const [key, isSaid] of Object.entries(ofTcp)) {
    if (!isSaid) continue
    reading.report([...path, key], `${key} of a udp endpoint belongs into its udp block`)
  }
  for (const key of backendKeys(stream)) {
    reading.report([...path, key], `${key} means nothing for a udp endpoint; remove it`)
  }
}

/** How a replica is known by matters only where we speak TLS to it. */
function checkTls(stream: StreamSpec, path: Path, reading: Reading): void {
  if (stream.tls === 'reoriginate' || reading.isSpoilt([...path, 'tls'])) return
  for (const key of backendKeys(stream)) {
    const message = `${key} is for tls: reoriginate; remove it, or write that`
    reading.report([...path, key], message)
  }
}

const backendKeys = ({ backendCa, backendName }: StreamSpec): readonly string[] => [
  ...(backendCa === undefined ? [] : ['backend_ca']),
  ...(backendName === undefined ? [] : ['backend_name']),
]

/** Of a stream block: before any request. */
const OF_CONNECTIONS = ['accept_proxy_protocol', 'health_check']
/** What to write for other keys of a stream block where requests are read. */
const INSTEAD: Readonly<Record<string, string>> = {
  proxy_protocol: 'replicas are told the client in X-Forwarded-For and Forwarded; remove it',
  connect_timeout: 'write it into the http block',
  idle_timeout: 'write http: { idle_timeout } for connections, tunnel_idle_timeout for WebSockets',
  session_timeout:
    'write http: { idle_timeout } for connections, tunnel_idle_timeout for WebSockets',
  max_connections: 'write limits: { http_clients } into the node file',
  max_connections_per_backend: 'write http: { max_requests_per_backend }',
  hold_timeout: 'write it into the http block',
  drain_timeout: 'write it into the http block',
  backend_ca: 'TLS towards replicas is for tcp with tls: reoriginate; remove it',
  backend_name: 'TLS towards replicas is for tcp with tls: reoriginate; remove it',
}
const USELESS: Readonly<Record<EndpointProtocol, readonly string[]>> = {
  http: ['udp'],
  https: ['udp'],
  websocket: ['udp'],
  tcp: ['path', 'http', 'udp'],
  udp: ['path', 'host', 'http'],
}
