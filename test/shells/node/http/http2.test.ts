import { createHash } from 'node:crypto'
import { once } from 'node:events'
import http2 from 'node:http2'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { HOST, startUpstream, until } from '../listener/fixture.ts'
import { CA, shown } from '../listener/tls.ts'
import { FrameClient, TYPE } from './frames.ts'
import { flood, type Served, serve, startHttp, type Wish } from './served.ts'

const TLS: Wish = { tls: 'terminate', options: { certificates: shown('a.example') } }

/** Plain: from the first byte on (RFC 9113, 3.3). */
async function session(
  { port }: Pick<Served, 'port'>,
  options: http2.SecureClientSessionOptions & { readonly scheme?: 'http' | 'https' } = {},
): Promise<http2.ClientHttp2Session> {
  const { scheme = 'http', ...rest } = options
  const secure = scheme === 'https' ? { ca: CA, servername: 'a.example' } : {}
  const session = http2.connect(`${scheme}://${HOST}:${port}`, { ...secure, ...rest })
  session.on('error', () => {})
  onTestFinished(() => session.destroy())
  await once(session, 'connect')
  return session
}

interface Got {
  readonly head: http2.IncomingHttpHeaders
  readonly trailers: http2.IncomingHttpHeaders
  readonly bytes: Buffer
  readonly body: string
  readonly isComplete: boolean
  readonly code: number
}

async function got(stream: http2.ClientHttp2Stream): Promise<Got> {
  const chunks: Buffer[] = []
  let [head, trailers]: http2.IncomingHttpHeaders[] = [{}, {}]
  let isComplete = false
  stream.on('response', (headers) => {
    head = headers
  })
  stream.on('trailers', (fields) => {
    trailers = fields
  })
  stream.on('data', (chunk) => chunks.push(chunk))
  stream.on('end', () => {
    isComplete = true
  })
  stream.on('error', () => {})
  await new Promise((resolve) => stream.on('close', resolve))
  const code = stream.rstCode ?? 0
  const bytes = Buffer.concat(chunks)
  return { head: head!, trailers: trailers!, bytes, body: `${bytes}`, isComplete, code }
}

const get = (session: http2.ClientHttp2Session, path = '/', fields = {}): Promise<Got> =>
  got(session.request({ ':path': path, ...fields }))

