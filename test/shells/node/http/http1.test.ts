import { Agent } from 'node:http'
import { describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { Client, HOST, refusingPort, startUpstream, until } from '../listener/fixture.ts'
import { SecureClient, shown } from '../listener/tls.ts'
import { ask, serve, startHttp } from './served.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a.example\r\n\r\n'

describe('requests', () => {
  test('come and go, with what is said of where they are from', async () => {
    const web = await startHttp((request, response) => {
      response.end(JSON.stringify({ url: request.url, headers: request.headers }))
    })
    const { port, exchanges } = await serve([web.port])
    const answer = await ask(port, '/some?query', { headers: { host: 'a.example' } })
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toMatchObject({
      url: '/some?query',
      headers: { host: 'a.example', 'x-forwarded-for': HOST, 'x-forwarded-proto': 'http' },
    })
    await until(() => exchanges.length === 1)
    expect(exchanges[0]).toMatchObject({ status: 200, outcome: 'done', protocol: '1.1' })
  })

  test('of one client share one connection to the backend', async () => {
    const web = await startHttp((_request, response) => response.end('ok'))
    const { port } = await serve([web.port])
    const client = new Client(port)
    for (let count = 1; count <= 5; count++) {
      client.socket.write(GET)
      await until(() => client.text.split('\r\n\r\nok').length === count + 1)
    }
    expect(web.connections).toBe(1)
  })

  test('that are sent at once are answered in their order', async () => {
    const web = await startHttp((request, response) => {
      const { url = '' } = request
      setTimeout(() => response.end(`<${url}>`), url === '/1' ? 20 : 0)
    })
    const { port } = await serve([web.port])
    const client = new Client(port)
    client.socket.write([1, 2, 3].map((n) => GET.replace('/', `/${n}`)).join(''))
    await until(() => client.text.includes('</3>'))
    expect(client.text.match(/<[^>]*>/g)).toEqual(['</1>', '</2>', '</3>'])
  })

  test('of any size come whole, both ways, whatever their framing', async () => {
    const web = await startHttp((request, response) => request.pipe(response))
    const { port } = await serve([web.port])
    for (const length of [1, 4_095, 65_536, 1_000_003]) {
      const body = Buffer.alloc(length, 'abcdefghijklmnopqrstuvw')
      const plain = await ask(port, '/', { method: 'POST', body })
      expect(plain.body).toBe(`${body}`)
      const headers = { 'transfer-encoding': 'chunked' }
      const chunked = await ask(port, '/', { method: 'POST', body, headers })
      expect(chunked.body).toBe(`${body}`)
    }
  })

  test('over TLS, for who says nothing of HTTP/2 and for who says he speaks both', async () => {
    const web = await startHttp((request, response) => {
      response.end(`<${request.headers['x-forwarded-proto']}>`)
    })
    const { port } = await serve([web.port], {
      tls: 'terminate',
      options: { certificates: shown('a.example') },
    })
    for (const ALPNProtocols of [undefined, ['http/1.1'], ['http/1.1', 'http/1.0']]) {
      const client = new SecureClient(port, ALPNProtocols === undefined ? {} : { ALPNProtocols })
      client.socket.write(GET)
      await until(() => client.text.includes('<https>'))
    }
    const both = new SecureClient(port, { ALPNProtocols: ['http/1.1', 'h2'] })
    await until(() => both.socket.alpnProtocol !== null)
    expect(both.socket.alpnProtocol).toBe('h2') // the best of both
  })

  test('proxy W19: to a backend that refuses are made of another one', async () => {
    const web = await startHttp((_request, response) => response.end('ok'))
    const { port, node } = await serve([await refusingPort(), web.port])
    for (let count = 0; count < 4; count++) {
      expect((await ask(port, '/', { method: 'POST', body: 'x' })).body).toBe('ok')
    }
    expect(await node.event('backend-failed')).toMatchObject({ reason: 'connection refused' })
  })

  test('with nobody to answer them are refused in words', async () => {
    const { port } = await serve([await refusingPort()])
    expect((await ask(port)).status).toBe(502)
    const { port: empty } = await serve([])
    expect((await ask(empty)).status).toBe(503)
  })
})

describe('what ends', () => {
  test('an idle connection that the backend closes costs no request', async () => {
    const web = await startUpstream((socket) => {
      socket.on('error', () => {})
      let count = 0
      socket.on('data', () => {
        count += 1
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
        if (count === 2) socket.end()
      })
    })
    const { port, exchanges } = await serve([web.port])
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    for (let count = 0; count < 20; count++) {
      expect((await ask(port, '/', { agent })).status).toBe(200)
    }
    agent.destroy()
    await until(() => exchanges.length === 20)
    expect(new Set(exchanges.map(({ outcome }) => outcome))).toEqual(new Set(['done']))
  })

  test('a client that leaves takes its request along', async () => {
    const web = await startUpstream((socket) => socket.on('error', () => {}))
    const { port, exchanges } = await serve([web.port])
    const client = new Client(port)
    client.socket.write(GET)
    await until(() => web.sockets.size === 1)
    client.socket.resetAndDestroy()
    await until(() => exchanges.length === 1 && web.sockets.size === 0)
    expect(exchanges[0]!.outcome).toBe('client-gone')
  })

  test('a backend that breaks off is no complete answer', async () => {
    const web = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => {
        socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf')
        setTimeout(() => socket.resetAndDestroy(), 20)
      })
    })
    const { port, exchanges } = await serve([web.port])
    await expect(ask(port)).rejects.toThrow()
    await until(() => exchanges.length === 1)
    expect(exchanges[0]).toMatchObject({ status: 200, outcome: 'upstream-closed' })
  })

  test('a client that has sent its last request gets its answer', async () => {
    const waiting: (() => void)[] = []
    const web = await startHttp((_request, response) => waiting.push(() => response.end('ok')))
    const { port } = await serve([web.port])
    const client = new Client(port)
    client.socket.write(GET)
    await until(() => waiting.length === 1)
    client.socket.end(() => setTimeout(waiting[0]!, 20))
    await until(() => client.ended)
    expect(client.text).toContain('\r\n\r\nok')
  })

  test('an answer to who still sends is delivered', async () => {
    const { port } = await serve([])
    const client = new Client(port)
    client.socket.write('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 100000000\r\n\r\n')
    const piece = Buffer.alloc(65_536)
    const pump = (): void => {
      while (!client.socket.destroyed && !client.ended && client.socket.write(piece));
    }
    client.socket.on('drain', pump)
    pump()
    await until(() => client.text.includes('503'))
  })
})

describe('proxy W42: WebSockets', () => {
  test.each(['off', 'terminate'] as const)('go through, TLS %s', async (tls) => {
    const web = await startHttp((_request, response) => response.end())
    const sockets = new WebSocketServer({ server: web.server })
    sockets.on('connection', (socket) =>
      socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })),
    )
    const options = { certificates: shown('a.example') }
    const { port, exchanges } = await serve([web.port], { tls, options })
    const scheme = tls === 'off' ? 'ws' : 'wss'
    const secure = { rejectUnauthorized: false, servername: 'a.example' }
    const client = new WebSocket(`${scheme}://${HOST}:${port}/chat`, secure)
    const got: string[] = []
    client.on('open', () => client.send('x'.repeat(100_000)))
    client.on('message', (data) => {
      got.push(String(data))
      client.close(4_000, 'enough')
    })
    const [code, reason] = await new Promise<[number, string]>((resolve) =>
      client.on('close', (code, why) => resolve([code, String(why)])),
    )
    expect([got, code, reason]).toEqual([['x'.repeat(100_000)], 4_000, 'enough'])
    await until(() => exchanges.length === 1)
    expect(exchanges[0]).toMatchObject({ status: 101, outcome: 'done' })
  })
})
