/** Ports a service is reached at, and how traffic to them is spread. */
import { formatIp, parseIp } from '../../net/address.ts'
import type {
  BalanceSpec,
  EndpointProtocol,
  EndpointSpec,
  StreamSpec,
  UdpSpec,
} from '../deployment.ts'
import { addressOfHost, networkFault } from '../grammar/addresses.ts'
import { ENDPOINT_NAME } from '../grammar/names.ts'
import { PATH, pathFault, plainPath } from '../grammar/paths.ts'
import { checkKeys } from '../rules/endpoint-keys.ts'
import { forms, list } from '../schema/collections.ts'
import { byDefault, object, optional, refused, required } from '../schema/objects.ts'
import { bool, duration, integer, oneOf, port, text } from '../schema/scalars.ts'
import { given, mapped, placed, type Shape } from '../schema/shape.ts'
import { quote } from '../schema/words.ts'
import { streamCheck, udpHealth } from './health.ts'
import { DEFAULT_HTTP, HOLD_MS_MAX, http } from './http.ts'
import { role } from './scale.ts'

const NAME =
  /^([A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$/
/** Or an IPv6 address in brackets. */
const HOST = new RegExp(`${NAME.source.replace('^', '^(\\*\\.)?')}|^\\[[0-9A-Fa-f:.]+\\]$`)
/** RFC 1035, 2.3.4, as text without the last dot. */
const NAME_MAX = 253

export const isL7 = (protocol: EndpointProtocol): boolean =>
  protocol !== 'tcp' && protocol !== 'udp'

const count = (min: number, max = Number.MAX_SAFE_INTEGER): Shape<number> => integer(min, max)

const cidrs = list(
  text('a network such as 10.0.0.0/8', { fault: networkFault }),
  'a list of networks',
)
/** What a flow can count, and a table can hold and wait for. */
const COUNT_MAX = 2 ** 32 - 1
const FLOWS_MAX = 2 ** 20
const HALF_OPEN_MS_MAX = 60_000

const accepted = byDefault(cidrs, [], 'Networks whose PROXY protocol headers are believed.')

const balance = object('balance', 'a balance block', {
  strategy: optional(
    oneOf(['round_robin', 'hrw', 'maglev', 'least_connections', 'power_of_two']),
    'How a replica is chosen; round_robin when not said, hrw for udp.',
  ),
  rise: byDefault(
    count(1, 1000),
    1,
    'Good results in a row, of a check of the endpoint or of probes after a connection failed, that bring a replica back.',
  ),
  fall: byDefault(count(1, 1000), 3, 'Bad results in a row that take it out.'),
  fail_open: optional(
    bool,
    'Whether all are used when none is healthy; true for tcp and udp when not said.',
  ),
})

const tlsModes = oneOf(['off', 'terminate', 'reoriginate', 'passthrough'], {
  hints: { on: 'write terminate', yes: 'write terminate', no: 'write off', none: 'write off' },
})
const tls: Shape<StreamSpec['tls']> = forms<StreamSpec['tls']>(
  'off, terminate, reoriginate, passthrough or true',
  { text: tlsModes, word: mapped(bool, (on) => (on ? 'terminate' : 'off')) },
)

const stream: Shape<StreamSpec> = mapped(
  object('stream', 'a stream block', {
    tls: byDefault(
      tls,
      'off',
      'Who ends TLS: nobody here; Weir; Weir, which begins it anew with the replica; the replica. true is terminate.',
    ),
    proxy_protocol: byDefault(bool, false, 'Whether replicas are told the client in a v2 header.'),
    accept_proxy_protocol: accepted,
    session_timeout: optional(duration(1), 'Not used: idle_timeout is, and front_timeout for udp.'),
    health_check: optional(streamCheck, 'How replicas are probed, besides their health.'),
    connect_timeout: byDefault(duration(1), '2s', 'How long connecting to a replica may take.'),
    idle_timeout: byDefault(
      duration(1),
      '1h',
      'How long a connection may be quiet in both directions.',
    ),
    max_connections: byDefault(count(1, 1_000_000), 10_000, 'Connections at one time.'),
    max_connections_per_backend: byDefault(
      count(0, 1_000_000),
      0,
      'Connections to one replica at one time; 0 is any number.',
    ),
    backend_ca: optional(
      text('the path of a file'),
      "A PEM file of certificates; a replica's must be signed by one of them. Relative to the deployment file. For tls: reoriginate.",
    ),
    backend_name: optional(
      text('a name such as db.internal', {
        pattern: NAME,
        charactersMax: NAME_MAX,
        fault: (written) =>
          parseIp(written) === undefined
            ? undefined
            : `must be a name, not ${quote(written)}: TLS asks for names only (RFC 6066, 3)`,
      }),
      "The name replicas are asked for and their certificates must have; the endpoint's host when not said. For tls: reoriginate.",
    ),
    hold_timeout: byDefault(
      duration(0, HOLD_MS_MAX),
      '30s',
      'How long a connection waits while its service is woken from zero; with 0s it is closed, and the next one finds it awake. For tcp.',
    ),
    drain_timeout: byDefault(
      duration(0),
      '30s',
      'How long connections to a replica that leaves may go on.',
    ),
  }),
  (read): StreamSpec => ({
    tls: read.tls,
    proxyProtocol: read.proxy_protocol,
    acceptProxyProtocol: read.accept_proxy_protocol,
    ...given({
      sessionTimeoutMs: read.session_timeout,
      healthCheck: read.health_check,
      backendCa: read.backend_ca,
      backendName: read.backend_name?.toLowerCase(),
    }),
    connectTimeoutMs: read.connect_timeout,
    idleTimeoutMs: read.idle_timeout,
    connectionsMax: read.max_connections,
    connectionsPerBackendMax: read.max_connections_per_backend,
    holdTimeoutMs: read.hold_timeout,
    drainTimeoutMs: read.drain_timeout,
  }),
)

const udp: Shape<UdpSpec> = mapped(
  object('udp', 'a udp block', {
    affinity: byDefault(
      oneOf(['source_ip_port', 'source_ip', 'datagram']),
      'source_ip_port',
      'What of a client stays with one replica.',
    ),
    responses: byDefault(
      count(0, COUNT_MAX),
      0,
      'Answers to a request; a flow with all of its answers ends. 0 is any number.',
    ),
    requests: byDefault(
      count(0, COUNT_MAX),
      0,
      'Requests a flow takes; the next one is given a replica anew. 0 is any number.',
    ),
    front_timeout: byDefault(duration(1), '30s', 'How long a client may be quiet.'),
    back_timeout: byDefault(duration(1), '30s', 'How long a replica may be quiet.'),
    half_open_timeout: byDefault(
      duration(1, HALF_OPEN_MS_MAX),
      '5s',
      'How long a flow waits for its first answer; at most 60s.',
    ),
    max_lifetime: byDefault(duration(0), '0s', 'How long a flow may last; 0s is for ever.'),
    max_flows: byDefault(
      count(0, FLOWS_MAX),
      0,
      "Flows at one time at each address listened on; 0 is a share of the node's budget.",
    ),
    max_flows_per_source: byDefault(
      count(0, FLOWS_MAX),
      0,
      'Flows of one client address; 0 is any number.',
    ),
    max_datagram: byDefault(count(1, 65_507), 65_507, 'Bytes; larger datagrams are dropped.'),
    proxy_protocol: byDefault(
      oneOf(['off', 'first', 'every']),
      'off',
      'Which datagrams tell the replica the client in a v2 header.',
    ),
    accept_proxy_protocol: accepted,
    health: optional(udpHealth, 'How replicas are probed at this endpoint, besides their health.'),
  }),
  (read): UdpSpec => ({
    affinity: read.affinity,
    responses: read.responses,
    requests: read.requests,
    frontTimeoutMs: read.front_timeout,
    backTimeoutMs: read.back_timeout,
    halfOpenTimeoutMs: read.half_open_timeout,
    lifetimeMaxMs: read.max_lifetime,
    flowsMax: read.max_flows,
    flowsPerSourceMax: read.max_flows_per_source,
    datagramBytesMax: read.max_datagram,
    proxyProtocol: read.proxy_protocol,
    acceptProxyProtocol: read.accept_proxy_protocol,
    ...given({ health: read.health }),
  }),
)

const endpointFields = {
  name: required(
    text('a name of letters, digits, dots, hyphens and underscores', { pattern: ENDPOINT_NAME }),
    'Unique in the service.',
  ),
  protocol: required(
    oneOf(['http', 'https', 'tcp', 'udp', 'websocket'], { hints: { ws: 'write websocket' } }),
    'What is spoken at the port.',
  ),
  port: required(port, 'The port of the host that Weir listens on.'),
  target_port: optional(
    port,
    'The port a replica listens on. A process is told a port of its own in $PORT and $PORT_NAME; say one here only when the program itself chooses it.',
  ),
  target: optional(
    text('the name of an endpoint', { pattern: ENDPOINT_NAME }),
    'Another endpoint of the service, whose port in the program this one leads to, too: one program that listens once, reached with and without TLS, say.',
  ),
  path: optional(
    text('a path such as /api', { pattern: PATH, fault: pathFault }),
    'Prefix of the paths that come here, up to a slash: /api is /api and /api/users, not /apiary. The longest prefix of the host is taken. For http, https and websocket.',
    { written: '/' },
  ),
  host: optional(
    text('a host such as example.com or *.example.com', {
      pattern: HOST,
      charactersMax: NAME_MAX,
      fault: hostFault,
    }),
    'Name that requests must be for, of tcp with tls the server name asked for; any other when not said. *.example.com is one label more; an address is 10.0.0.1 or "[fd00::1]". Not for udp, nor for tcp without tls.',
  ),
  expose: byDefault(
    oneOf(['public', 'internal'], { hints: { private: 'write internal' } }),
    'internal',
    "public listens on all addresses, internal on the node's internal ones, or on loopback while it has none.",
  ),
  target_role: optional(role, 'Only replicas of this role of replica_groups get traffic.'),
  balance: optional(balance, 'How traffic is spread over replicas.'),
  stream: optional(
    stream,
    'Settings of a tcp or udp port; of http, https and websocket accept_proxy_protocol and health_check.',
  ),
  udp: optional(udp, 'Settings of a udp port.'),
  http: optional(http, 'Settings of an http, https or websocket port.'),
  tunnel: refused,
}

const defaultsOf = <T>(shape: Shape<T>): T => byDefault(shape, {}, '').standIn as T
const DEFAULT_BALANCE = defaultsOf(balance)
const DEFAULT_STREAM = defaultsOf(stream)
const DEFAULT_UDP = defaultsOf(udp)

export const endpoint: Shape<EndpointSpec> = placed(
  mapped(
    object('endpoint', 'an endpoint', endpointFields, {
      host_port: 'write port',
      container_port: 'write target_port',
    }),
    (read, path, reading): EndpointSpec => {
      const { name, protocol, port, expose } = read
      checkKeys(read, path, reading)
      const host = plainHost(read.host)
      const { rise, fall, strategy, fail_open } = read.balance ?? DEFAULT_BALANCE
      const spread: BalanceSpec = {
        strategy: strategy ?? (protocol === 'udp' ? 'hrw' : 'round_robin'),
        rise,
        fall,
        failOpen: fail_open ?? !isL7(protocol),
      }
      return {
        name,
        protocol,
        port,
        path: plainPath(read.path ?? '/'),
        expose,
        balance: spread,
        stream: streamOf(protocol, read.stream ?? DEFAULT_STREAM, host),
        ...given({
          targetPort: read.target_port,
          targetEndpoint: read.target,
          host,
          targetRole: read.target_role,
          udp: protocol === 'udp' ? (read.udp ?? DEFAULT_UDP) : undefined,
          http: isL7(protocol) ? (read.http ?? DEFAULT_HTTP) : undefined,
        }),
      }
    },
  ),
)

/** What follows from the protocol and the host: https is ended here, a replica goes by the host's name. */
function streamOf(protocol: EndpointProtocol, stream: StreamSpec, host?: string): StreamSpec {
  if (protocol === 'https') return { ...stream, tls: 'terminate' }
  const isNamed = stream.backendName !== undefined || host === undefined || host.startsWith('*')
  if (stream.tls !== 'reoriginate' || isNamed) return stream
  return { ...stream, backendName: host }
}

/** An address in its usual form, as clients write it. */
function plainHost(written: string | undefined): string | undefined {
  const ip = written?.startsWith('[') ? addressOfHost(written) : undefined
  return ip === undefined ? written?.toLowerCase() : `[${formatIp(ip)}]`
}

/** Completes `host ...`. */
function hostFault(written: string): string | undefined {
  if (written === '*') return 'must not be "*"; remove it to have every host'
  const [, name] = /^([^:/]+|\[[^\]]*\]):\d+$/.exec(written) ?? []
  if (name !== undefined && HOST.test(name)) {
    return `must be without the port, which is a key of its own: write ${asYaml(name)}`
  }
  const [, named] = /^[a-z]+:\/\/([^/:]+)/i.exec(written) ?? []
  if (named !== undefined && HOST.test(named)) return `must be a name, not a URL: write ${named}`
  if (parseIp(written)?.family === 6 && !written.includes('%')) {
    return `must be in brackets: write ${asYaml(`[${written}]`)}`
  }
  const isAddress = !written.startsWith('[') || addressOfHost(written) !== undefined
  return isAddress ? undefined : `must be an IPv6 address in brackets, not ${quote(written)}`
}

/** Brackets begin a list. */
const asYaml = (host: string): string => (host.startsWith('[') ? `"${host}"` : host)
