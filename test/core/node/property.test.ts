/**
 * Any order of requests, answers, crashes and time. After every event the machine is replaced by
 * one restored from its snapshot; both must answer the next event with the same commands.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson } from '../../../core/journal/canonical-json.ts'
import type { NodeCommand } from '../../../core/node/commands.ts'
import type { NodeEvent } from '../../../core/node/events.ts'
import { checkInvariants } from '../../../core/node/invariants.ts'
import { NodeMachine } from '../../../core/node/node.ts'
import type { EndpointSpec, ServiceSpec } from '../../../core/spec/deployment.ts'
import {
  deploymentOf,
  endpointOf,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
} from './obedient-shell.ts'

const TIMES = { intervalMs: 1_000, timeoutMs: 500 }
const PROBE = { type: 'udp_probe', request: 'ping', ...TIMES } as const
const CHECKS = { none: [], udp: [PROBE], both: [PROBE, { type: 'tcp_connect', ...TIMES } as const] }

const MAPPINGS = { none: [], explicit: [7_003], ephemeral: [0], both: [7_003, 0, 0] }

/** Requests are told apart by host and path; of TLS what is asked for is the name. */
function tcpOf(
  port: number,
  drawn: {
    readonly expose: EndpointSpec['expose']
    readonly strategy: EndpointSpec['balance']['strategy']
    readonly host: string | undefined
    readonly path: string
    readonly protocol: 'http' | 'https' | 'tcp'
  },
): EndpointSpec {
  const { expose, strategy, host, path, protocol } = drawn
  const named = host === undefined ? {} : { host }
  const plain = endpointOf({ port, expose, protocol })
  const balance = { ...plain.balance, strategy }
  if (protocol === 'http') return { ...plain, ...named, balance, path }
  const stream = {
    ...plain.stream,
    tls: protocol === 'https' ? 'terminate' : 'passthrough',
  } as const
  if (protocol === 'https') return { ...plain, ...named, balance, path, stream }
  return host === undefined ? { ...plain, balance } : { ...plain, ...named, balance, stream }
}

const ADAPTIVE = { mode: 'adaptive', max: 3, cooldownMs: 0, targets: {} } as const

const specs = fc
  .record({
    replicas: fc.integer({ min: 0, max: 3 }),
    version: fc.constantFrom('1', '2'),
    port: fc.constantFrom(7_001, 7_002),
    endpoint: fc.constantFrom('none', 'http', 'udp', 'both' as const),
    checks: fc.constantFrom('none', 'udp', 'both' as const),
    onPanic: fc.constantFrom('restart', 'shutdown', 'isolate'),
    surgeMax: fc.integer({ min: 0, max: 1 }),
    expose: fc.constantFrom('public', 'internal' as const),
    strategy: fc.constantFrom('round_robin', 'least_connections' as const),
    reachability: fc.constantFrom('auto', 'always', 'never' as const),
    mapping: fc.constantFrom('none', 'explicit', 'ephemeral', 'both' as const),
    host: fc.constantFrom(undefined, 'a.example.com', 'b.example.com'),
    path: fc.constantFrom('/', '/api'),
    protocol: fc.constantFrom('http', 'http', 'https', 'tcp' as const),
    sleeps: fc.boolean(),
  })
  .map(
    ({ replicas, version, port, endpoint, checks, onPanic, surgeMax, ...drawn }): ServiceSpec =>
      serviceOf({
        localhostReachability: drawn.reachability,
        portMappings: MAPPINGS[endpoint === 'none' ? 'none' : drawn.mapping].map((hostPort) => ({
          containerPort: port,
          protocol: endpoint === 'udp' ? 'udp' : 'tcp',
          hostIp: '127.0.0.1',
          ...(hostPort === 0 ? {} : { hostPort }),
        })),
        scale: drawn.sleeps
          ? { ...ADAPTIVE, min: 0, idleAfterMs: 1_000 }
          : { mode: 'fixed', replicas },
        env: { VERSION: version },
        endpoints: [
          ...(endpoint === 'http' || endpoint === 'both' ? [tcpOf(port, drawn)] : []),
          ...(endpoint === 'udp' || endpoint === 'both'
            ? [udpEndpointOf({ health: CHECKS[checks] }, { port, expose: drawn.expose })]
            : []),
        ],
        errors: { onInitFailure: 'fail', onPanic },
        stopGraceMs: 1_000,
        update: { surgeMax, unavailableMax: 0, readyMinMs: 100, onFailure: 'pause' },
      }),
  )