describe('HTTP/2 with clients', () => {
  test.each(['http', 'https'] as const)('over %s: heads and bodies both ways', async (scheme) => {
    const web = await startHttp((request, response) => {
      const { method, url, headers } = request
      if (method === 'POST') return void request.pipe(response)
      response.end(JSON.stringify({ url, headers }))
    })
    const served = await serve([web.port], scheme === 'https' ? TLS : {})
    const client = await session(served, { scheme })
    const answer = await get(client, '/some?query', { 'x-some': ['1', '2'] })
    expect(answer.head[':status']).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({
      url: '/some?query',
      headers: { 'x-forwarded-for': HOST, 'x-forwarded-proto': scheme, 'x-some': '1, 2' },
    })
    const stream = client.request({ ':method': 'POST' })
    const echoed = got(stream)
    const body = 'abcdefghijklmnopqrstuvw'.repeat(20_000)
    stream.end(body)
    expect((await echoed).body).toBe(body)
    await until(() => served.exchanges.length === 2)
    expect(served.exchanges[1]).toMatchObject({ protocol: '2', outcome: 'done', status: 200 })
  })

  test('many streams at once, on few connections to the backend', async () => {
    const web = await startHttp((request, response) => response.end(`<${request.url}>`))
    const served = await serve([web.port])
    const client = await session(served)
    const paths = Array.from({ length: 300 }, (_, index) => `/${index}`)
    const answers = await Promise.all(paths.map((path) => get(client, path)))
    expect(answers.map(({ body }) => body)).toEqual(paths.map((path) => `<${path}>`))
    expect(served.node.listeners.httpCounters().clients).toMatchObject({ live: 1, accepted: 1 })
  })

  test('trailers and 1xx reach the client', async () => {
    const web = await startHttp((_request, response) => {
      response.writeEarlyHints({ link: '</style.css>; rel=preload' })
      response.writeHead(200, { trailer: 'x-sum' })
      response.write('body')
      response.addTrailers({ 'x-sum': '42' })
      response.end()
    })
    const client = await session(await serve([web.port]))
    const stream = client.request({ te: 'trailers' })
    const hints: unknown[] = []
    stream.on('headers', (headers) => hints.push(headers[':status'], headers.link))
    const { body, trailers, isComplete } = await got(stream)
    expect({ body, isComplete, sum: trailers['x-sum'] }).toEqual({
      body: 'body',
      isComplete: true,
      sum: '42',
    })
    expect(hints).toEqual([103, '</style.css>; rel=preload'])
  })

  test('answers without a body', async () => {
    const web = await startHttp((request, response) => {
      response.statusCode = Number(request.url?.slice(1))
      response.end()
    })
    const client = await session(await serve([web.port]))
    for (const status of [204, 304, 200]) {
      expect((await get(client, `/${status}`)).head[':status']).toBe(status)
    }
    const head = await got(client.request({ ':path': '/200', ':method': 'HEAD' }))
    expect(head).toMatchObject({ body: '', isComplete: true, code: 0 })
  })

  test('an answer before the request has ended: complete, and the rest is refused', async () => {
    const served = await serve([])
    const client = await session(served)
    const stream = client.request({ ':method': 'POST' })
    stream.write(Buffer.alloc(10_000))
    const answer = await got(stream)
    expect(answer).toMatchObject({ isComplete: true, code: http2.constants.NGHTTP2_NO_ERROR })
    expect(answer.head[':status']).toBe(503)
    expect((await get(client)).head[':status']).toBe(503) // the connection goes on
  })

  test('frame by frame: the answer ends before the rest of the request is refused', async () => {
    const { port } = await serve([])
    const client = new FrameClient(port)
    client.request(1, 'POST', false)
    await until(() => client.of(1).includes('rstStream'))
    expect(client.of(1)).toEqual(['headers', 'data', 'data, end', 'rstStream'])
    client.request(3, 'GET', true)
    await until(() => client.of(3).includes('data, end'))
    expect(client.of(3)).toEqual(['headers', 'data', 'data, end'])
  })

  test('a backend that breaks off is a reset, and no complete answer', async () => {
    const web = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
        setTimeout(() => socket.resetAndDestroy(), 20)
      })
    })
    const client = await session(await serve([web.port]))
    const answer = await get(client)
    expect(answer).toMatchObject({
      isComplete: false,
      code: http2.constants.NGHTTP2_INTERNAL_ERROR,
    })
  })

  test('a client that resets its stream takes the request along', async () => {
    const web = await startUpstream((socket) => socket.on('error', () => {}))
    const served = await serve([web.port])
    const client = await session(served)
    const stream = client.request({})
    stream.on('error', () => {})
    await until(() => web.sockets.size === 1)
    stream.close(http2.constants.NGHTTP2_CANCEL)
    await until(() => served.exchanges.length === 1 && web.sockets.size === 0)
    expect(served.exchanges[0]!.outcome).toBe('client-gone')
  })

  test('and so does one whose connection breaks', async () => {
    const web = await startUpstream((socket) => socket.on('error', () => {}))
    const served = await serve([web.port], TLS)
    const client = await session(served, { scheme: 'https' })
    for (let count = 0; count < 5; count++) client.request({}).on('error', () => {})
    await until(() => web.sockets.size === 5)
    client.socket.destroy()
    await until(() => served.exchanges.length === 5 && web.sockets.size === 0)
  })

  test('a field that Node would not send breaks one stream, and nothing else', async () => {
    const web = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.on('data', (bytes) => {
        const field = bytes.toString().startsWith('GET /bad') ? 'x-bad: \x01\x7f' : 'x-good: 1'
        socket.write(`HTTP/1.1 200 OK\r\n${field}\r\nContent-Length: 2\r\n\r\nok`)
      })
    })
    const client = await session(await serve([web.port]))
    await get(client, '/bad')
    expect((await get(client)).body).toBe('ok')
  })
})

describe('WebSockets over HTTP/2 (RFC 8441)', () => {
  test('bytes go both ways, and each end is told', async () => {
    const web = await startHttp((_request, response) => response.end())
    const sockets = new WebSocketServer({ server: web.server })
    const paths: unknown[] = []
    sockets.on('connection', (socket, request) => {
      paths.push(request.url)
      socket.on('message', (data) => socket.send(`got ${data}`))
    })
    const served = await serve([web.port], TLS)
    const client = await session(served, { scheme: 'https' })
    await until(() => client.remoteSettings.enableConnectProtocol === true)
    const stream = client.request({
      ':method': 'CONNECT',
      ':protocol': 'websocket',
      ':path': '/chat',
      'sec-websocket-version': '13',
    })
    const answer = got(stream)
    // A text frame of one byte, masked with zeros, and its answer; then a close frame either way.
    stream.write(Buffer.from([0x81, 0x81, 0, 0, 0, 0, 0x78]))
    const [first] = (await once(stream, 'data')) as [Buffer]
    expect(first.subarray(2).toString()).toBe('got x')
    stream.end(Buffer.from([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]))
    const { head, bytes, isComplete } = await answer
    expect([head[':status'], isComplete]).toEqual([200, true])
    expect([...bytes.subarray(-2)]).toEqual([0x03, 0xe8])
    expect(paths).toEqual(['/chat'])
    await until(() => served.exchanges.length === 1)
    expect(served.exchanges[0]!.status).toBe(200)
  })
})

