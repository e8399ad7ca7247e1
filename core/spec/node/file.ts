/**
 * The node file's one door: a plain tree, as a YAML or JSON reader gives it, becomes
 * {@link NodeSettings} or the list of everything that is wrong with it. Source: the design, "What a
 * deployment file looks like", its last paragraph.
 */
import {
  formatIp,
  formatSocketAddress,
  isLoopback,
  isUnspecified,
  parseDecimal,
  parseIp,
  parseSocketAddress,
  unmapped,
} from '../../net/address.ts'
import type { PortRange } from '../../publish/host/replica-ports.ts'
import { listenFault } from '../grammar/addresses.ts'
import type { Path, Problem } from '../problem.ts'
import { list } from '../schema/collections.ts'
import { byDefault, isMap, notBuilt, object, optional } from '../schema/objects.ts'
import { Reading } from '../schema/reading.ts'
import { describedAs, duration, text } from '../schema/scalars.ts'
import { given, type JsonSchema, mapped, placed, type Shape } from '../schema/shape.ts'
import { quote, show, showKey, subject } from '../schema/words.ts'
import { acme } from './acme.ts'
import { accessLog, limits } from './http.ts'
import { networkPolicies, networks } from './policies.ts'
import { defaultNodeSettings, type NodeSettings } from './settings.ts'

type DecodedNodeFile =
  | {
      readonly ok: true
      readonly settings: NodeSettings
      /** What works and had better be otherwise. */
      readonly warnings: readonly Problem[]
    }
  | { readonly ok: false; readonly problems: readonly Problem[] }

/** Never throws. A file that says nothing, `null`, is one with all of the defaults. */
export function decodeNodeFile(tree: unknown): DecodedNodeFile {
  const written = tree ?? {}
  if (!isMap(written)) {
    const message = `a node file is a map such as drain_timeout: 30s, not ${show(written)}`
    return { ok: false, problems: [{ path: [], message }] }
  }
  const reading = new Reading()
  const settings = nodeFile.read(written, [], reading)
  if (settings === undefined || reading.problems.length > 0) {
    return { ok: false, problems: reading.problems }
  }
  return { ok: true, settings, warnings: warningsOf(settings) }
}

/** JSON Schema (draft 2020-12) of the file, for editors. It knows the shape, not the rules. */
export function nodeJsonSchema(): JsonSchema {
  const defs: Record<string, JsonSchema> = {}
  const root = nodeFile.describe(defs)
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    $id: 'weir-node-v1',
    title: 'Weir node file',
    ...root,
    $defs: defs,
  }
}

const warningsOf = (settings: NodeSettings): readonly Problem[] => [
  ...ofReplicaPorts(settings),
  ...ofProxies(settings),
  ...ofPolicies(settings),
]

/** Whoever believes everybody is told addresses by everybody. */
const ofProxies = ({ trustedProxies }: NodeSettings): readonly Problem[] =>
  trustedProxies.flatMap((network, index): Problem[] => {
    if (!network.endsWith('/0')) return []
    const message = `${network} is everybody: any client can then say which address it has`
    return [{ path: ['trusted_proxies', index], message, at: 'value' }]
  })

/** Rules that only deny look as if they left the rest open. */
const ofPolicies = ({ networkPolicies }: NodeSettings): readonly Problem[] =>
  networkPolicies.flatMap(({ name, accessRules }, index): Problem[] => {
    if (accessRules.some(({ action }) => action === 'allow')) return []
    const message = `policy ${showKey(name)} allows nothing, so whom it governs reaches nothing; add { action: allow } for the rest`
    return [{ path: ['network_policies', index], message }]
  })

function ofReplicaPorts({ replicaPorts: { from, to } }: NodeSettings): readonly Problem[] {
  if (to < EPHEMERAL.from || from > EPHEMERAL.to) return []
  const message =
    `replicas ${from}-${to} reaches into ${EPHEMERAL.from}-${EPHEMERAL.to}, from which Linux ` +
    'takes the local ports of connections: a replica may find its port taken'
  return [{ path: ['ports', 'replicas'], message, at: 'value' }]
}

