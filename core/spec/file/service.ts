/** One service of the file. */
import { ownPortsOf } from '../../services/port-mappings.ts'
import type { DependencySpec, HealthSpec, ServiceSpec, StopSignal } from '../deployment.ts'
import { parseCron } from '../grammar/cron.ts'
import { VARIABLE_NAME, variableNameFault } from '../grammar/names.ts'
import type { Path } from '../problem.ts'
import { settleHealth } from '../rules/health.ts'
import { forms, list } from '../schema/collections.ts'
import { byDefault, object, optional, refused, required } from '../schema/objects.ts'
import type { Reading } from '../schema/reading.ts'
import { bool, describedAs, duration, integer, oneOf, text } from '../schema/scalars.ts'
import { given, mapped, placed, type Shape } from '../schema/shape.ts'
import { command, env, image } from './command.ts'
import { extraFields, extraOf, labels, networkMode, portMapping } from './container.ts'
import { endpoint } from './endpoint.ts'
import { health } from './health.ts'
import { initStep } from './init.ts'
import { logs, resources, storage } from './resources.ts'
import { DEFAULT_SCALE, replicaGroup, scale, update } from './scale.ts'

const WAIT_DEFAULT = '300s'
const dependencyTimeout: Shape<number> = forms<number>('a duration such as 30s', {
  text: duration(0),
  number: duration(0),
  // an empty value is the default, as the reference has it
  nothing: { what: 'nothing', read: () => 300_000, describe: () => ({ type: 'null' }) },
})

const dependency: Shape<DependencySpec> = placed(
  mapped(
    object('dependency', 'a dependency', {
      service: required(text('the name of a service'), 'A service of this file.'),
      condition: byDefault(
        oneOf(['started', 'healthy', 'ready'], {
          hints: { service_healthy: 'write healthy', service_started: 'write started' },
        }),
        'healthy',
        'What it must be first.',
      ),
      timeout: byDefault(dependencyTimeout, WAIT_DEFAULT, 'How long to wait.'),
      on_timeout: byDefault(
        oneOf(['fail', 'warn', 'continue']),
        'fail',
        'Then: give up, start with a warning, or start.',
      ),
    }),
    (read): DependencySpec => ({
      service: read.service,
      condition: read.condition,
      timeoutMs: read.timeout,
      onTimeout: read.on_timeout,
    }),
  ),
)

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGQUIT', 'SIGKILL', 'SIGUSR1', 'SIGUSR2'] as const

/** With or without `SIG`, in any case. */
const stopSignal: Shape<StopSignal> = describedAs(
  {
    what: 'a signal such as SIGTERM',
    read(value, path, reading) {
      const word = typeof value === 'string' ? value.trim().toUpperCase() : value
      const named = typeof word === 'string' && !word.startsWith('SIG') ? `SIG${word}` : word
      const signal = SIGNALS.find((each) => each === named)
      return signal ?? oneOf(SIGNALS).read(value, path, reading)
    },
    describe: () => ({}),
  },
  {
    anyOf: [
      { enum: [...SIGNALS] },
      { type: 'string', pattern: '^\\s*([Ss][Ii][Gg])?[A-Za-z]{3,4}[12]?\\s*$' },
    ],
  },
)

const schedule = describedAs(
  mapped(text('a cron expression', { empty: true }), (written, path, reading) => {
    const parsed = parseCron(written)
    if (parsed.ok) return written.trim()
    reading.report(path, `schedule ${parsed.reason}`, 'value')
    return undefined
  }),
  { type: 'string', minLength: 1 },
)

const envInherit: Shape<true | readonly string[]> = forms<true | readonly string[]>(
  'a list of variable names, or true',
  {
    list: list(
      text('the name of a variable', { pattern: VARIABLE_NAME, fault: variableNameFault }),
      'a list of variable names',
    ),
    word: {
      what: 'true',
      read: (value, path, reading) => oneOf(['true']).read(String(value), path, reading) && true,
      describe: () => ({ const: true }),
    },
  },
)

const policy = <const W extends string>(words: readonly W[], written: NoInfer<W>, doc: string) =>
  object(`policy_${words.join('_')}`, 'an error policy', {
    action: byDefault(oneOf(words), written, doc),
  })

