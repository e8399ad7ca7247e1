/** The machine alone, warm, in a process of its own (with --expose-gc); prints a line of JSON. */

import type { IngressCommand } from '../../../core/http/commands.ts'
import { defaultHttpListenerConfig, defaultIngressConfig } from '../../../core/http/config.ts'
import type { ClientId, UpstreamId } from '../../../core/http/events.ts'
import { Passage } from '../../../core/http/forward/passage.ts'
import { requestHead } from '../../../core/http/forward/request.ts'
import { responseHead } from '../../../core/http/forward/response.ts'
import { RequestReader } from '../../../core/http/head/request.ts'
import { ResponseReader } from '../../../core/http/head/response.ts'
import { HttpIngress } from '../../../core/http/ingress/ingress.ts'
import { RouteTable } from '../../../core/http/routes/table.ts'
import { packIpv4 } from '../../../core/net/packed-address.ts'

export interface MachineCosts {
  /** Nanoseconds: an exchange of two `step`s; what is read, written and found in it. */
  readonly exchange: number
  readonly readRequest: number
  readonly readOtherRequest: number
  readonly writeRequest: number
  readonly readResponse: number
  readonly writeResponse: number
  /** Of 1, 100 and 10,000 routes. */
  readonly find: readonly number[]
  /** Bytes made in an exchange. */
  readonly bytes: number
}

const { latin1Slice } = Buffer.prototype as unknown as {
  latin1Slice: (this: Uint8Array, from: number, to: number) => string
}
const latin1 = (bytes: Uint8Array, from: number, to: number) => latin1Slice.call(bytes, from, to)

const fieldsOf = (session: string) =>
  [
    'Host: www.example.com',
    'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
    'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'Accept-Language: en-GB,en;q=0.5',
    'Accept-Encoding: gzip, deflate, br',
    `Cookie: session=${session}`,
    '\r\n',
  ].join('\r\n')
const REQUEST = Buffer.from(`GET /some/path?query=1 HTTP/1.1\r\n${fieldsOf('0123456789')}`)
const OTHER = Buffer.from(`GET /some/path?query=1 HTTP/1.1\r\n${fieldsOf('9876543210')}`)
const RESPONSE = Buffer.from(
  [
    'HTTP/1.1 200 OK',
    'Server: nginx',
    'Date: Sat, 01 Jan 2000 00:00:00 GMT',
    'Content-Type: text/plain',
    'Content-Length: 6',
    'Connection: keep-alive',
    '\r\nhello\n',
  ].join('\r\n'),
)

function machine(): (client: number) => void {
  const ingress = new HttpIngress({ seed: 1, latin1 })
  const peers = { source: packIpv4(0x7f000001, 50_000), destination: packIpv4(0x7f000001, 80) }
  const config = defaultHttpListenerConfig
  const backends = [{ id: 'a', host: '127.0.0.1', port: 8_080 }]
  let now = 0
  let upstream = 0 as UpstreamId
  const step = (event: Parameters<HttpIngress['step']>[0]): void => {
    const out: IngressCommand[] = []
    now += 0.01
    ingress.step(event, now, out)
    ingress.deadline()
    for (const command of out) if ('upstream' in command) upstream = command.upstream
  }
  step({ type: 'configure-listener', listener: 'web', config })
  step({ type: 'apply-backends', listener: 'web', version: 1, backends, whenEmpty: 'refuse' })
  const routes = [{ path: '/', listener: 'web' }]
  step({ type: 'apply-routes', port: 'public', number: 80, routes })
  for (let client = 1; client <= CLIENTS; client++) {
    step({ type: 'accepted', client: client as ClientId, port: 'public', peers })
  }
  const exchange = (client: number): void => {
    step({ type: 'client-data', client: client as ClientId, bytes: REQUEST })
    step({ type: 'upstream-data', upstream, bytes: RESPONSE })
  }
  step({ type: 'client-data', client: 1 as ClientId, bytes: REQUEST })
  step({ type: 'upstream-connected', upstream })
  step({ type: 'upstream-data', upstream, bytes: RESPONSE })
  return exchange
}

/** The median of several runs: nanoseconds of CPU for each. */
function nanoseconds(work: (n: number) => void): number {
  for (let n = 0; n < 4 * TIMES; n++) work(n)
  const runs = Array.from({ length: 9 }, () => {
    const before = process.cpuUsage()
    for (let n = 0; n < TIMES; n++) work(n)
    const { user, system } = process.cpuUsage(before)
    return ((user + system) * 1_000) / TIMES
  })
  return runs.sort((a, b) => a - b)[4]!
}

/** The median of several runs, each too short for anything to be collected meanwhile. */
function bytesOf(work: (n: number) => void): number {
  const times = 200
  const runs = Array.from({ length: 15 }, () => {
    globalThis.gc?.()
    const before = process.memoryUsage().heapUsed
    for (let n = 0; n < times; n++) work(n)
    return (process.memoryUsage().heapUsed - before) / times
  })
  return runs.sort((a, b) => a - b)[7]!
}

function costs(): MachineCosts {
  const exchange = machine()
  const each = (n: number): void => exchange(1 + (n % CLIENTS))
  const exchangeNs = nanoseconds(each)
  const limits = { ...defaultIngressConfig, ...defaultIngressConfig.limits }
  const requests = new RequestReader(latin1)
  const responses = new ResponseReader(latin1)
  const passage = new Passage()
  passage.pseudonym = 'weir'
  passage.peerAddress = '127.0.0.1'
  passage.clientAddress = '127.0.0.1'
  passage.path = '/some/path'
  passage.requestId = 'abcdefgh-1'
  return {
    exchange: exchangeNs,
    bytes: bytesOf(each),
    readRequest: nanoseconds(() => requests.read(REQUEST, 0, limits)),
    readOtherRequest: nanoseconds((n) => requests.read(n % 2 ? REQUEST : OTHER, 0, limits)),
    writeRequest: nanoseconds(() => {
      written += requestHead(requests.head, passage).length
    }),
    readResponse: nanoseconds(() => responses.read(RESPONSE, 0, limits, 'GET')),
    writeResponse: nanoseconds(() => {
      written += responseHead(responses.head, passage).length
    }),
    find: [1, 100, 10_000].map((count) => {
      const routes = Array.from({ length: count }, (_, n) =>
        n % 2 === 0
          ? { listener: 'web', path: '/', host: `site-${n}.example` }
          : { listener: 'web', path: `/part-${n}`, host: 'last.example' },
      )
      routes.push({ listener: 'web', path: '/some/path', host: 'last.example' })
      const table = new RouteTable(routes)
      return nanoseconds(() => {
        written += table.find('last.example', '/some/path/below') === undefined ? 0 : 1
      })
    }),
  }
}

/** So that nothing is left out as unused. */
let written = 0
const CLIENTS = 32
const TIMES = 50_000

console.log(JSON.stringify(costs()))
if (written === 0) throw new Error('nothing was written')
