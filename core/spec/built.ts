/**
 * What the file may say and Weir does not do yet. A field that changes the meaning of a deployment
 * when it is ignored is refused when the deployment is to run; one that only advises is warned of.
 * Checking a file accepts both. When the work behind a field is built, its line here goes.
 */
import type { Deployment, EndpointSpec, HealthSpec, ServiceSpec } from './deployment.ts'
import { parseEnvValue } from './grammar/env.ts'
import { parseHealthUrl } from './grammar/health-url.ts'
import type { Path } from './problem.ts'

export interface Unbuilt {
  readonly path: Path
  readonly level: 'refuse' | 'warn'
  readonly message: string
}

export function unbuilt(deployment: Deployment): readonly Unbuilt[] {
  const found: Unbuilt[] = []
  for (const [name, spec] of Object.entries(deployment.services)) {
    const at = notes(found, ['services', name])
    if (spec.rtype !== 'service') {
      at('warn', ['rtype'], `a ${spec.rtype} is registered, not run yet`)
      continue
    }
    ofRuntime(spec, at)
    ofReplicas(spec, deployment, at)
    if (spec.health !== undefined) ofHealth(spec.health, spec, at)
    for (const [index, endpoint] of spec.endpoints.entries()) {
      ofEndpoint(endpoint, spec, notes(found, ['services', name, 'endpoints', index]))
    }
    ofFirst(spec, at)
    ofContainer(spec, at)
  }
  for (const name of Object.keys(deployment.externals)) {
    notes(found, ['externals', name])('refuse', [], 'externals are not built yet')
  }
  if (deployment.api.enabled) {
    notes(found, ['api'])('refuse', ['enabled'], 'the api is not built yet')
  }
  return found
}

type Note = (level: 'refuse' | 'warn', path: Path, message: string) => void

const notes =
  (found: Unbuilt[], base: Path): Note =>
  (level, path, message) =>
    found.push({ path: [...base, ...path], level, message })

function ofRuntime(spec: ServiceSpec, at: Note): void {
  if (spec.runtime !== 'process') {
    const key = spec.image === undefined ? 'runtime' : 'image'
    at('refuse', [key], 'containers are not built yet; without an image it runs as a process')
  } else if (spec.image !== undefined) {
    at('warn', ['image'], 'a process has no image; this one is not used')
  }
  if (spec.init.steps.length > 0) at('refuse', ['init'], 'init steps are not built yet')
  ofSecrets(spec.env, ['env'], at)
  const kind = spec.restartPolicy?.kind
  if (kind === 'no' || kind === 'on_failure') {
    at('refuse', ['restart_policy', 'kind'], `${kind} is not built yet; errors.on_panic decides`)
  } else if (kind !== undefined && Object.keys(spec.restartPolicy ?? {}).length > 1) {
    at('warn', ['restart_policy'], 'max_attempts and delay are not used yet')
  }
}

function ofSecrets(env: ServiceSpec['env'], path: Path, at: Note): void {
  for (const [name, value] of Object.entries(env)) {
    if (parseEnvValue(value).type !== 'secret') continue
    at('refuse', [...path, name], 'secrets are not built yet; use $E:NAME, a variable of the host')
  }
}

function ofReplicas(spec: ServiceSpec, { services }: Deployment, at: Note): void {
  const { scale } = spec
  if (scale.mode === 'adaptive' && Object.keys(scale.targets).length > 0) {
    at(
      'refuse',
      ['scale', 'targets'],
      'scaling by targets is not built yet; without any it stays at min',
    )
  }
  for (const [index, group] of spec.replicaGroups.entries()) {
    const path = ['replica_groups', index]
    if (group.image !== undefined) at('refuse', [...path, 'image'], 'containers are not built yet')
    if (group.resources !== undefined) at('warn', [...path, 'resources'], LIMITS)
    ofSecrets(group.env, [...path, 'env'], at)
  }
  if (spec.update.onFailure === 'rollback') {
    at('refuse', ['update', 'on_failure'], 'rollback is not built yet; use pause')
  }
  for (const [index, { service, onTimeout }] of spec.depends.entries()) {
    const rtype = services[service]?.rtype
    if (rtype === undefined || rtype === 'service') continue
    const message = `${service} is a ${rtype}, which is not run yet, so it would never be there`
    at(onTimeout === 'fail' ? 'refuse' : 'warn', ['depends', index, 'service'], message)
  }
}

function ofHealth(health: HealthSpec, { endpoints }: ServiceSpec, at: Note): void {
  const { check, startup, liveness } = health
  if (check.type === 'http') {
    const { scheme, port } = parseHealthUrl(check.url) ?? {}
    const path = ['health', 'check', 'url']
    if (scheme === 'https') at('refuse', path, 'checks over https are not built yet')
    const asked = endpoints.find((each) => port === undefined || each.port === port)
    if (asked?.http?.backend === 'h2c') {
      const why = `the check speaks HTTP/1.1, and ${asked.name} is backend: h2c`
      at('warn', path, `${why}: unless the program speaks both, write check: { type: tcp }`)
    }
  }
  if (startup !== undefined) at('refuse', ['health', 'startup'], 'startup checks are not built yet')
  if (liveness !== undefined) {
    at('refuse', ['health', 'liveness'], 'liveness checks are not built yet')
  }
}

function ofEndpoint(endpoint: EndpointSpec, { scale }: ServiceSpec, at: Note): void {
  const { protocol, stream } = endpoint
  if (protocol === 'udp') {
    ofUdp(endpoint, at)
    if (scale.mode === 'adaptive' && scale.min === 0) {
      at(
        'warn',
        ['protocol'],
        'a datagram wakes nobody: while the service is at zero it is dropped',
      )
    }
  } else if (stream.sessionTimeoutMs !== undefined) {
    at('warn', ['stream', 'session_timeout'], 'session_timeout is not used; write idle_timeout')
  }
}