const errors = object('errors', 'an errors block', {
  on_init_failure: byDefault(
    policy(['fail', 'restart', 'backoff'], 'fail', 'Give up, try again at once, or ever later.'),
    {},
    'When an init step failed.',
  ),
  on_panic: byDefault(
    policy(
      ['restart', 'shutdown', 'isolate'],
      'restart',
      'Start again, stop the service, or leave the replica as it fell.',
    ),
    {},
    'When a replica ended by itself.',
  ),
})

const restartPolicy = mapped(
  object('restart_policy', 'a restart policy', {
    kind: required(
      oneOf(['no', 'always', 'unless_stopped', 'on_failure'], {
        hints: { never: 'write no' },
      }),
      'When a replica that ended is started again.',
    ),
    max_attempts: optional(integer(0, 1_000_000), 'How often at most.'),
    delay: optional(duration(0), 'How long to wait before.'),
  }),
  (read) => ({
    kind: read.kind,
    ...given({ maxAttempts: read.max_attempts, delayMs: read.delay }),
  }),
)

const serviceFields = {
  rtype: byDefault(
    oneOf(['service', 'job', 'cron']),
    'service',
    'What its life is: kept running, run when asked, run by the clock.',
  ),
  schedule: optional(
    schedule,
    'Six or seven fields, second minute hour day month weekday [year], in UTC; or @hourly and the like. Weekdays count from 1, Sunday. For cron only.',
  ),
  runtime: optional(
    oneOf(['process', 'oci', 'docker'], { hints: { podman: 'write oci', container: 'write oci' } }),
    'What runs it: process when there is no image, oci otherwise.',
  ),
  image: optional(image, 'What a container is made of.'),
  command: optional(command, 'What runs. A text is split into words without a shell.'),
  env: byDefault(
    env,
    {},
    'Environment variables. A value may be $E:NAME, a variable of the host, or $S:name, a secret.',
  ),
  env_inherit: byDefault(envInherit, [], 'More host variables a process sees; true is all.'),
  endpoints: byDefault(list(endpoint, 'a list of endpoints'), [], 'Ports it is reached at.'),
  scale: optional(scale, 'How many replicas; adaptive from 1 to 10 when not said.'),
  replica_groups: byDefault(
    list(replicaGroup, 'a list of replica groups'),
    [],
    'Replicas in roles. They say how many there are; a fixed scale must agree.',
  ),
  depends: byDefault(
    list(dependency, 'a list of dependencies'),
    [],
    'Services that must be there first.',
  ),
  health: optional(
    health,
    'How replicas are checked; by default the first endpoint is connected to.',
  ),
  init: optional(
    object('init', 'an init block', {
      steps: byDefault(list(initStep, 'a list of init steps'), [], 'In this order.'),
    }),
    'Steps that must succeed before a replica starts.',
  ),
  errors: byDefault(errors, {}, 'What happens when something fails.'),
  update: optional(update, 'How replicas are replaced by new ones.'),
  stop_signal: byDefault(stopSignal, 'SIGTERM', 'Asks a replica to end; SIG may be left out.'),
  stop_grace_period: byDefault(duration(0), '30s', 'How long it may take before it is killed.'),
  restart_policy: optional(restartPolicy, 'What the Docker runtime does; errors is for all.'),
  logs: byDefault(logs, {}, 'Where output goes, and how much is kept.'),
  localhost_reachability: byDefault(
    oneOf(['auto', 'always', 'never']),
    'auto',
    'Whether internal endpoints of a node with internal addresses are on 127.0.0.1 and ::1 too; auto is for single replicas.',
  ),
  port_mappings: byDefault(
    list(portMapping, 'a list of port mappings'),
    [],
    'Ports of the host that lead to replicas, besides those of the endpoints.',
  ),
  storage: byDefault(list(storage, 'a list of storage entries'), [], 'Files it sees.'),
  resources: byDefault(resources, {}, 'Limits.'),
  network_mode: optional(networkMode, 'Which network it is in.', { written: 'default' }),
  host_network: optional(bool, 'Another way to write network_mode: host.', { written: false }),
  labels: byDefault(labels, {}, 'Names and texts for tools.'),
  deployment: optional(text('a name'), "The deployment's own name, where a tool wrote it."),
  ...extraFields,
  tunnel: refused,
  tunnels: refused,
  network: refused,
  service_type: refused,
  wasm: refused,
  isolation: refused,
}

