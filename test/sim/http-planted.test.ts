import { describe, expect, test } from 'vitest'
import type { IngressCommand } from '../../core/http/commands.ts'
import type { CheckerName } from '../../sim/checkers/checker.ts'
import type { HttpOptions } from '../../sim/http/swarm.ts'
import { type RunFailure, simulateRun } from '../../sim/simulate.ts'
import { drawRun } from '../../sim/swarm.ts'
import { each, hears, type IngressSaboteur, plantInIngress, without } from './http-planted.ts'

interface Planted {
  readonly bug: string
  readonly saboteur: () => IngressSaboteur
  readonly checker: CheckerName | 'liveness'
  /** What the checker says. */
  readonly says: RegExp
  /** It says so within so many seeds of 400 steps. */
  readonly seeds: number
  /** What is changed in every run, to look closer where it is rare. */
  readonly closer?: (drawn: HttpOptions) => HttpOptions
}

const STEPS = 400

const flawed = (drawn: HttpOptions): HttpOptions => ({
  ...drawn,
  clients: { ...drawn.clients, flawedPercent: 60, streamsPercent: 0, pieceMax: 65_536 },
})

const backends =
  (changed: Partial<HttpOptions['backends']>) =>
  (drawn: HttpOptions): HttpOptions => ({ ...drawn, backends: { ...drawn.backends, ...changed } })

const config =
  (changed: Partial<HttpOptions['config']>) =>
  (drawn: HttpOptions): HttpOptions => ({
    ...drawn,
    config: { ...drawn.config, ...changed },
    weights: { ...drawn.weights, configure: 0, empty: 6 },
  })

