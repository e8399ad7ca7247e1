/** Keys for containers, clusters and name servers: kept for the runtimes that use them. */
import { formatIp, parseIp, unmapped } from '../../net/address.ts'
import type { ExtraSpec, PortMappingSpec } from '../deployment.ts'
import { listenFault } from '../grammar/addresses.ts'
import { forms, list, record } from '../schema/collections.ts'
import { byDefault, object, optional, required } from '../schema/objects.ts'
import { anyText, bool, integer, oneOf, port, text } from '../schema/scalars.ts'
import { given, mapped, placed, type Shape } from '../schema/shape.ts'
import { quote } from '../schema/words.ts'
import { affinity } from './scale.ts'

const ip = text('an IP address', {
  fault: (written) =>
    parseIp(written) === undefined ? `must be an IP address, not ${quote(written)}` : undefined,
})
/** One way to write each, as sockets are compared by it: `::ffff:10.0.0.1` is 10.0.0.1. */
const hostIp: Shape<string> = mapped(
  text('an IP address', {
    fault: (written) => {
      const address = parseIp(written)
      if (address !== undefined) return listenFault(address)
      const hint = written === 'localhost' ? '; write 127.0.0.1' : ''
      return `must be an IP address, not ${quote(written)}${hint}`
    },
  }),
  (written) => {
    const parsed = parseIp(written)
    return parsed && formatIp(unmapped(parsed))
  },
)
const texts = list(text('text'), 'a list of texts')
const labelMap = record(anyText, 'a map from names to texts')
const protocol = oneOf(['tcp', 'udp'])

const extraHost = mapped(
  text('name:address', {
    fault: (written) => {
      const address = written.slice(written.indexOf(':') + 1)
      const good = /^[^:\s]+:./.test(written) && (address === 'host-gateway' || parseIp(address))
      return good
        ? undefined
        : `must be name:address, the address may be host-gateway, not ${quote(written)}`
    },
  }),
  (written) => {
    const colon = written.indexOf(':')
    return { name: written.slice(0, colon), ip: written.slice(colon + 1) }
  },
)

const device = object('device', 'a device', {
  path: required(text('an absolute path', { pattern: /^\/[^\0]*$/ }), 'Of the device on the host.'),
  read: byDefault(bool, true, 'Whether it may be read.'),
  write: byDefault(bool, true, 'Whether it may be written.'),
  mknod: byDefault(bool, false, 'Whether its node may be made.'),
})

const bound = integer(-1, Number.MAX_SAFE_INTEGER, 'a whole number, or -1 for no limit')

/** A lone bound fills the other; both absent are 0. */
const ulimit = mapped(
  object('ulimit', 'a ulimit', {
    soft: optional(bound, "The limit in force; the hard one's when not said."),
    hard: optional(bound, "How far it may be raised; the soft one's when not said."),
  }),
  ({ soft, hard }) => ({ soft: soft ?? hard ?? 0, hard: hard ?? soft ?? 0 }),
)

type Exposed = { readonly port: number; readonly protocol: 'tcp' | 'udp' }
const exposed: Shape<Exposed> = forms<Exposed>('a port, or 53/udp', {
  number: mapped(port, (read): Exposed => ({ port: read, protocol: 'tcp' })),
  text: mapped(
    text('a port such as 8080 or 53/udp', { pattern: /^[1-9]\d{0,4}(\/(tcp|udp))?$/ }),
    (written, path, reading): Exposed | undefined => {
      const [number = '', named = 'tcp'] = written.split('/')
      const read = port.read(Number(number), path, reading)
      return read === undefined ? undefined : { port: read, protocol: named as 'tcp' | 'udp' }
    },
  ),
})

const nodeSelector = mapped(
  object('node_selector', 'a node selector', {
    labels: byDefault(labelMap, {}, 'Labels a node must have.'),
    prefer_labels: byDefault(labelMap, {}, 'Labels a node had better have.'),
  }),
  (read) => ({ labels: read.labels, preferLabels: read.prefer_labels }),
)

const platform = mapped(
  object('platform', 'a platform', {
    os: required(oneOf(['linux', 'windows', 'macos']), 'Operating system of the node.'),
    arch: required(oneOf(['amd64', 'arm64']), 'Processor of the node.'),
    osVersion: optional(text('a version'), 'Version of the operating system.'),
  }),
  ({ osVersion, ...read }) => ({ ...read, ...given({ osVersion }) }),
)

const overlay = mapped(
  object('overlay', 'an overlay block', {
    mode: byDefault(
      oneOf(['auto', 'shared', 'dedicated', 'isolated']),
      'auto',
      'Which overlay network; auto is shared.',
    ),
    parent: optional(oneOf(['cluster']), 'The network it hangs on.'),
  }),
  ({ mode, parent }) => ({
    mode: mode === 'auto' ? ('shared' as const) : mode,
    ...given({ parent }),
  }),
)

