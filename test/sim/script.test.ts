import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type ScriptLine, simulateScript } from '../../sim/simulate.ts'
import type {
  EndpointSketch,
  MappingSketch,
  ServiceSketch,
} from '../../sim/workloads/deployments.ts'
import { plant } from './planted.ts'
import { after, deploy, endpoint, scriptArb, service, shortestFailing } from './scripts.ts'

test('no script of faults and inputs finds anything', () => {
  const fails = (script: readonly ScriptLine[]) => simulateScript(script).failure !== undefined
  const script = shortestFailing(fails, { numRuns: 150 })
  expect(script && { script, failure: simulateScript(script).failure }).toBeUndefined()
})

test('a script runs the same each time', () => {
  fc.assert(
    fc.property(scriptArb, (script) => {
      expect(simulateScript(script).hash).toBe(simulateScript(script).hash)
    }),
    { numRuns: 20 },
  )
})

test('a failing script shrinks to the shortest that still fails', () => {
  // A program that ends by itself is not noticed.
  const breed = plant(() => ({
    tell: (event) => (event.type === 'replica-exited' && event.code === 1 ? [] : [event]),
  }))
  const fails = (script: readonly ScriptLine[]) =>
    simulateScript(script, { breed }).failure !== undefined
  const shortest = shortestFailing(fails, { seed: 1, numRuns: 200 })
  const [one, other, ...rest] = shortest ?? []
  expect([one?.act.type, other?.act.type].sort()).toEqual(['deploy', 'manner'])
  expect(rest.length, 'one more, whose only part is to come later').toBeLessThanOrEqual(1)
})

interface Story {
  readonly story: string
  readonly script: readonly ScriptLine[]
}

const PORTS = [8_000, 8_001, 8_002, 8_003, 8_004]

