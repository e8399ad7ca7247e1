/** How many replicas, in which roles, and how they change. */
import type { AffinitySpec, ReplicaGroupSpec, ScaleSpec, UpdateSpec } from '../deployment.ts'
import { ROLE_NAME } from '../grammar/names.ts'
import { forms } from '../schema/collections.ts'
import { byDefault, object, optional, required, tagged } from '../schema/objects.ts'
import { decimal, duration, integer, oneOf, text } from '../schema/scalars.ts'
import { given, mapped, placed, type Shape } from '../schema/shape.ts'
import { command, env, image } from './command.ts'
import { resources } from './resources.ts'

/** More of one service on one machine is a slip of the finger. */
export const REPLICAS_MAX = 10_000

const replicas = integer(0, REPLICAS_MAX)
const IDLE_AFTER = '5m'
const IDLE_AFTER_MS = 5 * 60 * 1000
/** Starting and stopping take about as long. */
const IDLE_MS_MIN = 1000
const percent = decimal(0, 100, 'a percentage above 0, at most 100')

const fixed = object('scale_fixed', 'a fixed scale', {
  mode: required(oneOf(['fixed']), 'A number of replicas that only people change.'),
  replicas: required(replicas, 'How many.'),
})
const targets = object('scale_targets', 'scale targets', {
  cpu: optional(percent, 'Processor use, in percent.'),
  memory: optional(percent, 'Memory use, in percent of the limit.'),
  rps: optional(
    decimal(0, 1e9, 'a number of requests above 0'),
    'Requests a second for each replica.',
  ),
})
const adaptive = object('scale_adaptive', 'an adaptive scale', {
  mode: required(oneOf(['adaptive']), 'As many replicas as the targets ask for.'),
  min: required(
    replicas,
    'Never fewer. With 0 there is none while nobody calls; the first request or connection wakes it, and waits.',
  ),
  max: required(replicas, 'Never more.'),
  cooldown: byDefault(duration(0), '30s', 'The least time between two changes.'),
  idle_after: optional(
    duration(IDLE_MS_MIN),
    'For min: 0. After how long without a request, a connection or a datagram there is none again.',
    { written: IDLE_AFTER },
  ),
  targets: byDefault(targets, {}, 'Without any, the service stays at min.'),
})
const manual = object('scale_manual', 'a manual scale', {
  mode: required(oneOf(['manual']), 'Starts with one replica; people set the number.'),
})

export const scale: Shape<ScaleSpec> = mapped(
  tagged('mode', 'a scale', { fixed, adaptive, manual }, { example: fixedScale }),
  (read, path, reading): ScaleSpec | undefined => {
    if (read.mode !== 'adaptive') return read
    const { min, max, cooldown: cooldownMs, idle_after: idleAfterMs, targets } = read
    if (min > max) {
      reading.report([...path, 'min'], `min (${min}) must not be above max (${max})`, 'value')
      return undefined
    }
    if (max === 0) {
      const advice = 'write max: 1 or more, or mode: fixed and replicas: 0'
      reading.report(
        [...path, 'max'],
        `max (0) leaves nothing that could be woken; ${advice}`,
        'value',
      )
      return undefined
    }
    if (min > 0 && idleAfterMs !== undefined) {
      const message = `idle_after is for min: 0, and min is ${min}: it never goes to zero; remove one of the two`
      reading.report([...path, 'idle_after'], message)
    }
    const sleeps = min === 0
    return {
      mode: 'adaptive',
      min,
      max,
      cooldownMs,
      idleAfterMs: sleeps ? (idleAfterMs ?? IDLE_AFTER_MS) : 0,
      targets,
    }
  },
)

/** Somebody who writes a bare number means this one. */
function fixedScale(value: unknown): string {
  const number = Number(value)
  const isCount = Number.isInteger(number) && number >= 0 && number <= REPLICAS_MAX
  return `scale: { mode: fixed, replicas: ${isCount && value !== '' ? number : 3} }`
}

/** The scale of a service that says nothing about it. */
export const DEFAULT_SCALE: ScaleSpec = {
  mode: 'adaptive',
  min: 1,
  max: 10,
  cooldownMs: 30_000,
  idleAfterMs: 0,
  targets: {},
}

const pin = object('pin', 'a pin', {
  pin: required(
    text('a node as id=2 or zone=a', { pattern: /^\s*[\w./-]+\s*=\s*[\w./-]+\s*$/ }),
    'The node: its id, or one of its labels.',
  ),
})

export const affinity: Shape<AffinitySpec> = forms<AffinitySpec>(
  'spread, pack or { pin: "id=2" }',
  { text: oneOf(['spread', 'pack'], { hints: { pin: 'write { pin: "id=2" }' } }), map: pin },
)

export const role = text('a role', {
  pattern: ROLE_NAME,
  fault: (name) =>
    ROLE_NAME.test(name)
      ? undefined
      : 'must be a role: 1-30 lower-case letters, digits and inner hyphens, beginning with a letter',
})

export const replicaGroup: Shape<ReplicaGroupSpec> = placed(
  mapped(
    object('replica_group', 'a replica group', {
      role: required(role, 'Unique in the service; an endpoint chooses it with target_role.'),
      count: required(integer(1, REPLICAS_MAX), 'How many replicas have this role.'),
      image: optional(image, "Instead of the service's."),
      env: byDefault(env, {}, "Added to the service's; the group's win."),
      command: optional(command, "Instead of the service's."),
      resources: optional(resources, "Instead of the service's."),
      affinity: byDefault(affinity, 'spread', 'Which nodes of a cluster it prefers.'),
    }),
    ({ role, count, env, affinity, image, command, resources }): ReplicaGroupSpec => ({
      role,
      count,
      env,
      affinity,
      ...given({ image, command, resources }),
    }),
  ),
)

export const update: Shape<Partial<UpdateSpec>> = mapped(
  object('update', 'an update policy', {
    max_surge: optional(
      replicas,
      'Replicas more than wanted while updating; 1 when not said, 0 for a process that listens on a port of its own choice. Above 0 a stand-in runs beside the others, so write 0 for a program with files of its own.',
    ),
    max_unavailable: optional(
      replicas,
      'Replicas fewer than wanted while updating; 0 when not said, 1 when max_surge is 0.',
    ),
    min_ready: optional(duration(0), 'How long a new replica must be ready to count.', {
      written: '2s',
    }),
    on_failure: optional(
      oneOf(['pause', 'rollback']),
      'When new replicas fail: stop there, or go back.',
      { written: 'pause' },
    ),
  }),
  (read) =>
    given({
      surgeMax: read.max_surge,
      unavailableMax: read.max_unavailable,
      readyMinMs: read.min_ready,
      onFailure: read.on_failure,
    }),
)
