/** Scripts for simulated runs: written by hand with defaults, or drawn by fast-check. */
import fc from 'fast-check'
import type { PortNamespace } from '../../core/publish/claim.ts'
import { INTERNAL_ADDRESSES } from '../../sim/faults/host-ports.ts'
import type { ScriptLine } from '../../sim/simulate.ts'
import type { Act } from '../../sim/workloads/acts.ts'
import {
  DEPLOYMENT_NAMES,
  type DeploymentSketch,
  type EndpointSketch,
  HOST_PORT_FIRST,
  type ServiceSketch,
} from '../../sim/workloads/deployments.ts'

export const service = (over: Partial<ServiceSketch> = {}): ServiceSketch => ({
  replicas: 1,
  depends: [],
  endpoints: [],
  health: 'default',
  intervalMs: 1_000,
  retries: 2,
  graceMs: 0,
  stopGraceMs: 1_000,
  drainMs: 1_000,
  connectionsMax: 100,
  surgeMax: 1,
  unavailableMax: 0,
  readyMinMs: 0,
  onPanic: 'restart',
  broken: false,
  flavour: 0,
  ...over,
})

export const endpoint = (over: Partial<EndpointSketch> = {}): EndpointSketch => ({
  protocol: 'tcp',
  port: HOST_PORT_FIRST,
  expose: 'public',
  ...over,
})

export const deploy = (...services: readonly ServiceSketch[]): Act => ({
  type: 'deploy',
  sketch: { name: 'shop', services },
})

export const after = (afterMs: number, act: Act): ScriptLine => ({ afterMs, act })

const serviceArb = (index: number): fc.Arbitrary<Omit<ServiceSketch, 'endpoints'>> =>
  fc
    .record({
      replicas: fc.nat(3),
      dependsOn: fc.subarray(Array.from({ length: index }, (_, on) => on)),
      condition: fc.constantFrom('started', 'healthy', 'ready'),
      health: fc.constantFrom('default', 'tcp', 'http', 'command'),
      surgeMax: fc.nat(1),
      unavailableMax: fc.nat(1),
      onPanic: fc.constantFrom('restart', 'shutdown', 'isolate'),
      flavour: fc.nat(2),
      reach: fc.constantFrom('auto', 'always', 'never'),
    } as const)
    .map(({ dependsOn, condition, ...rest }) => ({
      ...service(rest),
      depends: dependsOn.map((on) => ({ on, condition, timeoutMs: 60_000, onTimeout: 'warn' })),
    }))

/** Those with TLS share a port, by names. */
const endpointArb: fc.Arbitrary<Partial<EndpointSketch>> = fc.oneof(
  fc.record({
    protocol: fc.constantFrom('tcp', 'http', 'udp'),
    expose: fc.constantFrom('public', 'internal'),
    strategy: fc.constantFrom('round_robin', 'maglev'),
  } as const),
  fc.record({
    protocol: fc.constant('tcp'),
    tls: fc.constantFrom('terminate', 'passthrough', 'reoriginate'),
  } as const),
)

const mappingArb = fc.record({
  hostIp: fc.constantFrom('0.0.0.0', '127.0.0.1', '192.0.2.10'),
  isEphemeral: fc.boolean(),
  pick: fc.nat(3),
})

const sketchArb: fc.Arbitrary<DeploymentSketch> = fc
  .record({
    name: fc.constantFrom(...DEPLOYMENT_NAMES),
    portFirst: fc.integer({ min: HOST_PORT_FIRST, max: HOST_PORT_FIRST + 3 }),
    services: fc.integer({ min: 1, max: 3 }).chain((count) =>
      fc.tuple(
        ...Array.from({ length: count }, (_, index) =>
          fc.record({
            sketch: serviceArb(index),
            endpoints: fc.array(endpointArb, { maxLength: 2 }),
            mappings: fc.array(mappingArb, { maxLength: 2 }),
          } as const),
        ),
      ),
    ),
  })
  .map(({ name, portFirst, services }) => {
    let port = portFirst
    const hosts = ['a.test', 'b.test', '*.wild.test', 'c.test', 'd.test', 'e.test']
    return {
      name,
      services: services.map(({ sketch, endpoints, mappings }) => {
        const own = endpoints.map((each) =>
          each.tls === undefined
            ? endpoint({ ...each, port: port++ })
            : endpoint({ ...each, expose: 'public', port: 8_443, host: hosts.shift()! }),
        )
        return {
          ...sketch,
          endpoints: own,
          mappings: mappings.flatMap(({ hostIp, isEphemeral, pick: at }) => {
            const to = own[at % own.length]
            if (to === undefined) return []
            const protocol: PortNamespace = to.protocol === 'udp' ? 'udp' : 'tcp'
            const hostPort = isEphemeral ? 0 : port++
            return { hostPort, hostIp, protocol, containerPort: to.port }
          }),
        }
      }),
    }
  })