const PLANTED: readonly Planted[] = [
  {
    bug: 'an answer goes to who came last',
    saboteur: () => {
      let last: IngressCommand | undefined
      return {
        order: (commands, event) => {
          if (event.type === 'accepted') last = commands.find(({ type }) => type === 'read')
          const client = last?.type === 'read' ? last.client : undefined
          return each('write-client', (command) => [
            { ...command, client: client ?? command.client },
          ])(commands)
        },
      }
    },
    checker: 'http framing',
    says: / is sent an answer \d+ to nobody/,
    seeds: 60,
  },
  {
    bug: 'an answer is written twice',
    saboteur: () => ({
      order: each('write-client', (command) =>
        command.head.startsWith('HTTP/1.1 4') ? [command, command] : [command],
      ),
    }),
    checker: 'http framing',
    says: /is sent an answer 4\d\d to nobody|is written to after its end/,
    seeds: 20,
  },
  {
    bug: 'the last byte of a read is forgotten',
    saboteur: () => ({
      order: each('write-client', (command) => [
        { ...command, bytes: command.bytes?.subarray(0, Math.max(1, command.bytes.length - 1)) },
      ]),
    }),
    checker: 'http messages',
    says: /answered with another's bytes|cut and is passed off/,
    seeds: 30,
  },
  {
    bug: 'what is read is written after it was given back',
    saboteur: () => {
      let late: readonly IngressCommand[] = []
      return {
        order: (commands) => {
          const bodies = commands.filter(
            (command) => command.type === 'write-client' && command.head === '',
          )
          const now = [...late, ...commands.filter((command) => !bodies.includes(command))]
          late = bodies
          return now
        },
      }
    },
    checker: 'http messages',
    says: /answered with another's bytes|bytes out|cut and is passed off/,
    seeds: 60,
  },
  {
    bug: 'a broken connection ends an answer like one that was closed',
    saboteur: () => ({
      tell: (event) => [
        event.type === 'upstream-broken' ? { ...event, type: 'upstream-ended' } : event,
      ],
    }),
    checker: 'http messages',
    says: /was broken and is passed off as whole/,
    seeds: 60,
    closer: backends({ untilClosePercent: 60, cutsPercent: 60 }),
  },
  {
    bug: 'a space before a colon is forgiven',
    saboteur: () => ({ tell: hears('client-data', ' : chunked', ':  chunked') }),
    checker: 'http framing',
    says: /a request with a space before the colon goes on to a backend/,
    seeds: 60,
    closer: flawed,
  },
  {
    bug: 'of two lengths the last one counts',
    saboteur: () => ({
      tell: hears('client-data', 'Content-Length: 5\r\nContent-Length: 0', 'Content-Length: 0'),
    }),
    checker: 'http framing',
    says: /two lengths|smuggled/,
    seeds: 60,
    closer: flawed,
  },
  {
    bug: 'a line of chunked framing may end with LF',
    saboteur: () => ({ tell: hears('client-data', /5\nhello/, '5\r\nhello') }),
    checker: 'http framing',
    says: /a size that ends with LF/,
    seeds: 60,
    closer: flawed,
  },
  {
    bug: 'a connection that has ended is used again',
    saboteur: () => ({
      tell: (event) => (event.type === 'upstream-ended' ? [] : [event]),
    }),
    checker: 'http pool',
    says: /which has ended$/,
    seeds: 60,
  },
  {
    bug: 'a connection that says what nobody asked for is used again',
    saboteur: () => ({
      tell: (event) => {
        const [told] = hears(
          'upstream-data',
          /HTTP\/1.1 200 OK\r\nContent-Length: 4\r\nX-Answer: 1\r\n\r\nevil/,
          '',
        )(event)
        const isNothing = told?.type === 'upstream-data' && told.bytes.length === 0
        return told === undefined || isNothing ? [] : [told]
      },
    }),
    checker: 'http pool',
    says: /which said what nobody asked for$/,
    seeds: 20,
    closer: backends({ chattersPercent: 50 }),
  },
  {
    bug: 'connections are kept for ever',
    saboteur: () => ({ configure: (config) => ({ ...config, idleUpstreamMs: 9_000_000 }) }),
    checker: 'http timeouts',
    says: /^(the deadline is .*, )?upstream \d+ /,
    seeds: 60,
  },
  {
    bug: 'a request that cannot be repeated takes an old connection',
    saboteur: () => ({ configure: (config) => ({ ...config, freshUpstreamMs: 9_000_000 }) }),
    checker: 'http pool',
    says: /cannot be repeated and takes a connection idle for/,
    seeds: 40,
    closer: (drawn) => ({ ...drawn, config: { ...drawn.config, freshUpstreamMs: 5 } }),
  },
  {
    bug: 'how long a backend keeps a connection is not read',
    saboteur: () => ({
      tell: hears('upstream-data', 'Keep-Alive: timeout', 'Keep-Alivf: timeout'),
    }),
    checker: 'http pool',
    says: /was kept for longer than its backend said/,
    seeds: 40,
    closer: backends({ hintPercent: 80 }),
  },
  {
    bug: 'another backend is tried for ever',
    saboteur: () => ({ listen: (config) => ({ ...config, retries: 9 }) }),
    checker: 'http backends',
    says: /tries \d backends/,
    seeds: 60,
    closer: (drawn) => ({
      ...drawn,
      faults: { ...drawn.faults, connectRefused: { times: 1, outOf: 2 } },
    }),
  },
  {
    bug: 'everybody is believed',
    saboteur: () => ({
      configure: (config) => ({
        ...config,
        trustedProxies: [{ network: { a: 0, b: 0, c: 0, d: 0, port: 0 }, bits: 0 }],
      }),
    }),
    checker: 'http messages',
    says: /X-Forwarded-For|forged/,
    seeds: 60,
  },
  {
    bug: 'nobody is told how an exchange ended',
    saboteur: () => ({
      order: each('exchanged', (command) => (command.exchange.outcome === 'cut' ? [] : [command])),
    }),
    checker: 'http exchanges',
    says: /and nobody is told/,
    seeds: 200,
  },
  {
    bug: 'an exchange is told twice',
    saboteur: () => ({ order: each('exchanged', (command) => [command, command]) }),
    checker: 'http exchanges',
    says: /has an exchange that it did not begin/,
    seeds: 10,
  },
  {
    bug: 'whoever left is told as answered',
    saboteur: () => ({
      order: each('exchanged', ({ type, exchange }) => {
        const { outcome } = exchange
        return [
          {
            type,
            exchange: { ...exchange, outcome: outcome === 'client-gone' ? 'done' : outcome },
          },
        ]
      }),
    }),
    checker: 'http exchanges',
    says: /with the end "done"/,
    seeds: 60,
  },
  {
    bug: 'what went out is counted with its head',
    saboteur: () => ({
      order: each('exchanged', ({ type, exchange }) => [
        { type, exchange: { ...exchange, bytesOut: exchange.bytesOut + 100 } },
      ]),
    }),
    checker: 'http exchanges',
    says: /bytes out$/,
    seeds: 10,
  },
  {
    bug: 'a client that is too slow goes on being sent to',
    saboteur: () => ({ order: without('pause-upstream', 'resume-upstream') }),
    checker: 'http buffers',
    says: /bytes go to who is blocked/,
    seeds: 60,
    closer: (drawn) => ({
      ...drawn,
      faults: { ...drawn.faults, blocksAbove: 1 },
      clients: { ...drawn.clients, stallsPercent: 60, slowMsMax: 3_000 },
      backends: { ...drawn.backends, bodyBytesMax: 8_000, pieceMax: 300 },
    }),
  },
  {
    bug: 'a client that is ahead goes on being read',
    saboteur: () => ({ order: without('pause-client', 'resume-client') }),
    checker: 'http buffers',
    says: /bytes ahead, and is read|are kept/,
    seeds: 100,
  },
  {
    bug: 'any number of requests is held',
    saboteur: () => ({ configure: (config) => ({ ...config, heldMax: 1_000 }) }),
    checker: 'http buffers',
    says: /requests are held$/,
    seeds: 40,
    closer: config({ heldMax: 1 }),
  },
  {
    bug: 'what is held may have any size',
    saboteur: () => ({ configure: (config) => ({ ...config, heldBytesMax: 1_000_000 }) }),
    checker: 'http buffers',
    says: /requests that are held have \d+ bytes/,
    seeds: 40,
    closer: config({ heldBytesMax: 100 }),
  },
  {
    bug: 'a backend that left is chosen',
    saboteur: () => {
      let first: string | undefined
      return {
        order: each('connect', (command) => {
          first ??= command.backend
          return [{ ...command, backend: first }]
        }),
      }
    },
    checker: 'http backends',
    says: /which left$|where b\d was|may not be chosen/,
    seeds: 20,
  },
  {
    bug: 'nobody is told that a backend is done',
    saboteur: () => ({ order: without('backend-drained') }),
    checker: 'http backends',
    says: /is done, and nobody is told/,
    seeds: 10,
  },
  {
    bug: 'a backend is told as done too early',
    saboteur: () => ({
      order: (commands, event) => {
        if (event.type !== 'apply-backends' || event.backends.length > 0) return commands
        const gone = ['b0', 'b1', 'b2', 'b3'].map(
          (backend): IngressCommand => ({
            type: 'backend-drained',
            listener: event.listener,
            backend,
            version: event.version,
          }),
        )
        return [...without('backend-drained')(commands), ...gone]
      },
    }),
    checker: 'http backends',
    says: /told as drained, and did not leave/,
    seeds: 10,
  },
  {
    bug: 'a set is not acknowledged',
    saboteur: () => ({
      order: each('backends-applied', (command) => (command.version > 1 ? [] : [command])),
    }),
    checker: 'http backends',
    says: /is not told as applied/,
    seeds: 5,
  },
  {
    bug: 'who waits is not wanted',
    saboteur: () => ({ order: without('wanted') }),
    checker: 'http routes',
    says: /waits, and \w+ is not wanted/,
    seeds: 60,
  },
  {
    bug: 'wanted is said for each who waits',
    saboteur: () => ({ order: each('wanted', (command) => [command, command]) }),
    checker: 'http backends',
    says: /^wanted is said twice/,
    seeds: 60,
  },
  {
    bug: 'idle is never taken back',
    saboteur: () => ({ order: without('busy') }),
    checker: 'http backends',
    says: /is idle, and was/,
    seeds: 60,
  },
  {
    bug: 'nobody is refused',
    saboteur: () => ({ listen: (config) => ({ ...config, access: [] }) }),
    checker: 'http routes',
    says: /is let in to/,
    seeds: 40,
  },
  {
    bug: 'any number of requests is at one backend',
    saboteur: () => ({ listen: (config) => ({ ...config, requestsPerBackendMax: 0 }) }),
    checker: 'http routes',
    says: /requests at one time/,
    seeds: 60,
    closer: (drawn) => ({
      ...drawn,
      listeners: drawn.listeners.map((each) => ({ ...each, requestsPerBackendMax: 1 })),
      weights: { ...drawn.weights, 'configure-listener': 0 },
    }),
  },
  {
    bug: 'routes are not looked at',
    saboteur: () => ({
      tell: (event) => [
        event.type === 'apply-routes'
          ? { ...event, routes: [{ path: '/', listener: 'api' }] }
          : event,
      ],
    }),
    checker: 'http routes',
    says: /where no route leads/,
    seeds: 20,
  },
  {
    bug: 'a connection is forgotten',
    saboteur: () => ({ order: without('close-upstream') }),
    checker: 'http handles',
    says: /upstreams by its count/,
    seeds: 10,
  },
  {
    bug: 'a client is let go of twice',
    saboteur: () => ({ order: each('close-client', (command) => [command, command]) }),
    checker: 'http handles',
    says: /client \d+ is not there/,
    seeds: 5,
  },
  {
    bug: 'an end is not passed on',
    saboteur: () => ({
      order: (commands, event) =>
        event.type === 'client-ended' ? without('end-upstream')(commands) : commands,
    }),
    checker: 'http messages',
    says: /said its last at \d+, and its backend waits/,
    seeds: 200,
  },
  {
    bug: 'timers are late',
    saboteur: () => ({ deadline: (real) => (real === undefined ? real : real + 100) }),
    checker: 'http timeouts',
    says: /^the deadline is/,
    seeds: 10,
  },
  {
    bug: 'timers are early',
    saboteur: () => ({
      listen: (config) => ({
        ...config,
        holdTimeoutMs: config.holdTimeoutMs / 2,
        responseTimeoutMs: config.responseTimeoutMs / 2,
        bodyTimeoutMs: config.bodyTimeoutMs / 2,
      }),
    }),
    checker: 'http exchanges',
    says: /with the end "[a-z]+-timeout"/,
    seeds: 60,
  },
  {
    bug: 'the timer spins',
    saboteur: () => ({ deadline: (real, now) => (real === undefined ? real : now) }),
    checker: 'http universal',
    says: /^after a tick at/,
    seeds: 5,
  },
  {
    bug: 'a listener never ends',
    saboteur: () => ({ order: without('emptied') }),
    checker: 'liveness',
    says: /its listeners to be empty|every listener to be open/,
    seeds: 10,
  },
]

describe('a planted bug is noticed by the checker that is for it', () => {
  for (const { bug, saboteur, checker, says, seeds, closer } of PLANTED) {
    test(`${bug}: ${checker}, within ${seeds} seeds`, () => {
      const failures: RunFailure[] = []
      for (let seed = 0; seed < seeds; seed++) {
        const drawn = drawRun(seed, STEPS)
        const http = drawn.http === undefined ? undefined : (closer?.(drawn.http) ?? drawn.http)
        const breed = plantInIngress(saboteur)
        const { failure } = simulateRun({ ...drawn, http }, { breed, only: 'http' })
        if (failure === undefined) continue
        failures.push(failure)
        if (failure.checker === checker && says.test(failure.message)) return
      }
      const told = failures.slice(0, 5).map((each) => `${each.checker}: ${each.message}`)
      expect.fail(`nobody says so; instead: ${told.join('; ')}`)
    }, 60_000)
  }
})
