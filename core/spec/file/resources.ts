/** Limits, disks, logs. */
import type { LogsSpec, ResourcesSpec, StorageSpec } from '../deployment.ts'
import { forms } from '../schema/collections.ts'
import { byDefault, object, optional, refused, required, tagged } from '../schema/objects.ts'
import { bool, decimal, integer, oneOf, size, text } from '../schema/scalars.ts'
import { given, mapped, placed, type Shape } from '../schema/shape.ts'

const swap: Shape<number> = forms<number>('a size such as 1Gi, or -1 for no limit', {
  text: size,
  number: integer(-1, -1, '-1 or a size such as 1Gi'),
})
const pids = integer(-1, 4_194_304, 'a number of processes, or -1 for no limit')

export const resources: Shape<ResourcesSpec> = mapped(
  object(
    'resources',
    'resources',
    {
      cpu: optional(decimal(0, 65_536, 'a number of cores above 0'), 'Cores, such as 0.5.'),
      memory: optional(size, 'Memory, such as 256Mi.'),
      pids_limit: optional(pids, 'Processes and threads; -1 is no limit.'),
      cpuset: optional(
        text('a list of cores such as 0-3,6', { pattern: /^\d+(-\d+)?(,\d+(-\d+)?)*$/ }),
        'The cores it may run on.',
      ),
      cpu_shares: optional(integer(2, 262_144), 'Weight against others when cores are short.'),
      memory_swap: optional(swap, 'Memory and swap together; -1 is no limit.'),
      memory_reservation: optional(size, 'Memory it is pressed back to when memory is short.'),
      memory_swappiness: optional(integer(0, 100), 'How readily it is swapped out.'),
      oom_score_adj: optional(integer(-1000, 1000), 'How early it is killed for memory.'),
      oom_kill_disable: optional(bool, 'Never killed for memory.'),
      blkio_weight: optional(integer(10, 1000), 'Weight against others at the disks.'),
      gpu: refused,
    },
    { swap: 'write memory_swap', mem_limit: 'write memory', cpus: 'write cpu' },
  ),
  (read): ResourcesSpec => ({
    ...given({ cpu: read.cpu, memoryBytes: read.memory }),
    extra: given({
      pidsLimit: read.pids_limit,
      cpuset: read.cpuset,
      cpuShares: read.cpu_shares,
      memorySwapBytes: read.memory_swap,
      memoryReservationBytes: read.memory_reservation,
      memorySwappiness: read.memory_swappiness,
      oomScoreAdj: read.oom_score_adj,
      oomKillDisable: read.oom_kill_disable,
      blkioWeight: read.blkio_weight,
    }) as ResourcesSpec['extra'],
  }),
)

const target = required(
  text('an absolute path', { pattern: /^\/[^\0]*$/ }),
  'Where the service sees it; an absolute path.',
)
const readonly = byDefault(bool, false, 'Whether the service may only read it.')
const tier = byDefault(
  oneOf(['local', 'cached', 'network']),
  'local',
  'Where it is kept: on the node, cached there, or on the network.',
)
const sized = (what: string) => optional(size, what)

const variants = {
  bind: object('storage_bind', 'a bind mount', {
    type: required(oneOf(['bind']), 'A directory or file of the host.'),
    source: required(text('a path'), 'On the host; relative to the deployment file.'),
    target,
    readonly,
  }),
  named: object('storage_named', 'a named volume', {
    type: required(oneOf(['named']), 'A volume that outlives the service.'),
    name: required(
      text('a volume name', { pattern: /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/ }),
      'Of the volume.',
    ),
    target,
    readonly,
    tier,
    size: sized('At most this much.'),
  }),
  anonymous: object('storage_anonymous', 'an anonymous volume', {
    type: required(oneOf(['anonymous']), 'A volume that goes with its replica.'),
    target,
    tier,
  }),
  tmpfs: object('storage_tmpfs', 'a tmpfs mount', {
    type: required(oneOf(['tmpfs']), 'Memory.'),
    target,
    size: sized('At most this much.'),
    mode: optional(integer(0, 0o7777), 'Permissions, as a decimal number: 0o1777 is 1023.'),
  }),
}

export const storage: Shape<StorageSpec> = placed(
  mapped(
    tagged('type', 'a storage entry', variants, {
      refused: ['s3'],
      hints: { volume: 'write named', mount: 'write bind' },
      example: () => '{ type: bind, source: ./data, target: /data }',
    }),
    (read): StorageSpec => {
      const { size: sizeBytes, ...rest } = { size: undefined, ...read }
      return { ...rest, ...given({ sizeBytes }) } as StorageSpec
    },
  ),
)

/** Some forty lines; less is a number of another unit. */
const LOG_BYTES_MIN = 4096

export const logs: Shape<LogsSpec> = mapped(
  object(
    'logs',
    'logs',
    {
      destination: byDefault(oneOf(['disk', 'memory']), 'disk', 'Where output is kept.'),
      max_size_bytes: byDefault(
        integer(LOG_BYTES_MIN, Number.MAX_SAFE_INTEGER, `${LOG_BYTES_MIN} bytes or more`),
        104_857_600,
        "Bytes kept of each replica's output, the oldest go first; on disk 16384 at the least.",
      ),
      retention_secs: byDefault(
        integer(0, 315_360_000),
        604_800,
        'Seconds that output is kept; 0 is for ever.',
      ),
    },
    { max_size: 'write max_size_bytes, a number of bytes', retention: 'write retention_secs' },
  ),
  (read): LogsSpec => ({
    destination: read.destination,
    bytesMax: read.max_size_bytes,
    retentionMs: read.retention_secs * 1000,
  }),
)
