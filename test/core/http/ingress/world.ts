/**
 * An ingress under test: events in short, commands as lines of text. Of heads a line has the start
 * and the fields that frame and route; what the rest of them is, the tests of `forward` say.
 */
import { ok } from 'node:assert/strict'
import type { Backend, GroupOptions } from '../../../../core/balance/group.ts'
import type { IngressCommand } from '../../../../core/http/commands.ts'
import {
  defaultHttpListenerConfig,
  defaultIngressConfig,
  type HttpListenerConfig,
  type HttpRoute,
  type IngressConfig,
} from '../../../../core/http/config.ts'
import type {
  ClientId,
  IngressEvent,
  StreamHead,
  UpstreamId,
  WhenEmpty,
} from '../../../../core/http/events.ts'
import { HttpIngress } from '../../../../core/http/ingress/ingress.ts'
import { checkInvariants } from '../../../../core/http/ingress/invariants.ts'
import { parseSocketAddress } from '../../../../core/net/address.ts'
import { type PackedAddress, packAddress, packIpv4 } from '../../../../core/net/packed-address.ts'
import type { Peers } from '../../../../core/stream/entrance/events.ts'

export const LISTENER: HttpListenerConfig = {
  ...defaultHttpListenerConfig,
  bodyTimeoutMs: 3_000,
  connectTimeoutMs: 1_000,
  responseTimeoutMs: 4_000,
  holdTimeoutMs: 6_000,
  tunnelIdleMs: 20_000,
}

export const CONFIG: IngressConfig = {
  ...defaultIngressConfig,
  limits: { headTimeoutMs: 2_000, headBytesMax: 4_096, keepAliveMs: 8_000 },
  pipelinedBytesMax: 200,
  heldMax: 3,
  heldBytesMax: 2_000,
  idlePerBackendMax: 2,
  idleUpstreamMs: 5_000,
}

export interface Options {
  readonly config?: Partial<IngressConfig>
  readonly listener?: Partial<HttpListenerConfig>
  readonly routes?: readonly HttpRoute[]
  /** One letter each. */
  readonly backends?: string
  readonly whenEmpty?: WhenEmpty
  readonly balance?: GroupOptions
}

export class World {
  readonly ingress: HttpIngress
  now = 0
  readonly #options: Options
  #version = 0

  constructor(options: Options = {}) {
    this.#options = options
    this.ingress = new HttpIngress({ config: { ...CONFIG, ...options.config }, seed: 1 })
    this.listener('web')
    this.step({
      type: 'apply-routes',
      port: 'p',
      number: 80,
      routes: options.routes ?? [{ path: '/', listener: 'web' }],
    })
    this.backends(options.backends ?? 'A', options.whenEmpty)
  }

  /** What it causes, as lines. */
  step(event: IngressEvent): string[] {
    return linesOf(this.raw(event))
  }

  raw(event: IngressEvent): IngressCommand[] {
    const out: IngressCommand[] = []
    this.ingress.step(event, this.now, out)
    checkInvariants(this.ingress)
    return out
  }

  listener(id: string, config: Partial<HttpListenerConfig> = {}): string[] {
    const { listener, balance } = this.#options
    const event = {
      type: 'configure-listener',
      listener: id,
      config: { ...LISTENER, ...listener, ...config },
    } as const
    return this.step(balance === undefined ? event : { ...event, balance })
  }

  backends(ids: string, whenEmpty: WhenEmpty = 'refuse', listener = 'web'): string[] {
    this.#version += 1
    const backends = [...ids].map(backend)
    return this.step({
      type: 'apply-backends',
      listener,
      version: this.#version,
      backends,
      whenEmpty,
    })
  }

  accept(id: number, from = '192.0.2.1:40000', port = 'p', isSecure = false): string[] {
    const peers = { source: address(from), destination: address('192.0.2.9:80') }
    const event = { type: 'accepted', client: client(id), port, peers } as const
    return this.step(isSecure ? { ...event, tls: {} } : event)
  }