/** What the simulator once found, as the shortest script that showed it. */
const PAST_FAILURES: readonly Story[] = [
  {
    // An update stopped one of four replicas, and in the same step another service of the
    // deployment was judged first: it saw the first one's state from before.
    story: 'a deployment is not ready by the states from before the step',
    script: [
      after(0, deploy(service(), service({ replicas: 4, unavailableMax: 1 }))),
      after(5_000, deploy(service(), service({ replicas: 4, unavailableMax: 1, flavour: 1 }))),
    ],
  },
  {
    // With a surge as many replicas as wanted stay ready all the time, but they are the old ones.
    story: 'a deployment is not ready while replicas of the older file run',
    script: [
      after(0, deploy(service({ endpoints: [endpoint()] }))),
      after(5_000, deploy(service({ endpoints: [endpoint()], flavour: 1 }))),
    ],
  },
  {
    // The default check connects; without anything to connect to no probe was sent, and its
    // answer was waited for.
    story: 'a replica whose only endpoint turns to udp is not waited for by its monitor',
    script: [
      after(0, deploy(service({ endpoints: [endpoint()] }))),
      after(5_000, deploy(service({ endpoints: [endpoint({ protocol: 'udp' })] }))),
      after(60_000, { type: 'client' }),
    ],
  },
  {
    story: 'a check that a newer file brings is made before the deployment is ready',
    script: [
      after(0, deploy(service({ replicas: 2 }))),
      after(5_000, deploy(service({ replicas: 2, health: 'command' }))),
    ],
  },
  {
    // Stand-ins have numbers above those wanted; an empty one was forgotten, its crashes too.
    story: 'a stand-in that crashes again and again is started after growing pauses',
    script: [
      after(0, deploy(service({ replicas: 2, health: 'command' }))),
      after(5_000, deploy(service({ replicas: 2, health: 'command', flavour: 1, broken: true }))),
      after(60_000, deploy(service({ replicas: 2, health: 'command', flavour: 2 }))),
    ],
  },
  {
    // The shutdown policy wrote `halted` over `leaving`, and what is halted never leaves.
    story: 'a service that crashes while it is leaving still leaves',
    script: [
      after(0, { type: 'manner', manner: { endsAfterMs: 5_500 } }),
      after(0, { type: 'manner', manner: { stopsAfterMs: 2_500 } }),
      after(
        0,
        deploy(
          service({ onPanic: 'shutdown' }),
          service({
            stopGraceMs: 3_000,
            depends: [{ on: 0, condition: 'started', timeoutMs: 60_000, onTimeout: 'fail' }],
          }),
        ),
      ),
      after(4_000, { type: 'remove', pick: 0 }),
      after(3_000, { type: 'client' }),
    ],
  },
  {
    // An unwell replica had left the set and come back; what was said about its first leaving was
    // taken for an answer to the second.
    story: 'a drain is over when the listener says so about the set that began it',
    script: [
      after(
        0,
        deploy(service({ endpoints: [endpoint()], health: 'tcp', retries: 1, drainMs: 20_000 })),
      ),
      after(5_000, { type: 'repeat', event: 'backend-drained', afterMs: 8_000 }),
      after(0, { type: 'sicken', pick: 0, forMs: 2_000 }),
      after(5_000, { type: 'client', thinkMs: 10_000 }),
      after(500, { type: 'scale', pick: 0, replicas: 0 }),
      after(6_000, { type: 'client' }),
    ],
  },
  {
    // It was said to be closed in the step in which its last socket was led elsewhere, before that.
    story: 'a tenant of a TLS port leaves, and the port is told first',
    script: [
      after(
        0,
        deploy(
          service({ endpoints: [tenant('a.test')] }),
          service({ endpoints: [tenant('b.test')] }),
        ),
      ),
      after(5_000, deploy(service({ endpoints: [tenant('a.test')] }))),
    ],
  },
  {
    // Without IPv6 all was well; when it came, the second try to listen there counted as a problem
    // for as long as it took, and nobody looked again.
    story: 'IPv6 comes, and a deployment that was ready is',
    script: [
      after(0, { type: 'ipv6', has: false }),
      after(0, deploy(service({ endpoints: PORTS.map((port) => endpoint({ port })) }))),
      after(5_000, { type: 'ipv6', has: true }),
      after(60_000, { type: 'client' }),
    ],
  },
  {
    // What the first listener had published stayed published when another one took its place.
    story: 'a mapping whose listener was replaced is closed with its last replica',
    script: [
      after(0, deploy(mapped())),
      after(5_000, deploy(mapped({ strategy: 'maglev' }))),
      after(5_000, { type: 'restart', pick: 0 }),
      after(60_000, { type: 'scale', pick: 0, replicas: 0 }),
    ],
  },
  {
    // Public sockets are closed first. A replica that became ready while its service waited for its
    // turn was given to a table that was over, and was never drained of it: it hung for ever.
    story: 'a node that stops has no use for a replica that becomes ready meanwhile',
    script: [
      after(0, { type: 'manner', manner: { listensAfterMs: 1 } }),
      after(0, { type: 'manner', manner: { listensAfterMs: 9_000 } }),
      after(0, { type: 'manner', manner: { stopsAfterMs: undefined } }),
      after(
        0,
        deploy(
          service({
            replicas: 2,
            health: 'command',
            endpoints: [endpoint({ protocol: 'udp' })],
          }),
          service({
            stopGraceMs: 10_000,
            depends: [{ on: 0, condition: 'started', timeoutMs: 60_000, onTimeout: 'fail' }],
          }),
        ),
      ),
      after(5_000, { type: 'shutdown', mode: 'drain' }),
      after(100, { type: 'kill', pick: 0 }),
      after(30_000, { type: 'client' }),
    ],
  },
]

function tenant(host: string): EndpointSketch {
  return endpoint({ tls: 'terminate', host, port: 8_443 })
}

function mapped(over: Partial<EndpointSketch> = {}): ServiceSketch {
  const mapping = { hostPort: 8_005, hostIp: '192.0.2.10', protocol: 'tcp', containerPort: 8_000 }
  return service({ replicas: 2, endpoints: [endpoint(over)], mappings: [mapping as MappingSketch] })
}

describe('found before', () => {
  for (const { story, script } of PAST_FAILURES) {
    test(story, () => expect(simulateScript(script).failure).toBeUndefined())
  }
})