const actions = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('deploy' as const),
      name: fc.constantFrom('one', 'two'),
      web: specs,
      db: fc.option(specs),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('remove' as const),
      name: fc.constantFrom('one', 'two'),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('scale' as const),
      replicas: fc.integer({ min: 0, max: 4 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('restart' as const),
      replica: fc.option(fc.integer({ min: 1, max: 3 })),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('answer' as const),
      pick: fc.nat(),
      how: fc.constantFrom('truth', 'truth', 'truth', 'twice', 'lost', 'fail' as const),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      ms: fc.constantFrom(0, 1, 250, 1_000, 11_000, 40_000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('crash' as const), pick: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refused' as const), pick: fc.nat() }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('used' as const),
      pick: fc.nat(),
      how: fc.constantFrom('listener-wanted', 'listener-idle', 'listener-busy' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('internal' as const),
      addresses: fc.constantFrom([], ['10.9.0.1'], ['10.9.0.1', 'fd00::1'], ['127.0.0.1']),
    }),
  },
)

/** As a replay reads it: the order of keys is the journal's, not the file's. */
const journalled = (event: NodeEvent): NodeEvent => JSON.parse(canonicalJson(event))

const ANOTHER_CLOCK = 7_777_777

class Chaos extends ObedientShell {
  readonly pending: NodeCommand[] = []
  readonly answered = new Map<number, number>()

  event(event: NodeEvent): void {
    const snapshot = JSON.parse(JSON.stringify(this.machine.snapshot(this.now)))
    const twin = NodeMachine.restore(snapshot, this.now)
    // another process has another clock: only differences mean anything
    const later = NodeMachine.restore(snapshot, this.now + ANOTHER_CLOCK)
    const out: NodeCommand[] = []
    const again: NodeCommand[] = []
    const elsewhere: NodeCommand[] = []
    this.machine.step(event, this.now, out)
    twin.step(journalled(event), this.now, again)
    later.step(event, this.now + ANOTHER_CLOCK, elsewhere)
    expect(canonicalJson(again)).toBe(canonicalJson(out))
    expect(elsewhere).toEqual(out)
    expect(twin.deadline()).toBe(this.machine.deadline())
    expect(later.snapshot(this.now + ANOTHER_CLOCK)).toEqual(this.machine.snapshot(this.now))
    this.machine = twin
    checkInvariants(this.machine)
    for (const command of out) {
      if (command.type !== 'reply') this.pending.push(command)
      else this.answered.set(command.request, (this.answered.get(command.request) ?? 0) + 1)
    }
  }

  answerOne(pick: number, how: 'truth' | 'twice' | 'lost' | 'fail'): void {
    const [command] = this.pending.splice(pick % Math.max(1, this.pending.length), 1)
    if (command === undefined || how === 'lost') return
    const truth = how === 'fail' ? failureOf(command) : this.obey(command)
    for (const event of how === 'twice' ? [...truth, ...truth] : truth) this.event(event)
  }

  answerAll(): void {
    for (let guard = 0; this.pending.length > 0 && guard < 20_000; guard++)
      this.answerOne(0, 'truth')
  }

  tickUntil(end: number): void {
    for (
      let due = this.machine.deadline();
      due !== undefined && due <= end;
      due = this.machine.deadline()
    ) {
      this.now = Math.max(this.now, due)
      this.event({ type: 'tick' })
      expect(this.machine.deadline() ?? Number.POSITIVE_INFINITY).toBeGreaterThan(this.now)
      this.answerAll()
    }
    this.now = Math.max(this.now, end)
  }
}

function failureOf(command: NodeCommand): NodeEvent[] {
  switch (command.type) {
    case 'create-replica':
      return [
        {
          type: 'replica-create-failed',
          replica: command.replica,
          attempt: command.attempt,
          reason: 'no',
          portsTaken: [],
        },
      ]
    case 'start-replica':
      return [
        {
          type: 'replica-start-failed',
          replica: command.replica,
          attempt: command.attempt,
          reason: 'no',
        },
      ]
    case 'verify-replica':
      return [
        { type: 'replica-exited', replica: command.replica, code: 1, signal: null, logTail: [] },
      ]
    case 'probe':
      return [
        {
          type: 'probe-result',
          replica: command.replica,
          check: command.check,
          attempt: command.attempt,
          ok: false,
          reason: 'no',
        },
      ]
    case 'bind-socket':
      return [
        {
          type: 'socket-failed',
          socket: command.socket,
          attempt: command.attempt,
          reason: 'no',
        },
      ]
    default:
      return []
  }
}