  open(id: number, head: Partial<StreamHead> = {}, isLast = true): string[] {
    const peers = { source: address('192.0.2.1:40000'), destination: address('192.0.2.9:80') }
    return this.step({
      type: 'stream-opened',
      client: client(id),
      port: 'p',
      peers,
      head: { method: 'GET', scheme: 'http', authority: 'a', path: '/', fields: [], ...head },
      isLast,
    })
  }

  /** `~` is CRLF. */
  send(id: number, text: string): string[] {
    return this.step({ type: 'client-data', client: client(id), bytes: bytes(text) })
  }

  /** Of a backend. */
  reply(id: number, text: string): string[] {
    return this.step({ type: 'upstream-data', upstream: upstream(id), bytes: bytes(text) })
  }

  head(id: number, status: number, fields: readonly string[] = [], isLast = false): string[] {
    return this.step({
      type: 'upstream-head',
      upstream: upstream(id),
      status,
      fields,
      isLast,
    })
  }

  client(id: number, what: 'ended' | 'broken' | 'blocked' | 'writable' | 'finished'): string[] {
    return this.step({ type: `client-${what}`, client: client(id) })
  }

  upstream(
    id: number,
    what: 'connected' | 'ended' | 'broken' | 'blocked' | 'writable' | 'finished',
  ): string[] {
    return this.step({ type: `upstream-${what}`, upstream: upstream(id) })
  }

  refuse(id: number, blame: 'backend' | 'host' = 'backend'): string[] {
    const event = { type: 'upstream-failed', upstream: upstream(id), blame } as const
    return this.step({ ...event, reason: 'connection refused' })
  }

  /** Until then, every timer in its turn. */
  wait(ms: number): string[] {
    const until = this.now + ms
    const lines: string[] = []
    for (let at = this.ingress.deadline(); at !== undefined && at <= until; ) {
      this.now = Math.max(this.now, at)
      lines.push(...this.step({ type: 'tick' }))
      at = this.ingress.deadline()
      ok(at === undefined || at > this.now, 'a tick leaves nothing that is due')
    }
    this.now = until
    return lines
  }
}

/** With a client 1, and a connection 1 to A that is idle. */
export function warm(options: Options = {}): World {
  const world = new World(options)
  world.accept(1)
  world.send(1, GET)
  world.upstream(1, 'connected')
  world.reply(1, OK)
  return world
}

export const GET = 'GET / HTTP/1.1~Host: a~~'
export const OK = 'HTTP/1.1 200 OK~Content-Length: 2~~ok'

/** Of any client. */
export const PEERS: Peers = {
  source: packIpv4(0xc0000201, 40_000),
  destination: packIpv4(0xc0000209, 80),
}

export const client = (id: number): ClientId => id as ClientId
export const upstream = (id: number): UpstreamId => id as UpstreamId
export const backend = (id: string): Backend => ({
  id,
  host: '127.0.0.1',
  port: 20_000 + id.charCodeAt(0),
})

export const bytes = (text: string): Uint8Array =>
  new Uint8Array(Buffer.from(text.replaceAll('~', '\r\n'), 'latin1'))

export function address(text: string): PackedAddress {
  return packAddress(parseSocketAddress(text)!)!
}

/** Of refusals of our own only the head is told: what else they say is the business of `forward`. */
export const linesOf = (commands: readonly IngressCommand[]): string[] => {
  const lines = commands.map(lineOf)
  const isOwn = commands.some((command) => OWN.test(JSON.stringify(command)))
  return isOwn ? lines.map((line) => line.replace(/\/\d+( retries \d+)?\)$/, '/own$1)')) : lines
}

const OWN = /application\/problem|text\/html|"head":"(?:\{\\"status|<!doctype)/