const hints = {
  volumes: 'write storage: [{ type: bind, source: ..., target: ... }]',
  ports: 'write endpoints: [{ name: http, protocol: http, port: 8080 }]',
  port: 'write endpoints: [{ name: http, protocol: http, port: 8080 }]',
  environment: 'write env',
  env_file: 'write env: { NAME: text }; files of variables are not read',
  cmd: 'write command',
  depends_on: 'write depends: [{ service: NAME }]',
  healthcheck: 'write health: { check: { type: http, url: http://localhost/healthz } }',
  replicas: 'write scale: { mode: fixed, replicas: N }',
  restart: 'write errors: { on_panic: { action: restart } }',
  entrypoint: 'write command: { entrypoint: [...] }',
  args: 'write command: { args: [...] }',
  working_dir: 'write command: { workdir: ... }',
}

type Raw = ReturnType<typeof rawService.read> & object
const rawService = object('service', 'a service', serviceFields, hints)

export const service: Shape<ServiceSpec> = placed(
  mapped(rawService, (read, path, reading): ServiceSpec => {
    const runtime = read.runtime ?? (read.image === undefined ? 'process' : 'oci')
    return {
      rtype: read.rtype,
      ...given({
        schedule: read.schedule,
        image: read.image,
        health: healthOf(read, path, reading),
      }),
      runtime,
      command: read.command ?? { entrypoint: [], args: [] },
      env: read.env,
      envInherit: read.env_inherit,
      endpoints: read.endpoints,
      scale: scaleOf(read),
      replicaGroups: read.replica_groups,
      depends: read.depends,
      init: { steps: read.init?.steps ?? [] },
      errors: {
        onInitFailure: read.errors.on_init_failure.action,
        onPanic: read.errors.on_panic.action,
      },
      update: updateOf(read, runtime),
      stopSignal: read.stop_signal,
      stopGraceMs: read.stop_grace_period,
      logs: read.logs,
      localhostReachability: read.localhost_reachability,
      portMappings: read.port_mappings,
      storage: read.storage,
      resources: read.resources,
      networkMode: networkOf(read, path, reading),
      labels: read.labels,
      ...given({ restartPolicy: read.restart_policy }),
      extra: extraOf(read),
    }
  }),
)

/** Groups say how many replicas there are; nobody has to say it twice (services W9). */
function scaleOf(read: Raw): ServiceSpec['scale'] {
  if (read.scale !== undefined) return read.scale
  if (read.replica_groups.length === 0) return DEFAULT_SCALE
  const replicas = read.replica_groups.reduce((sum, { count }) => sum + count, 0)
  return { mode: 'fixed', replicas }
}

/**
 * A program that chooses its port cannot run twice at once, so its replica is replaced by stopping
 * the old one first.
 */
function updateOf(read: Raw, runtime: ServiceSpec['runtime']): ServiceSpec['update'] {
  const { endpoints, port_mappings: portMappings } = read
  const alone = runtime === 'process' && ownPortsOf({ endpoints, portMappings }).length > 0
  const surgeMax = read.update?.surgeMax ?? (alone ? 0 : 1)
  return {
    readyMinMs: 2000,
    onFailure: 'pause',
    ...read.update,
    surgeMax,
    unavailableMax: read.update?.unavailableMax ?? (surgeMax === 0 ? 1 : 0),
  }
}

function healthOf(read: Raw, path: Path, reading: Reading): HealthSpec | undefined {
  // which endpoint is meant cannot be told while one of them is not understood
  if (read.health === undefined || reading.isSpoilt([...path, 'endpoints'])) return read.health
  return settleHealth(read.health, read.endpoints, [...path, 'health'], reading)
}

function networkOf(read: Raw, path: Path, reading: Reading): string {
  const { network_mode: mode = 'default', host_network: host } = read
  if (host === undefined) return mode
  if (host && mode === 'default') return 'host'
  if (host !== (mode === 'host')) {
    const said = `network_mode is ${mode}; keep one of the two keys`
    reading.report([...path, 'host_network'], `host_network is ${host}, but ${said}`, 'value')
  }
  return mode
}