test('property: any history keeps the invariants, answers every request once, and can be stopped', () => {
  fc.assert(
    fc.property(fc.array(actions, { maxLength: 60 }), (script) => {
      const shell = new Chaos()
      const requests: number[] = []
      const request = () => {
        requests.push(shell.request())
        return requests.at(-1) as number
      }
      shell.event({ type: 'boot' })
      for (const action of script) {
        switch (action.do) {
          case 'deploy': {
            const services = {
              web: action.web,
              ...(action.db === null ? {} : { db: { ...action.db, endpoints: [] } }),
            }
            const deployment = deploymentOf(services, action.name)
            shell.event({ type: 'deploy', request: request(), deployment, directory: '/srv' })
            break
          }
          case 'remove':
            shell.event({ type: 'remove', request: request(), deployment: action.name })
            break
          case 'scale':
            shell.event({
              type: 'scale',
              request: request(),
              service: 'one/web',
              replicas: action.replicas,
            })
            break
          case 'restart':
            shell.event({
              type: 'restart',
              request: request(),
              service: 'one/web',
              ...(action.replica === null ? {} : { replica: action.replica }),
            })
            break
          case 'answer':
            shell.answerOne(action.pick, action.how)
            break
          case 'pass':
            shell.now += action.ms
            shell.event({ type: 'tick' })
            break
          case 'internal':
            shell.event({ type: 'internal-addresses', addresses: action.addresses })
            break
          case 'refused': {
            const backend = [...shell.alive][action.pick % Math.max(1, shell.alive.size)]
            const listeners = [...shell.machine.state.listeners.keys()]
            const listener = listeners[action.pick % Math.max(1, listeners.length)]
            if (backend === undefined || listener === undefined) break
            shell.event({ type: 'backend-failed', listener, backend, reason: 'refused' })
            break
          }
          case 'used': {
            const listeners = [...shell.machine.state.listeners.keys()]
            const listener = listeners[action.pick % Math.max(1, listeners.length)]
            if (listener !== undefined) shell.event({ type: action.how, listener })
            break
          }
          case 'crash': {
            const replica = [...shell.alive][action.pick % Math.max(1, shell.alive.size)]
            if (replica === undefined) break
            shell.alive.delete(replica)
            shell.event({ type: 'replica-exited', replica, code: 1, signal: null, logTail: [] })
          }
        }
      }
      shell.event({ type: 'shutdown', request: request(), mode: 'drain' })
      // Questions whose answers were lost run into their time limits; listeners' do not get lost.
      shell.answerAll()
      answerSockets(shell)
      for (
        let round = 0;
        round < 40 && shell.machine.view(shell.now).phase !== 'stopped';
        round++
      ) {
        shell.tickUntil(shell.now + 40_000)
        answerLost(shell)
      }
      expect(shell.machine.view(shell.now)).toEqual({
        phase: 'stopped',
        deployments: [],
        services: [],
        replicas: [],
        listeners: [],
        routes: [],
        node: [],
        ports: expect.anything(),
      })
      expect([...shell.alive]).toEqual([])
      expect([...shell.bound.values()]).toEqual([])
      expect(shell.machine.deadline()).toBeUndefined()
      for (const each of requests) expect(shell.answered.get(each)).toBe(1)
    }),
    { numRuns: 150 },
  )
})

/** What a listener was asked and did not answer, because the script lost it. */
function answerLost(shell: Chaos): void {
  answerSockets(shell)
  for (const { id, sentVersion, appliedVersion } of [...shell.machine.state.listeners.values()]) {
    if (sentVersion !== appliedVersion) {
      shell.event({ type: 'backends-applied', listener: id, version: sentVersion })
    }
    for (const backend of shell.machine.state.listeners.get(id)?.holding.keys() ?? []) {
      shell.event({ type: 'backend-drained', listener: id, backend, version: sentVersion })
    }
    shell.answerAll()
  }
}

function answerSockets(shell: Chaos): void {
  for (const { id: socket, attempt, state } of shell.machine.state.ledger.sockets()) {
    if (state !== 'releasing') continue
    for (const event of shell.obey({ type: 'unbind-socket', socket, attempt })) shell.event(event)
  }
}
