/** Requests as simulated clients send them, drawn; and what is known of each from then on. */
import type { StreamHead } from '../../../core/http/events.ts'
import type { Prng } from '../../prng.ts'
import type { HttpClientOptions } from '../swarm.ts'
import { contentOf } from './content.ts'
import { drawFlaw, type Flaw, spoil } from './flaws.ts'
import type { Field } from './plain-reader.ts'

/** What a client means to send. */
export interface RequestPlan {
  readonly number: number
  readonly method: string
  readonly host: string
  /** With its query. */
  readonly target: string
  readonly minor: number
  /** The whole head as bytes; empty for HTTP/2. */
  readonly head: string
  readonly fieldCount: number
  readonly content: string
  readonly framing: 'none' | 'length' | 'chunked'
  /** The body with its framing. */
  readonly body: string
  readonly trailers: readonly Field[]
  readonly expects: boolean
  readonly upgrade: '' | 'websocket'
  /** It says that it is its last one. */
  readonly closes: boolean
  /** What is wrong with it, if anything. */
  readonly flaw: Flaw | undefined
  /** Of HTTP/2. */
  readonly streamHead: StreamHead | undefined
}

export function drawRequest(
  number: number,
  options: HttpClientOptions,
  isStream: boolean,
  draw: Prng,
): RequestPlan {
  const percent = (of: number): boolean => draw.below(100) < of
  const flaw = percent(options.flawedPercent) ? drawFlaw(isStream, draw) : undefined
  const minor = !isStream && flaw === undefined && percent(options.oldPercent) ? 0 : 1
  const wantsUpgrade = flaw === undefined && minor === 1 && percent(options.upgradePercent)
  const method = wantsUpgrade ? 'GET' : percent(options.headPercent) ? 'HEAD' : draw.pick(METHODS)
  const mayCarry = flaw === undefined && !wantsUpgrade && method !== 'HEAD'
  const carries = flaw?.in === 'body' || (mayCarry && percent(options.bodyPercent))
  const content = carries ? contentOf(number, drawSize(options.bodyBytesMax, draw)) : ''
  const framing: RequestPlan['framing'] = !carries
    ? 'none'
    : (minor === 1 && draw.below(2) === 0) || flaw?.in === 'body'
      ? 'chunked'
      : 'length'
  const trailers: readonly Field[] =
    framing === 'chunked' && percent(30) ? [['X-Sum', String(number)]] : []
  const expects = carries && minor === 1 && !isStream && percent(options.expectPercent)
  const closes = !isStream && !wantsUpgrade && percent(options.closePercent)
  const host = draw.pick(HOSTS)
  const target = `${draw.pick(PATHS)}${draw.below(2) === 0 ? '' : `?n=${number}`}`
  const plan = {
    number,
    method,
    host,
    target,
    minor,
    content,
    framing,
    trailers,
    expects,
    upgrade: wantsUpgrade ? ('websocket' as const) : ('' as const),
    closes,
    flaw,
  }
  const fields = drawFields(plan, draw)
  if (isStream) {
    const streamHead = spoil.stream(streamHeadOf(plan, fields), flaw, number)
    const fieldCount = streamHead.fields.length / 2
    return { ...plan, head: '', fieldCount, body: content, streamHead }
  }
  const line = `${method} ${target} HTTP/1.${minor}`
  const clean = { line, fields: [['Host', spell(host, draw)] as Field, ...fields] }
  const head = spoil.head(clean, flaw, number)
  const framed = framing === 'chunked' ? chunked(content, trailers, draw) : content
  return {
    ...plan,
    head,
    fieldCount: clean.fields.length,
    body: spoil.body(framed, flaw, number),
    streamHead: undefined,
  }
}

type Bare = Pick<RequestPlan, 'number' | 'method' | 'host' | 'target' | 'content' | 'framing'> &
  Pick<RequestPlan, 'expects' | 'upgrade' | 'closes' | 'minor' | 'trailers'>