/** Keys of a service, in the order the documentation has them. */
export const extraFields = {
  node_mode: optional(
    oneOf(['shared', 'dedicated', 'exclusive']),
    'Whether it shares nodes with replicas of its own, or with anybody.',
    { written: 'shared' },
  ),
  node_selector: optional(nodeSelector, 'Which nodes of a cluster may run it.'),
  affinity: optional(affinity, 'Which nodes of a cluster it prefers.', { written: 'pack' }),
  platform: optional(platform, 'What a node must be; anything when not said.'),
  overlay: optional(overlay, 'How it joins the overlay network.'),
  dns: optional(list(ip, 'a list of IP addresses'), 'Name servers, instead of the node.'),
  dns_search: optional(texts, 'Search domains, instead of the deployment.'),
  extra_hosts: optional(
    list(extraHost, 'a list of name:address'),
    'More names; the address may be host-gateway.',
  ),
  hostname: optional(
    text('a host name', { pattern: /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/ }),
    'The name a replica calls itself.',
  ),
  lifecycle: optional(
    object('lifecycle', 'a lifecycle block', {
      delete_on_exit: byDefault(bool, false, 'Whether a container that ended is removed.'),
    }),
    'What becomes of a container that ended.',
  ),
  user: optional(text('a user, or user:group'), 'Who the program runs as.'),
  privileged: optional(bool, 'All capabilities and devices.', { written: false }),
  capabilities: optional(texts, 'Capabilities to add.', { alias: 'cap_add' }),
  cap_drop: optional(texts, 'Capabilities to drop.'),
  devices: optional(list(device, 'a list of devices'), 'Devices of the host.'),
  ulimits: optional(record(ulimit, 'a map from names to ulimits'), 'Limits of each process.'),
  sysctls: optional(labelMap, 'Kernel settings of its namespaces.'),
  security_opt: optional(texts, 'Security options of the runtime.'),
  read_only_root_fs: optional(bool, 'Whether the image cannot be written.', { written: false }),
  init_container: optional(bool, 'Whether an init reaps orphans.', { written: false }),
  tty: optional(bool, 'Whether it gets a terminal.', { written: false }),
  stdin_open: optional(bool, 'Whether its input stays open.', { written: false }),
  pid_mode: optional(text('a pid namespace'), 'Whose processes it sees.'),
  ipc_mode: optional(text('an ipc namespace'), 'Whose shared memory it sees.'),
  userns_mode: optional(text('a user namespace'), 'Whose users it has.'),
  cgroup_parent: optional(text('a cgroup'), 'The cgroup it is put under.'),
  extra_groups: optional(texts, 'More groups of the user.'),
  expose: optional(list(exposed, 'a list of ports'), 'Ports told to the runtime only.'),
} as const

/** What reading {@link extraFields} gives. */
type ExtraRead = {
  readonly [K in keyof typeof extraFields]?: (typeof extraFields)[K]['shape'] extends Shape<infer T>
    ? T
    : never
}

export const extraOf = (read: ExtraRead): ExtraSpec =>
  given({
    nodeMode: read.node_mode,
    nodeSelector: read.node_selector,
    affinity: read.affinity,
    platform: read.platform,
    overlay: read.overlay,
    dns: read.dns,
    dnsSearch: read.dns_search,
    extraHosts: read.extra_hosts,
    hostname: read.hostname,
    deleteOnExit: read.lifecycle?.delete_on_exit,
    user: read.user,
    privileged: read.privileged,
    capabilities: read.capabilities,
    capDrop: read.cap_drop,
    devices: read.devices,
    ulimits: read.ulimits,
    sysctls: read.sysctls,
    securityOpt: read.security_opt,
    readOnlyRootFs: read.read_only_root_fs,
    initContainer: read.init_container,
    tty: read.tty,
    stdinOpen: read.stdin_open,
    pidMode: read.pid_mode,
    ipcMode: read.ipc_mode,
    usernsMode: read.userns_mode,
    cgroupParent: read.cgroup_parent,
    extraGroups: read.extra_groups,
    expose: read.expose,
  })

export const labels = labelMap

export const portMapping: Shape<PortMappingSpec> = placed(
  mapped(
    object(
      'port_mapping',
      'a port mapping',
      {
        host_port: optional(
          integer(0, 65535, 'a number from 0 to 65535'),
          'Port of the host; absent or 0 is one that the kernel picks, shown by weir status.',
        ),
        container_port: required(
          port,
          "An endpoint's target_port or port: the port each replica has for it. Of a process any other is where the program itself listens.",
        ),
        protocol: byDefault(protocol, 'tcp', 'tcp or udp.'),
        host_ip: byDefault(
          hostIp,
          '0.0.0.0',
          'Address of the host; 0.0.0.0 is all of IPv4, :: all of IPv6.',
        ),
      },
      { target_port: 'write container_port', port: 'write host_port or container_port' },
    ),
    (read): PortMappingSpec => ({
      ...(read.host_port ? { hostPort: read.host_port } : {}),
      containerPort: read.container_port,
      protocol: read.protocol,
      hostIp: read.host_ip,
    }),
  ),
)

const bridge = object('network_bridge', 'a bridge network', {
  bridge: required(
    object('bridge', 'a bridge', {
      name: optional(text('a name', { pattern: /^[\w.-]+$/ }), 'Of the bridge.'),
    }),
    'A bridge of the host.',
  ),
})
const shared = object('network_container', 'a shared network', {
  container: required(
    object('container', 'a container', {
      id: required(text('an id', { pattern: /^[\w.-]+$/ }), 'Of the container.'),
    }),
    'The network of another container.',
  ),
})

/** `default`, `host`, `none`, `bridge[:name]`, `container:<id>`, or the last two as a map. */
export const networkMode: Shape<string> = forms<string>(
  'default, host, none, bridge[:name] or container:<id>',
  {
    text: text('default, host, none, bridge[:name] or container:<id>', {
      pattern: /^(default|host|none|bridge(:[\w.-]+)?|container:[\w.-]+)$/,
    }),
    map: {
      what: 'a network',
      read(value, path, reading) {
        if (Object.hasOwn(value as object, 'container')) {
          const read = shared.read(value, path, reading)
          return read && `container:${read.container.id}`
        }
        const read = bridge.read(value, path, reading)
        return read && (read.bridge.name === undefined ? 'bridge' : `bridge:${read.bridge.name}`)
      },
      describe: (defs) => ({ anyOf: [bridge.describe(defs), shared.describe(defs)] }),
    },
  },
)
