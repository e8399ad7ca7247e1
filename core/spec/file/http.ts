/** How requests are forwarded: the http block of an endpoint. */
import type { HttpSpec } from '../deployment.ts'
import { byDefault, object } from '../schema/objects.ts'
import { bool, duration, integer, oneOf, sizeWithin } from '../schema/scalars.ts'
import { mapped, type Shape } from '../schema/shape.ts'

/** What waits takes memory, and hardly anybody waits for longer. */
export const HOLD_MS_MAX = 60 * 60 * 1000
/** A client can have as much of our memory before it has said what it wants. */
const HEAD_BYTES_MAX = 1024 * 1024

export const http: Shape<HttpSpec> = mapped(
  object('http', 'an http block', {
    strip_prefix: byDefault(
      bool,
      false,
      'Whether replicas see paths without the prefix: /api/users as /users under path: /api.',
    ),
    redirect_https: byDefault(
      bool,
      false,
      'Whether every request is sent to https (308), at the port of the https endpoint for this host. Not for https.',
    ),
    backend: byDefault(
      oneOf(['http1', 'h2c'], {
        hints: { http2: 'write h2c', h2: 'write h2c', grpc: 'write h2c' },
      }),
      'http1',
      'What replicas speak; h2c is HTTP/2 without TLS, as gRPC servers do.',
    ),
    head_timeout: byDefault(
      duration(1),
      '10s',
      'How long the head of a request may take; then 408. At a port that several endpoints share, the longest of theirs.',
    ),
    body_timeout: byDefault(
      duration(1),
      '60s',
      'How long a body, either way, may make no progress.',
    ),
    connect_timeout: byDefault(duration(1), '2s', 'How long connecting to a replica may take.'),
    response_timeout: byDefault(
      duration(1),
      '60s',
      'How long a replica may take from the end of a request to the head of its answer; then 504.',
    ),
    total_timeout: byDefault(
      duration(0),
      '0s',
      'How long a request may take in all, from its first byte to the last of its answer; 0s is any time. Not of WebSockets.',
    ),
    idle_timeout: byDefault(
      duration(1),
      '75s',
      'How long a connection is kept between two requests. At a port that several endpoints share, the longest of theirs.',
    ),
    tunnel_idle_timeout: byDefault(
      duration(0),
      '1h',
      'How long a WebSocket, or another connection that was upgraded, may be quiet both ways; 0s is for ever.',
    ),
    max_head: byDefault(
      sizeWithin(1024, HEAD_BYTES_MAX),
      '32Ki',
      'Size of the head of a request (more is 431) or of an answer (502).',
    ),
    retries: byDefault(integer(0, 100), 1, 'Other replicas tried when one cannot be connected to.'),
    hold_timeout: byDefault(
      duration(0, HOLD_MS_MAX),
      '30s',
      'How long a request waits while its service is woken from zero; then 503. With 0s at once, and the next one finds it awake.',
    ),
    max_requests_per_backend: byDefault(
      integer(0, 1_000_000),
      0,
      'Requests and WebSockets at one replica at one time, more are 503; 0 is any number.',
    ),
    hsts: byDefault(
      bool,
      true,
      'Whether answers over TLS tell browsers to come by https only, for a year (RFC 6797).',
    ),
    drain_timeout: byDefault(
      duration(0),
      '30s',
      'How long requests and WebSockets at a replica that leaves may go on.',
    ),
  }),
  (read): HttpSpec => ({
    stripPrefix: read.strip_prefix,
    redirectHttps: read.redirect_https,
    backend: read.backend,
    headTimeoutMs: read.head_timeout,
    bodyTimeoutMs: read.body_timeout,
    connectTimeoutMs: read.connect_timeout,
    responseTimeoutMs: read.response_timeout,
    totalTimeoutMs: read.total_timeout,
    idleTimeoutMs: read.idle_timeout,
    tunnelIdleTimeoutMs: read.tunnel_idle_timeout,
    headBytesMax: read.max_head,
    retries: read.retries,
    holdTimeoutMs: read.hold_timeout,
    requestsPerBackendMax: read.max_requests_per_backend,
    hsts: read.hsts,
    drainTimeoutMs: read.drain_timeout,
  }),
)

export const DEFAULT_HTTP = byDefault(http, {}, '').standIn as HttpSpec
