import { readFileSync } from 'node:fs'
import http2 from 'node:http2'
import * as grpc from '@grpc/grpc-js'
import { describe, expect, onTestFinished, test } from 'vitest'
import {
  backend,
  Client,
  HOST,
  refusingPort,
  startBlackHole,
  startUpstream,
  until,
} from '../listener/fixture.ts'
import { applyBackends, ask, serve, startH2c, WEB } from './served.ts'

const H2C = { http: { backend: 'h2c' } } as const

const CODES = http2.constants

/** Connections on their way to this port. */
const attemptsAt = (port: number): number =>
  readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .filter((line) => line.includes(`:${port.toString(16).toUpperCase().padStart(4, '0')} 02 `))
    .length

describe('backends of HTTP/2 in the clear', () => {
  test('requests of HTTP/1.1 become streams of one connection', async () => {
    const web = await startH2c((stream, headers) => {
      stream.respond({ ':status': 200, 'x-path': headers[':path'] })
      stream.pipe(stream)
    })
    const { port, exchanges } = await serve([web.port], H2C)
    for (const body of ['', 'x', 'abcdefghij'.repeat(50_000)]) {
      const answer = await ask(port, '/some?query', { method: 'POST', body })
      expect([answer.status, answer.headers['x-path']]).toEqual([200, '/some?query'])
      expect(answer.body).toBe(body)
    }
    expect((await ask(port, '/', { method: 'HEAD' })).status).toBe(200)
    expect(web.connections).toBe(1)
    await until(() => exchanges.length === 4)
    expect(exchanges.map(({ outcome }) => outcome)).toEqual(['done', 'done', 'done', 'done'])
  })

  test('trailers go both ways', async () => {
    const web = await startH2c((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      let trailers: http2.IncomingHttpHeaders = {}
      stream.on('trailers', (fields) => {
        trailers = fields
      })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-seen': `${trailers['x-sum']}` }))
      stream.on('end', () => stream.end('body'))
      stream.resume()
    })
    const { port } = await serve([web.port], H2C)
    const session = http2.connect(`http://${HOST}:${port}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({ ':method': 'POST', te: 'trailers' }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '42' }))
    stream.end('request')
    stream.resume()
    const trailers = await new Promise<http2.IncomingHttpHeaders>((resolve) =>
      stream.on('trailers', resolve),
    )
    expect(trailers['x-seen']).toBe('42')
  })

  test('more streams than one connection takes: another one is made', async () => {
    // The first is answered at once; of the others each waits for all.
    const waiting: http2.ServerHttp2Stream[] = []
    const answer = (stream: http2.ServerHttp2Stream): void => {
      stream.respond({ ':status': 200 })
      stream.end('ok')
    }
    const web = await startH2c(
      (stream, headers) => {
        if (headers[':path'] === '/first') return answer(stream)
        waiting.push(stream)
        if (waiting.length === 35) waiting.forEach(answer)
      },
      { settings: { maxConcurrentStreams: 10 } },
    )
    const { port } = await serve([web.port], H2C)
    expect((await ask(port, '/first')).body).toBe('ok') // by now it has said how many it takes
    const answers = await Promise.all(Array.from({ length: 35 }, () => ask(port)))
    expect(new Set(answers.map(({ body }) => body))).toEqual(new Set(['ok']))
    expect(web.connections).toBe(4)
  })

  test('a stream that is refused is asked for again elsewhere, whatever its method', async () => {
    const refusing = await startH2c((stream) => stream.close(CODES.NGHTTP2_REFUSED_STREAM))
    const web = await startH2c((stream) => {
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
    const { port } = await serve([refusing.port, web.port], H2C)
    for (let count = 0; count < 4; count++) {
      expect((await ask(port, '/', { method: 'POST' })).body).toBe('ok')
    }
  })

  test('a backend that goes away in order costs no request', async () => {
    let count = 0
    const web = await startH2c((stream) => {
      count += 1
      stream.respond({ ':status': 200 })
      stream.end('ok')
      if (count % 3 === 0) stream.session?.close()
    })
    const { port } = await serve([web.port], H2C)
    for (let count = 0; count < 12; count++) expect((await ask(port)).body).toBe('ok')
    expect(web.connections).toBeGreaterThanOrEqual(4)
  })

  test('an answer that is broken off is no complete one', async () => {
    const web = await startH2c((stream) => {
      stream.respond({ ':status': 200 }, { waitForTrailers: true }) // or Node ends it first
      stream.on('wantTrailers', () => {})
      stream.write('half')
      setTimeout(() => stream.close(CODES.NGHTTP2_INTERNAL_ERROR), 20)
    })
    const { port, exchanges } = await serve([web.port], H2C)
    await expect(ask(port)).rejects.toThrow()
    await until(() => exchanges.length === 1)
    expect(exchanges[0]!.outcome).toBe('upstream-closed')
  })

  test('a backend that is not there, or speaks something else, is a 502', async () => {
    const other = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')
    })
    const { port } = await serve([await refusingPort()], H2C)
    expect((await ask(port)).status).toBe(502)
    const { port: second } = await serve([other.port], H2C)
    expect((await ask(second)).status).toBe(502)
  })

  test('a host that makes no URL is one that cannot be reached', async () => {
    const { node, port } = await serve([], H2C)
    await applyBackends(node, [{ ...backend(1, await refusingPort()), host: '::1%lo' }])
    expect((await ask(port)).status).toBe(502)
  })

  test('who comes after an attempt to connect that took too long begins another one', async () => {
    const hole = await startBlackHole()
    const before = attemptsAt(hole)
    const http = { backend: 'h2c', connectTimeoutMs: 1_500, retries: 0 } as const
    const { node, port } = await serve([hole], { http })
    const asked = ask(port)
    await until(() => attemptsAt(hole) === before + 1)
    await new Promise((resolve) => setTimeout(resolve, 750))
    const meanwhile = ask(port)
    await until(() => node.listeners.httpCounters().endpoints[0]?.counters.requestsLive === 2)
    expect((await asked).status).toBe(504)
    expect(attemptsAt(hole)).toBe(before + 1)
    const last = ask(port)
    await until(() => attemptsAt(hole) === before + 2)
    expect([(await meanwhile).status, (await last).status]).toEqual([504, 504])
    await until(() => attemptsAt(hole) === before)
  })

  test('a connection on which an answer did not come is used no more', async () => {
    let count = 0
    const web = await startH2c((stream) => {
      count += 1
      if (count === 2) return // for ever
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
    const { port } = await serve([web.port], { http: { backend: 'h2c', responseTimeoutMs: 300 } })
    expect((await ask(port)).body).toBe('ok')
    expect((await ask(port)).status).toBe(504)
    await until(() => web.sockets.size === 0)
    expect((await ask(port)).body).toBe('ok')
    expect(web.connections).toBe(2)
  })

  test('a connection that breaks under a request costs none that may be repeated', async () => {
    let isBroken = false
    const web = await startH2c((stream, headers) => {
      if (headers[':path'] === '/break' && !isBroken) {
        isBroken = true
        stream.session!.socket.destroy()
        return
      }
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
    const { port } = await serve([web.port], { http: { backend: 'h2c', retries: 0 } })
    expect((await ask(port)).body).toBe('ok')
    expect((await ask(port, '/break')).body).toBe('ok')
    expect([isBroken, web.connections]).toEqual([true, 2])
  })

  test('a client that leaves resets its stream alone', async () => {
    const codes: unknown[] = []
    const web = await startH2c((stream) => {
      stream.on('close', () => codes.push(stream.rstCode))
      if (stream.id === 1) return
      stream.respond({ ':status': 200 })
      stream.end('ok')
    })
    const { port, exchanges } = await serve([web.port], H2C)
    const client = new Client(port)
    client.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => web.connections === 1)
    expect((await ask(port)).body).toBe('ok')
    client.socket.resetAndDestroy()
    await until(() => exchanges.length === 2 && codes.length === 2)
    expect(codes).toEqual([CODES.NGHTTP2_NO_ERROR, CODES.NGHTTP2_CANCEL])
    expect(web.connections).toBe(1)
  })

  test('a backend that leaves the set keeps what it has, and is cut in the end', async () => {
    const web = await startH2c(() => {})
    const { port, node, exchanges } = await serve([web.port], H2C)
    const lost = ask(port)
    await until(() => node.listeners.httpCounters().endpoints[0]?.counters.requestsLive === 1)
    await applyBackends(node, [])
    node.listeners.apply({ type: 'cut-backend', listener: WEB, backend: backend(1, 0).id })
    expect((await lost).status).toBeGreaterThanOrEqual(500)
    await until(() => exchanges.length === 1)
    expect(exchanges[0]!.outcome).toBe('cut')
  })
})

describe('gRPC', () => {
  const raw = (bytes: Buffer): Buffer => bytes
  const codec = {
    requestSerialize: raw,
    requestDeserialize: raw,
    responseSerialize: raw,
    responseDeserialize: raw,
  }
  const SERVICE = {
    one: { path: '/demo.Echo/One', requestStream: false, responseStream: false, ...codec },
    both: { path: '/demo.Echo/Both', requestStream: true, responseStream: true, ...codec },
  }

  async function startGrpc(): Promise<number> {
    const server = new grpc.Server()
    server.addService(SERVICE, {
      one: (call: { request: Buffer }, answer: grpc.sendUnaryData<Buffer>) => {
        if (call.request.length > 0) return answer(null, call.request)
        answer({ code: grpc.status.INVALID_ARGUMENT, details: 'it is empty: äöü' })
      },
      both: (call: grpc.ServerDuplexStream<Buffer, Buffer>) => {
        call.on('data', (bytes) => call.write(bytes))
        call.on('end', () => call.end())
      },
    })
    onTestFinished(() => server.forceShutdown())
    return new Promise((resolve, reject) =>
      server.bindAsync(`${HOST}:0`, grpc.ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    )
  }

  async function startClient(): Promise<grpc.Client> {
    const { port } = await serve([await startGrpc()], H2C)
    const client = new grpc.Client(`${HOST}:${port}`, grpc.credentials.createInsecure())
    onTestFinished(() => client.close())
    return client
  }

  const call = (client: grpc.Client, request: Buffer): Promise<Buffer> =>
    new Promise((resolve, reject) => {
      client.makeUnaryRequest('/demo.Echo/One', raw, raw, request, (error, answer) =>
        error === null ? resolve(answer!) : reject(error),
      )
    })

  test('one request, one answer, and its status in the trailers', async () => {
    const client = await startClient()
    expect(`${await call(client, Buffer.from('hello'))}`).toBe('hello')
    await expect(call(client, Buffer.alloc(0))).rejects.toMatchObject({
      code: grpc.status.INVALID_ARGUMENT,
      details: 'it is empty: äöü',
    })
    const many = await Promise.all(
      Array.from({ length: 200 }, (_, index) => call(client, Buffer.from(`${index}`))),
    )
    expect(many.map(String)).toEqual(many.map((_, index) => `${index}`))
  })

  test('streams both ways, message by message', async () => {
    const client = await startClient()
    const stream = client.makeBidiStreamRequest('/demo.Echo/Both', raw, raw)
    const got: string[] = []
    for (let count = 0; count < 20; count++) {
      stream.write(Buffer.from(`message ${count}`))
      const [bytes] = await new Promise<Buffer[]>((resolve) =>
        stream.once('data', (bytes: Buffer) => resolve([bytes])),
      )
      got.push(`${bytes}`)
    }
    stream.end()
    const status = await new Promise<grpc.StatusObject>((resolve) => stream.on('status', resolve))
    expect([got.length, got.at(-1), status.code]).toEqual([20, 'message 19', grpc.status.OK])
  })
})