/** Where Linux takes local ports from unless told otherwise (net.ipv4.ip_local_port_range). */
const EPHEMERAL: PortRange = { from: 32_768, to: 60_999 }
/** Below it are the ports that only root may take. */
const PORT_MIN = 1024
const PORT_MAX = 65_535
/** The one that examples have. */
const METRICS_PORT = 9464
const DRAIN_MS_MAX = 60 * 60 * 1000

/** What is no text has none: an object may have a `toString` that is none. */
const textOf = (value: unknown): string => (typeof value === 'string' ? value : '')

const portRange: Shape<PortRange> = describedAs(
  {
    what: 'a range such as 20000-29999',
    read(value, path, reading) {
      const [, from = '', to = ''] = /^(\d+)\s*-\s*(\d+)$/.exec(textOf(value)) ?? []
      const range = { from: portOf(from), to: portOf(to) }
      const isRange =
        typeof value === 'string' && range.from !== undefined && range.to !== undefined
      if (!isRange) return refuse(`must be ${portRange.what}, not ${show(value)}`, path, reading)
      return orderedRange(range as PortRange, path, reading)
    },
    describe: () => ({}),
  },
  { type: 'string', pattern: '^[0-9]+\\s*-\\s*[0-9]+$' },
)

function orderedRange(
  { from, to }: PortRange,
  path: Path,
  reading: Reading,
): PortRange | undefined {
  if (from < PORT_MIN || to > PORT_MAX) {
    return refuse(`must lie within ${PORT_MIN}-${PORT_MAX}, not ${from}-${to}`, path, reading)
  }
  if (from <= to) return { from, to }
  return refuse(`must begin with the smaller number: write ${to}-${from}`, path, reading)
}

/** Six digits at the most, so that what is out of range can be told from what is no number. */
const portOf = (digits: string): number | undefined => parseDecimal(digits, 999_999)

const internalAddress: Shape<{ readonly address: string }> = placed(
  mapped(
    text('an IP address', {
      fault: (written) =>
        parseIp(written) === undefined ? `must be an IP address, not ${quote(written)}` : undefined,
    }),
    (written, path, reading) => {
      const address = unmapped(parseIp(written)!)
      const fault = listenFault(address)
      if (fault !== undefined) return refuse(fault, path, reading)
      if (isUnspecified(address)) {
        return refuse('must be one address, not all of them', path, reading)
      }
      if (isLoopback(address)) {
        const why = 'is loopback, where internal endpoints are anyway while there is no other'
        return refuse(`${why} address; remove it`, path, reading)
      }
      return { address: formatIp(address) }
    },
  ),
)

const internalAddresses: Shape<readonly string[]> = mapped(
  list(internalAddress, 'a list of IP addresses'),
  (items, _path, reading) => {
    const seen = new Set<string>()
    for (const item of items) {
      const fault = `is ${item.address} again; remove one of the two`
      if (seen.has(item.address)) refuse(fault, reading.pathOf(item), reading)
      seen.add(item.address)
    }
    return [...seen]
  },
)

const metrics: Shape<{ readonly host: string; readonly port: number }> = describedAs(
  {
    what: `HOST:PORT such as 127.0.0.1:${METRICS_PORT}`,
    read(value, path, reading) {
      const written = typeof value === 'number' ? `:${value}` : value
      const address = typeof written === 'string' ? parseSocketAddress(written) : undefined
      if (address === undefined || address.port === 0) {
        const hint = metricsHint(textOf(written))
        return refuse(`must be ${metrics.what}, not ${show(value)}${hint}`, path, reading)
      }
      const fault = listenFault(address.ip)
      if (fault !== undefined) return refuse(fault, path, reading)
      return { host: formatIp(unmapped(address.ip)), port: address.port }
    },
    describe: () => ({}),
  },
  { type: 'string', pattern: '^(\\[[^\\]]+\\]|[0-9.]+):[0-9]{1,5}$' },
)