test('a WebSocket over HTTP/2 that the backend ends is over in order', async () => {
  const web = await startUpstream((socket) => {
    socket.on('error', () => {})
    socket.once('data', (head) => {
      const [, key] = /sec-websocket-key: (.*)\r\n/i.exec(`${head}`)!
      const accept = createHash('sha1').update(`${key}${WEBSOCKET_GUID}`).digest('base64')
      socket.write(
        `HTTP/1.1 101 Now\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
      )
      socket.once('data', () => socket.end('bye'))
    })
  })
  const served = await serve([web.port])
  const client = await session(served)
  await until(() => client.remoteSettings.enableConnectProtocol === true)
  const stream = client.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/' })
  const answer = got(stream)
  stream.on('response', () => stream.write('x'))
  stream.on('end', () => stream.end())
  expect(await answer).toMatchObject({ body: 'bye', isComplete: true, code: 0 })
  await until(() => served.exchanges.length === 1)
  expect(served.exchanges[0]!.outcome).toBe('done')
})

const WEBSOCKET_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11' // RFC 6455, 1.3

describe('the life of a connection', () => {
  test('when its port closes it takes nothing new, and ends with its streams', async () => {
    const waiting: (() => void)[] = []
    const web = await startHttp((_request, response) => waiting.push(() => response.end('late')))
    const served = await serve([web.port], TLS)
    const client = await session(served, { scheme: 'https' })
    const idle = await session(served, { scheme: 'https' })
    const last = get(client)
    await until(() => waiting.length === 1)
    const goaway = once(client, 'goaway')
    const closed = [once(client, 'close'), once(idle, 'close')] as const
    await served.node.unbind(served.socket)
    await Promise.all([goaway, closed[1]])
    for (const answer of waiting) answer()
    expect((await last).body).toBe('late')
    await closed[0]
  })

  test('one without a stream is closed after a while', async () => {
    const web = await startHttp((_request, response) => response.end('ok'))
    const served = await serve([web.port], { limits: { idleTimeoutMs: 50 } })
    const client = await session(served)
    expect((await get(client)).body).toBe('ok')
    await once(client, 'close')
    await until(() => served.node.listeners.httpCounters().clients.live === 0)
  })

  test('one that floods with resets is ended, and counted', async () => {
    const web = await startUpstream((socket) => socket.on('error', () => {}))
    const served = await serve([web.port])
    const client = await session(served)
    const closed = new Promise((resolve) => client.on('close', resolve))
    const flood = setInterval(() => {
      for (let count = 0; count < 100 && !client.destroyed; count++) {
        const stream = client.request({})
        stream.on('error', () => {})
        stream.close(http2.constants.NGHTTP2_CANCEL)
      }
    }, 1)
    await closed
    clearInterval(flood)
    const misbehaved = (): unknown =>
      served.node.listeners.httpCounters().clients.refused['http2-error']
    await until(() => misbehaved() === 1)
    expect((await get(await session(await serve([])))).head[':status']).toBe(503)
  })

  test('what is no HTTP/2 after its preface is ended', async () => {
    const served = await serve([])
    const socket = connect(served.port, HOST)
    onTestFinished(() => void socket.destroy())
    socket.on('error', () => {})
    socket.resume()
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    socket.write('nothing that is a frame of settings at all, whoever looks at it')
    await once(socket, 'close')
    await until(() => served.node.listeners.httpCounters().clients.live === 0)
  })

  test('its preface may come byte by byte', async () => {
    const served = await serve([])
    const socket = connect({ port: served.port, host: HOST, noDelay: true })
    onTestFinished(() => void socket.destroy())
    const chunks: Buffer[] = []
    socket.on('data', (chunk) => chunks.push(chunk))
    const settings = Uint8Array.of(0, 0, 0, 4, 0, 0, 0, 0, 0)
    for (const byte of [...Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), ...settings]) {
      socket.write(Uint8Array.of(byte))
      await new Promise((resolve) => setImmediate(resolve))
    }
    // The last frame is the acknowledgement of ours.
    const isDone = (): boolean => Buffer.concat(chunks).includes(Buffer.of(0, 0, 0, 4, 1))
    await until(isDone)
  })

  test('who reads nothing is gone when the node stops', async () => {
    const web = await startHttp((_request, response) => void flood(response))
    const served = await serve([web.port])
    const most = Buffer.from([0, 4, 0x7f, 0xff, 0xff, 0xff]) // SETTINGS_INITIAL_WINDOW_SIZE
    const client = new FrameClient(served.port, most)
    client.send(TYPE.window, 0, 0, Buffer.from([0x7f, 0xfe, 0, 0]))
    client.request(1, 'GET', true)
    await until(() => client.of(1).length > 10)
    client.socket.pause()
    await until(() => [...web.sockets].some((socket) => socket.writableLength > 0))
    await served.node.stop()
    client.socket.resume()
    await until(() => client.isClosed)
  })

  test('all of them are gone when the node stops', async () => {
    const web = await startUpstream((socket) => socket.on('error', () => {}))
    const served = await serve([web.port], TLS)
    const client = await session(served, { scheme: 'https' })
    client.request({}).on('error', () => {})
    await until(() => web.sockets.size === 1)
    const closed = once(client, 'close')
    await served.node.stop()
    await closed
    await until(() => web.sockets.size === 0)
  })
})
