/** Whether a replica is well. Which endpoint a check means is settled by `rules/health.ts`. */
import type { HealthCheck, HealthSpec, UdpHealthSpec } from '../deployment.ts'
import { parseHealthUrl, URL_PATTERN } from '../grammar/health-url.ts'
import { parseProbeBytes } from '../grammar/probe-bytes.ts'
import { forms, list } from '../schema/collections.ts'
import { byDefault, object, optional, required, tagged } from '../schema/objects.ts'
import { describedAs, duration, integer, oneOf, port, text } from '../schema/scalars.ts'
import { given, mapped, type Shape } from '../schema/shape.ts'
import { show } from '../schema/words.ts'

const url: Shape<string> = describedAs(
  text('a URL such as http://localhost/healthz', {
    fault: (written) =>
      parseHealthUrl(written) === undefined
        ? `must be a URL such as http://localhost/healthz, without a user or a fragment, not ${show(written)}`
        : undefined,
  }),
  { type: 'string', pattern: URL_PATTERN.source },
)

const check: Shape<HealthCheck> = mapped(
  tagged(
    'type',
    'a health check',
    {
      tcp: object('check_tcp', 'a tcp check', {
        type: required(oneOf(['tcp']), 'Healthy when a connection is accepted.'),
        port: byDefault(
          integer(0, 65535, 'a number from 0 to 65535'),
          0,
          "Of an endpoint; 0 is the first endpoint's.",
        ),
      }),
      http: object('check_http', 'an http check', {
        type: required(oneOf(['http']), 'Healthy when GET answers with exactly one status.'),
        url: required(url, "Its port is an endpoint's; without one it is the first endpoint's."),
        expect_status: byDefault(integer(100, 599), 200, 'The status of a healthy answer.'),
      }),
      command: object('check_command', 'a command check', {
        type: required(oneOf(['command']), 'Healthy when the command ends with 0.'),
        command: required(
          text('one text for sh -c'),
          "Run by sh -c in the replica's directory and environment.",
        ),
      }),
    },
    {
      hints: { exec: 'write { type: command, command: "..." }', cmd: 'write command' },
      example: () => '{ type: http, url: http://localhost/healthz }',
    },
  ),
  (read): HealthCheck =>
    read.type === 'http' ? { type: 'http', url: read.url, expectStatus: read.expect_status } : read,
)

const fields = {
  check: required(check, 'What is asked of a replica.'),
  start_grace: byDefault(duration(0), '5s', 'How long failures after the start do not count.'),
  interval: byDefault(duration(10), '10s', 'From one check to the next, once one has passed.'),
  timeout: byDefault(duration(1), '5s', 'How long one check may take.'),
  retries: byDefault(integer(1, 1000), 3, 'Failures in a row that make a replica unhealthy.'),
}
const hints = {
  test: 'write check: { type: command, command: "..." }',
  start_period: 'write start_grace',
}

type Block = Omit<HealthSpec, 'startup' | 'liveness'>
type ReadBlock = {
  readonly check: HealthCheck
  readonly start_grace: number
  readonly interval: number
  readonly timeout: number
  readonly retries: number
}

const block = (read: ReadBlock): Block => ({
  startGraceMs: read.start_grace,
  intervalMs: read.interval,
  timeoutMs: read.timeout,
  retries: read.retries,
  check: read.check,
})

const healthBlock: Shape<Block> = mapped(
  object('health_block', 'a health block', fields, hints),
  block,
)

const liveness: Shape<true | Block> = forms<true | Block>('true or a health block', {
  word: {
    what: 'true or a health block',
    read(value, path, reading) {
      if (value === true) return true
      reading.report(
        path,
        'liveness must be true or a health block; remove it to have none',
        'value',
      )
      return undefined
    },
    describe: () => ({ const: true }),
  },
  map: healthBlock,
})

export const health: Shape<HealthSpec> = mapped(
  object(
    'health',
    'a health block',
    {
      ...fields,
      startup: optional(healthBlock, 'Checked first, until it passes; the main check then begins.'),
      liveness: optional(
        liveness,
        'A replica that fails it is restarted; true repeats the main check.',
      ),
    },
    hints,
  ),
  (read): HealthSpec => ({
    ...block(read),
    ...given({ startup: read.startup, liveness: read.liveness }),
  }),
)

const udpTiming = {
  interval: byDefault(duration(10), '5s', 'From one probe to the next.'),
  timeout: byDefault(duration(1), '2s', 'How long an answer may take.'),
}
const probeBytes = (empty: boolean): Shape<string> =>
  text('text', {
    empty,
    fault: (written) => {
      const bytes = parseProbeBytes(written)
      if (bytes === undefined) {
        return `has a \\ that begins no byte; write \\xNN, \\0, \\t, \\n, \\r, or \\\\ for itself: ${show(written)}`
      }
      if (bytes.length <= DATAGRAM_BYTES_MAX) return undefined
      return `is ${bytes.length} bytes long; a datagram holds ${DATAGRAM_BYTES_MAX}`
    },
  })
const udpRequest = {
  request: required(probeBytes(true), 'What is sent; \\xNN is a byte.'),
  expect: optional(
    probeBytes(false),
    'Bytes the answer must contain; without it any answer will do.',
  ),
}

/** How replicas behind an L4 port are probed. */
export const streamCheck = tagged('type', 'a stream health check', {
  tcp_connect: object('stream_tcp_connect', 'a connect check', {
    type: required(oneOf(['tcp_connect']), 'Healthy when a connection is accepted.'),
  }),
  udp_probe: object('stream_udp_probe', 'a udp probe', {
    type: required(oneOf(['udp_probe']), 'Healthy when a datagram is answered.'),
    ...udpRequest,
  }),
})

const udpCheck: Shape<UdpHealthSpec> = mapped(
  tagged('type', 'a udp health check', {
    tcp_connect: object('udp_tcp_connect', 'a connect check', {
      type: required(oneOf(['tcp_connect']), 'Healthy when a TCP connection is accepted.'),
      port: optional(
        port,
        'Of another endpoint; when not said, of the tcp one with the same port, else the number of the udp port.',
      ),
      ...udpTiming,
    }),
    udp_probe: object('udp_udp_probe', 'a udp probe', {
      type: required(oneOf(['udp_probe']), 'Healthy when a datagram is answered.'),
      ...udpRequest,
      ...udpTiming,
    }),
  }),
  ({ interval: intervalMs, timeout: timeoutMs, ...read }): UdpHealthSpec => ({
    intervalMs,
    timeoutMs,
    ...read,
  }),
)

/** One check, or a list: each has its own streak. */
export const udpHealth: Shape<readonly UdpHealthSpec[]> = forms(
  'a udp health check, or a list of them',
  {
    map: mapped(udpCheck, (check) => [check]),
    list: list(udpCheck, 'a list of udp health checks', 1),
  },
)

/** Over IPv4. */
const DATAGRAM_BYTES_MAX = 65_507