/** Everything but Host, in the order it is sent. */
function drawFields(plan: Bare, draw: Prng): Field[] {
  const { number, content, framing, expects, upgrade, closes, minor, trailers } = plan
  const fields: Field[] = [
    ['X-Number', String(number)],
    ['x-twice', 'one'],
    ['X-Twice', `two ${number}`],
  ]
  if (framing === 'length') fields.push(['Content-Length', String(content.length)])
  if (framing === 'chunked') fields.push(['transfer-encoding', draw.pick(['chunked', 'Chunked'])])
  if (trailers.length > 0 && draw.below(2) === 0) fields.push(['Trailer', 'X-Sum'])
  if (expects) fields.push(['Expect', '100-continue'])
  if (upgrade !== '') {
    fields.push(['Connection', draw.pick(['Upgrade', 'keep-alive, Upgrade'])])
    fields.push(['Upgrade', upgrade], ['Sec-WebSocket-Version', '13'])
    fields.push(['Sec-WebSocket-Key', 'dGhlIHNhbXBsZSBub25jZQ=='])
  } else if (closes) fields.push(['Connection', draw.pick(['close', 'Close'])])
  else if (minor === 0 && draw.below(2) === 0) fields.push(['Connection', 'keep-alive'])
  else if (draw.below(6) === 0) {
    // What is named here is not for the next one; what may not be deleted is named as well.
    fields.push(['Connection', 'x-drop, host, x-forwarded-for, content-length'], ['X-Drop', 'me'])
  }
  if (draw.below(6) === 0) fields.push(['X-Forwarded-For', '10.1.2.3'])
  if (draw.below(8) === 0) fields.push(['X-Request-Id', 'forged'])
  if (draw.below(8) === 0) fields.push(['Via', '1.0 fred'])
  if (draw.below(8) === 0) fields.push(['Keep-Alive', 'timeout=5'])
  if (draw.below(4) === 0) fields.push(['Accept', draw.pick(['text/html', '*/*'])])
  return fields
}

function streamHeadOf({ method, host, target, upgrade }: Bare, fields: Field[]): StreamHead {
  const pairs = fields
    .map(([name, value]): Field => [name.toLowerCase(), value])
    .filter(([name]) => !ONLY_CONNECTIONS.has(name) && !ONLY_FIRST.has(name))
  const head = { method, scheme: 'http', authority: host, path: target, fields: pairs.flat() }
  return upgrade === '' ? head : { ...head, method: 'CONNECT', protocol: upgrade }
}

function chunked(content: string, trailers: readonly Field[], draw: Prng): string {
  let text = ''
  for (let at = 0; at < content.length; ) {
    const size = Math.min(content.length - at, draw.pick([1, 7, 100, 5_000]))
    const extension = draw.below(8) === 0 ? ';name="va;lue"' : ''
    const digits = draw.below(2) === 0 ? size.toString(16) : size.toString(16).toUpperCase()
    text += `${draw.below(8) === 0 ? '00' : ''}${digits}${extension}\r\n`
    text += `${content.slice(at, at + size)}\r\n`
    at += size
  }
  return `${text}0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

function spell(host: string, draw: Prng): string {
  const name = draw.below(4) === 0 ? host.toUpperCase() : host
  return draw.below(4) === 0 ? `${name}:8080` : name
}

const drawSize = (bytesMax: number, draw: Prng): number =>
  draw.pick([0, 1, draw.below(bytesMax + 1), draw.below(bytesMax + 1), bytesMax])

/** RFC 9110, 9.2.2. */
export const IDEMPOTENT: ReadonlySet<string> = new Set([
  'GET',
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PUT',
  'DELETE',
])

export const HOSTS = ['a.example', 'b.example', 'x.b.example', 'nowhere.test']
const PATHS = ['/', '/api', '/api/v1/users', '/apiary', '/other/', '/.well-known/acme-challenge/t1']
const METHODS = ['GET', 'GET', 'GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS']

/** In HTTP/1.1 only: one is named in Connection, the other has no use. */
const ONLY_FIRST: ReadonlySet<string> = new Set(['x-drop', 'sec-websocket-key'])

/** RFC 9113, 8.2.2. */
export const ONLY_CONNECTIONS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])