const pick = fc.nat(20)

const actArb: fc.Arbitrary<Act> = fc.oneof(
  { weight: 4, arbitrary: sketchArb.map((sketch): Act => ({ type: 'deploy', sketch })) },
  fc.record({ type: fc.constant('remove'), pick }),
  fc.record({ type: fc.constant('scale'), pick, replicas: fc.nat(4) }),
  fc.record({ type: fc.constant('restart'), pick }),
  fc.record({ type: fc.constant('restart'), pick, replica: fc.integer({ min: 1, max: 3 }) }),
  fc.record({ type: fc.constant('shutdown'), mode: fc.constantFrom('drain', 'abort') }),
  fc.record({ type: fc.constant('kill'), pick }),
  fc.record({ type: fc.constant('sicken'), pick, forMs: fc.nat(5_000) }),
  fc.record({
    type: fc.constant('manner'),
    manner: fc.constantFrom(
      { endsAfterMs: 3 },
      { endsAfterMs: 3_000 },
      { stopsAfterMs: undefined },
      { diesAfterMs: 8_000 },
      { leavesChildren: true },
      { listensAfterMs: 9_000 },
    ),
  }),
  fc.record({
    type: fc.constant('stranger'),
    port: fc.integer({ min: HOST_PORT_FIRST, max: HOST_PORT_FIRST + 8 }),
    forMs: fc.nat(9_000),
  }),
  fc.record({ type: fc.constant('ipv6'), has: fc.boolean() }),
  fc.record({
    type: fc.constant('internal'),
    addresses: fc.subarray([...INTERNAL_ADDRESSES]),
    lateMs: fc.nat(3_000),
  }),
  fc.record({ type: fc.constant('crash'), downMs: fc.nat(3_000) }),
  fc.record({ type: fc.constant('pause'), forMs: fc.nat(9_000) }),
  fc.record({ type: fc.constant('leap'), byMs: fc.nat(100_000) }),
  fc.record({ type: fc.constant('restore'), keepTwin: fc.boolean() }),
  fc.record({
    type: fc.constant('repeat'),
    event: fc.constantFrom('replica-started', 'replica-removed', 'backend-drained', 'probe-result'),
    afterMs: fc.nat(9_000),
  } as const),
  { weight: 2, arbitrary: fc.constant<Act>({ type: 'client' }) },
  fc.record({ type: fc.constant('client'), thinkMs: fc.nat(20_000) }),
)

/** Faults and inputs in any order, close together or far apart. */
export const scriptArb: fc.Arbitrary<ScriptLine[]> = fc.array(
  fc.record({ afterMs: fc.oneof(fc.nat(20), fc.nat(3_000)), act: actArb }),
  { maxLength: 12 },
)

/**
 * The shortest script found that still fails: fast-check looks for one and shrinks its parts; then
 * each line is left out, and each wait, until nothing more can go. Undefined when none fails.
 */
export function shortestFailing(
  fails: (script: readonly ScriptLine[]) => boolean,
  parameters: fc.Parameters<[ScriptLine[]]>,
): readonly ScriptLine[] | undefined {
  const found = fc.check(
    fc.property(scriptArb, (script) => !fails(script)),
    parameters,
  )
  let script: readonly ScriptLine[] | undefined = found.counterexample?.[0]
  for (let shorter = script; shorter !== undefined; ) {
    script = shorter
    shorter = simpler(script).find(fails)
  }
  return script
}

function simpler(script: readonly ScriptLine[]): (readonly ScriptLine[])[] {
  const candidates = script.map((_, index) => script.toSpliced(index, 1))
  script.forEach(({ afterMs, act }, index) => {
    const next = script[index + 1]
    // What matters may have been the wait, not the act.
    const later = next && { ...next, afterMs: next.afterMs + afterMs }
    if (later !== undefined) candidates.push(script.toSpliced(index, 2, later))
    if (afterMs > 0) candidates.push(script.with(index, { afterMs: afterMs >> 1, act }))
  })
  return candidates
}