function lineOf(command: IngressCommand): string {
  switch (command.type) {
    case 'write-client':
      return `${command.client} < ${textOf(command)}`
    case 'write-upstream':
      return `u${command.upstream} < ${textOf(command)}`
    case 'respond':
      return joined(command.client, '<', command.status, fieldsOf(command.fields), last(command))
    case 'request':
      return joined(`u${command.upstream}`, '<', fieldsOf(command.fields), last(command))
    case 'write-client-trailers':
      return joined(command.client, '< trailers', command.fields.join(' '))
    case 'write-upstream-trailers':
      return joined(`u${command.upstream}`, '< trailers', command.fields.join(' '))
    case 'close-client':
      return `${command.reset ? 'reset' : 'close'} ${command.client}`
    case 'close-upstream':
      return `${command.reset ? 'reset' : 'close'} u${command.upstream}`
    case 'speak-http2':
      return `http2 ${command.client} ${tilde(latin1(command.bytes))}`
    case 'connect':
      return `connect u${command.upstream} ${command.backend} ${command.protocol}`
    case 'exchanged':
      return recordOf(command.exchange)
    case 'backends-applied':
      return `applied ${command.listener} ${command.version}`
    case 'backend-drained':
      return `drained ${command.listener} ${command.backend}`
    case 'backend-failed':
      return `failed ${command.listener} ${command.backend}: ${command.reason}`
    default:
      if ('upstream' in command)
        return `${command.type.replace('-upstream', '')} u${command.upstream}`
      if ('client' in command) return `${command.type.replace('-client', '')} ${command.client}`
      return `${command.type} ${command.listener}`
  }
}

const recordOf = (exchange: Extract<IngressCommand, { type: 'exchanged' }>['exchange']): string => {
  const { client: id, method, status, outcome, backend: on, bytesIn, bytesOut, retries } = exchange
  return joined(
    `(${id}`,
    method,
    outcome,
    status,
    on,
    `${bytesIn}/${bytesOut}${retries > 0 ? ` retries ${retries}` : ''})`,
  )
}

const textOf = ({ head, bytes: body }: { head: string; bytes: Uint8Array | undefined }): string => {
  const text = head + (body === undefined ? '' : latin1(body))
  if (/^(?:\{"status|<!doctype)/.test(text)) return 'own'
  const end = text.indexOf('\r\n\r\n')
  if (end < 0 || !/^(?:[A-Z]+ \S+ HTTP|HTTP)\/1\.1/.test(text)) return tilde(text)
  const isOwn = /application\/problem|text\/html/.test(text)
  const [start, ...lines] = text.slice(0, end).split('\r\n')
  const told = lines.filter((line) => isTold(line) && !(isOwn && /^content-length/.test(line)))
  const rest = isOwn ? 'own' : tilde(text.slice(end + 4))
  const line = joined(start!.replace(' HTTP/1.1', '').replace('HTTP/1.1 ', ''), ...told)
  return rest === '' ? line : `${line} | ${rest}`
}

const isTold = (line: string): boolean =>
  /^(?:connection|content-length|transfer-encoding|upgrade|expect|retry-after|location|x-own.*):/i.test(
    line,
  )

const fieldsOf = (fields: readonly string[]): string => {
  const told: string[] = []
  if (fields.some((field) => OWN.test(field))) return 'own'
  for (let at = 0; at < fields.length; at += 2) {
    const line = `${fields[at]}: ${fields[at + 1]}`
    if (isTold(line) || /^:(?:method|path|protocol)/.test(line)) told.push(line)
  }
  return told.join(' ')
}

const last = ({ isLast }: { isLast: boolean }): string => (isLast ? 'last' : '')
const joined = (...parts: (string | number | undefined)[]): string =>
  parts.filter((part) => part !== '' && part !== undefined).join(' ')
const latin1 = (some: Uint8Array): string => Buffer.from(some).toString('latin1')
const tilde = (text: string): string => text.replaceAll('\r\n', '~')