/** `$PORT` is the first endpoint's, and most programs listen nowhere else. */
function ofFirst({ endpoints: [first, ...others], runtime }: ServiceSpec, at: Note): void {
  if (runtime !== 'process' || !first?.http?.redirectHttps || first.protocol === 'https') return
  if (others.every(({ http }) => http === undefined || http.redirectHttps)) return
  // It shares the port of the one it redirects to.
  if (others.some(({ protocol }) => protocol === 'https')) return
  const why = `${first.name} only redirects, and as the first endpoint its port is $PORT, to which nobody comes`
  const advice = 'write it after the others, or let the program listen on their $PORT_NAME'
  at('warn', ['endpoints', 0, 'http', 'redirect_https'], `${why}; ${advice}`)
}

function ofUdp({ balance, stream, udp }: EndpointSpec, at: Note): void {
  const hasChecks = stream.healthCheck !== undefined || udp?.health !== undefined
  if (!hasChecks && (balance.rise !== 1 || balance.fall !== 3)) {
    at('warn', ['balance'], 'rise and fall count checks of the endpoint, and it has none')
  }
  ofStreamOfUdp(stream, at)
}

function ofStreamOfUdp(stream: EndpointSpec['stream'], at: Note): void {
  if (stream.sessionTimeoutMs !== undefined) {
    const message = 'session_timeout is not used; write front_timeout into the udp block'
    at('warn', ['stream', 'session_timeout'], message)
  }
  const isUsual =
    stream.connectTimeoutMs === 2_000 &&
    stream.idleTimeoutMs === 3_600_000 &&
    stream.connectionsMax === 10_000 &&
    stream.connectionsPerBackendMax === 0 &&
    stream.holdTimeoutMs === 30_000
  if (isUsual) return
  at('warn', ['stream'], 'limits of stream are for tcp; those of udp are in the udp block')
}

function ofContainer(spec: ServiceSpec, at: Note): void {
  if (spec.storage.length > 0) {
    at('refuse', ['storage'], 'storage is not built yet; a process sees the files of the host')
  }
  const { extra: limits, ...main } = spec.resources
  if (Object.keys(limits).length + Object.keys(main).length > 0) at('warn', ['resources'], LIMITS)
  if (spec.networkMode !== 'default' && spec.networkMode !== 'host') {
    at(
      'refuse',
      ['network_mode'],
      `${spec.networkMode} is not built yet; a process is on the host's`,
    )
  }
  const { extra } = spec
  for (const [key, { file, level, message }] of Object.entries(EXTRA)) {
    const value = extra[key as keyof typeof EXTRA]
    if (value === undefined || value === false) continue
    at(level, file, message)
  }
  if (extra.overlay !== undefined && extra.overlay.mode !== 'shared') {
    at('refuse', ['overlay', 'mode'], 'overlay networks are not built yet')
  }
}

interface ExtraRule {
  /** Where the file says it. */
  readonly file: Path
  readonly level: 'refuse' | 'warn'
  readonly message: string
}

const LIMITS = 'limits are not enforced yet'
const NODE = 'there is one machine, which is taken whatever this says'
const SECURITY = 'not built yet, and leaving it out would make the program less confined'
const NAMES = 'not built yet; a process asks the name servers of the host'
const CONTAINER = 'is for containers, which are not built yet'

const warn = (key: string, message: string): ExtraRule => ({ file: [key], level: 'warn', message })
const refuse = (key: string, message: string): ExtraRule => ({
  file: [key],
  level: 'refuse',
  message,
})

/** Keys of {@link ServiceSpec.extra} but `overlay`, which depends on its mode. */
const EXTRA: Readonly<Record<Exclude<keyof ServiceSpec['extra'], 'overlay'>, ExtraRule>> = {
  nodeMode: warn('node_mode', NODE),
  nodeSelector: warn('node_selector', NODE),
  affinity: warn('affinity', NODE),
  platform: warn('platform', NODE),
  dns: refuse('dns', NAMES),
  dnsSearch: refuse('dns_search', NAMES),
  extraHosts: refuse('extra_hosts', NAMES),
  hostname: warn('hostname', `hostname ${CONTAINER}`),
  deleteOnExit: {
    ...warn('lifecycle', `delete_on_exit ${CONTAINER}`),
    file: ['lifecycle', 'delete_on_exit'],
  },
  user: refuse('user', SECURITY),
  privileged: warn('privileged', `privileged ${CONTAINER}`),
  capabilities: warn('capabilities', `capabilities ${CONTAINER}`),
  capDrop: refuse('cap_drop', SECURITY),
  devices: warn('devices', 'a process sees the devices of the host'),
  ulimits: warn('ulimits', LIMITS),
  sysctls: refuse('sysctls', 'not built yet; a process has the settings of the host'),
  securityOpt: refuse('security_opt', SECURITY),
  readOnlyRootFs: refuse('read_only_root_fs', SECURITY),
  initContainer: warn('init_container', `init_container ${CONTAINER}`),
  tty: refuse('tty', 'terminals are not built yet'),
  stdinOpen: refuse('stdin_open', 'input is not built yet; a program finds its input closed'),
  pidMode: warn('pid_mode', `pid_mode ${CONTAINER}`),
  ipcMode: warn('ipc_mode', `ipc_mode ${CONTAINER}`),
  usernsMode: refuse('userns_mode', SECURITY),
  cgroupParent: warn('cgroup_parent', LIMITS),
  extraGroups: refuse('extra_groups', 'not built yet; a process has the groups of Weir itself'),
  expose: warn('expose', `expose ${CONTAINER}`),
}
