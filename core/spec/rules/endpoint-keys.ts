/** Keys of an endpoint that mean nothing, or cannot work, beside what else it says. */
import { parseIp } from '../../net/address.ts'
import type { EndpointProtocol, StreamSpec } from '../deployment.ts'
import type { Path } from '../problem.ts'
import type { Reading } from '../schema/reading.ts'

/** An endpoint's keys as the file spells them; `undefined` where it does not say one. */
export type WrittenKeys = Readonly<Partial<Record<string, unknown>>> & {
  readonly protocol: EndpointProtocol
  readonly host?: string
  readonly stream?: StreamSpec
}

export function checkKeys(read: WrittenKeys, path: Path, reading: Reading): void {
  for (const key of USELESS[read.protocol]) {
    if (read[key] === undefined) continue
    const message = `${key} means nothing for a ${read.protocol} endpoint; remove it`
    reading.report([...path, key], message)
  }
  checkHost(read, path, reading)
  const { protocol, stream } = read
  if (stream === undefined) return
  if (protocol === 'udp') checkStreamOfUdp(stream, [...path, 'stream'], reading)
  else checkTls(stream, [...path, 'stream'], reading)
  if (protocol === 'tcp' && stream.healthCheck?.type === 'udp_probe') {
    const at = [...path, 'stream', 'health_check', 'type']
    reading.report(at, 'udp_probe cannot check a tcp endpoint; write tcp_connect', 'value')
  }
}

/** With TLS a client says whom it asks for before anything else; a plain tcp client never does. */
function checkHost({ protocol, host, stream }: WrittenKeys, path: Path, reading: Reading): void {
  const at = [...path, 'host']
  if (protocol !== 'tcp' || host === undefined || reading.isSpoilt([...path, 'stream'])) return
  if ((stream?.tls ?? 'off') === 'off') {
    const advice = 'remove it, or write stream: { tls: terminate }'
    reading.report(at, `host needs tls: plain tcp does not say whom it is for; ${advice}`)
  } else if (parseIp(host) !== undefined) {
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

const OF_HTTP = ['stream', 'udp']
const USELESS: Readonly<Record<EndpointProtocol, readonly string[]>> = {
  http: OF_HTTP,
  https: OF_HTTP,
  websocket: OF_HTTP,
  tcp: ['path', 'http', 'udp'],
  udp: ['path', 'host', 'http'],
}