function metricsHint(written: string): string {
  const [, port] = /^(?:localhost|\*)?:(\d+)$/.exec(written) ?? []
  if (port !== undefined) {
    return `; write 127.0.0.1:${port} for this machine only, 0.0.0.0:${port} for everybody`
  }
  const colon = written.lastIndexOf(':')
  const bracketed = parseSocketAddress(`[${written.slice(0, colon)}]${written.slice(colon)}`)
  // `::1:9464` is an address by itself, too, though hardly what was meant
  if (bracketed !== undefined && bracketed.port !== 0) {
    return `; write "${formatSocketAddress(bracketed)}"`
  }
  const ip = parseIp(written.replace(/^\[(.*)\]$/, '$1'))
  if (ip === undefined) return ', HOST an IP address and PORT from 1 to 65535'
  return `; write "${formatSocketAddress({ ip, port: METRICS_PORT })}"`
}

const nodeFile: Shape<NodeSettings> = mapped(
  object(
    'node',
    'the node file',
    {
      ports: byDefault(
        object('ports', 'a ports block', {
          replicas: byDefault(
            portRange,
            `${defaultNodeSettings.replicaPorts.from}-${defaultNodeSettings.replicaPorts.to}`,
            'Where replicas get their ports from, within 1024-65535; best outside 32768-60999.',
          ),
        }),
        {},
        'Ports of this machine that the node gives away.',
      ),
      internal_addresses: byDefault(
        internalAddresses,
        [],
        'Addresses of this machine, such as its own in a VPN, that internal endpoints listen on; without any they are on loopback.',
      ),
      certificates: optional(
        text('the path of a directory'),
        'Directory of NAME.crt and NAME.key, default.crt and default.key; relative to the node file. Without it nothing that ends TLS can be deployed.',
      ),
      metrics: optional(
        metrics,
        'Where metrics are served over HTTP: an IP address and a port. Not served when not said.',
      ),
      drain_timeout: byDefault(
        duration(0, DRAIN_MS_MAX),
        '30s',
        'How long a shutdown waits for connections and flows before it cuts them; at most 1h.',
      ),
      trusted_proxies: byDefault(
        networks,
        [...defaultNodeSettings.trustedProxies],
        'Proxies in front of this node: what they say of a client in X-Forwarded-For, Forwarded and the like is believed; of others it is replaced.',
      ),
      network_policies: byDefault(
        networkPolicies,
        [],
        'Who may reach what, by where they come from; without any everybody may reach everything.',
      ),
      access_log: optional(accessLog, 'A line for each HTTP request; none when not said.'),
      limits: byDefault(limits, {}, 'How much the node takes on at one time.'),
      acme: optional(
        acme,
        'Certificates that the node gets and renews by itself, and keeps in certificates.',
      ),
      journal: notBuilt,
    },
    {
      proxies: 'write trusted_proxies',
      policies: 'write network_policies',
      letsencrypt: 'write acme: { email: ..., terms_agreed: true }',
      replica_ports: 'write ports: { replicas: 20000-29999 }',
      replicas: 'write ports: { replicas: 20000-29999 }',
      tls: 'write certificates: DIRECTORY',
      services: 'it belongs into the deployment file',
      deployment: 'it belongs into the deployment file',
      version: 'a node file has none; remove it',
    },
  ),
  (read, path, reading): NodeSettings => {
    if (read.acme !== undefined && read.certificates === undefined) {
      const message = 'acme needs certificates, a directory where it keeps what it gets'
      if (!reading.isSpoilt([...path, 'certificates'])) reading.report([...path, 'acme'], message)
    }
    return {
      replicaPorts: read.ports.replicas,
      internalAddresses: read.internal_addresses,
      drainTimeoutMs: read.drain_timeout,
      trustedProxies: read.trusted_proxies,
      networkPolicies: read.network_policies,
      limits: read.limits,
      ...given({
        certificates: read.certificates,
        metrics: read.metrics,
        accessLog: read.access_log,
        acme: read.acme,
      }),
    }
  },
)

function refuse(fault: string, path: Path, reading: Reading): undefined {
  reading.report(path, `${subject(path)} ${fault}`, 'value')
  return undefined
}
