import { once } from 'node:events'
import { Agent } from 'node:http'
import { connect } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { backend, Client, HOST, startUpstream, until } from '../listener/fixture.ts'
import { API, applyBackends, ask, doorwayOf, openDoor, serve, startHttp, WEB } from './served.ts'

describe('listeners and ports', () => {
  test('routes lead to listeners, and can be changed without disturbing who is there', async () => {
    const web = await startHttp((request, response) => response.end(`web ${request.url}`))
    const api = await startHttp((request, response) => response.end(`api ${request.url}`))
    const { node, port, socket } = await serve([web.port])
    openDoor(node, API, { http: { stripPrefix: true } })
    await node.applyBackends([backend(7, api.port)], API)
    const agent = new Agent({ keepAlive: true, maxSockets: 1 })
    onTestFinished(() => agent.destroy())
    expect((await ask(port, '/api/x', { agent })).body).toBe('web /api/x')
    const routes = [
      { listener: WEB, path: '/' },
      { listener: API, path: '/api' },
    ]
    node.listeners.apply({
      type: 'route-socket',
      socket,
      use: {
        kind: 'tcp',
        greetingsMax: 10_000,
        acceptProxyProtocol: [],
        routes: [doorwayOf({ routes })],
      },
    })
    expect((await ask(port, '/api/x', { agent })).body).toBe('api /x')
    expect((await ask(port, '/', { agent })).body).toBe('web /')
    expect(node.listeners.httpCounters().clients.accepted).toBe(1)
  })

  test('a redirect is one of the listener whose route it is', async () => {
    const routes = [{ listener: WEB, path: '/', redirectTo: 443 }]
    const { port, exchanges } = await serve([], { routes })
    expect((await ask(port, '/x')).status).toBe(308)
    await until(() => exchanges.length === 1)
    expect(exchanges[0]).toMatchObject({ listener: WEB, outcome: 'redirected', route: '*/' })
  })

  test('proxy W9: a listener that closes empties, and is counted for ever', async () => {
    const web = await startHttp((_request, response) => response.end('ok'))
    const { node, port } = await serve([web.port])
    await ask(port)
    await node.close(WEB)
    await applyBackends(node, [])
    await until(() => node.listeners.httpCounters().endpoints[0]?.counters.requestsLive === 0)
    const [endpoint] = node.listeners.httpCounters().endpoints
    expect(endpoint).toMatchObject({
      endpoint: 'http',
      counters: { connected: 1, requestsLive: 0 },
    })
    await until(async () => (await node.listeners.load()).length === 0)
    await expect(ask(port)).rejects.toThrow('ECONNREFUSED')
    // Of a listener that is over: nothing goes anywhere.
    await applyBackends(node, [backend(1, web.port)])
  })

  test('proxy W10: a port that closes lets go of idle clients now, of others when they are answered', async () => {
    const waiting: (() => void)[] = []
    const web = await startHttp((request, response) => {
      if (request.url === '/now') response.end('ok')
      else waiting.push(() => response.end('late'))
    })
    const { node, port, socket } = await serve([web.port])
    const [idle, busy] = [new Client(port), new Client(port)]
    idle.socket.write('GET /now HTTP/1.1\r\nHost: a.example\r\n\r\n')
    busy.socket.write('GET /later HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => idle.text.includes('ok') && waiting.length === 1)
    await node.unbind(socket)
    await until(() => idle.ended)
    expect(busy.ended).toBe(false)
    for (const answer of waiting) answer()
    await until(() => busy.ended)
    expect(busy.text).toContain('late')
    expect(busy.text.toLowerCase()).toContain('connection: close')
  })

  test('a backend that leaves keeps its requests until it is cut', async () => {
    const web = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf'))
    })
    const { node, port } = await serve([web.port])
    const client = new Client(port)
    client.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => client.text.includes('half'))
    const version = await applyBackends(node, [])
    expect(client.error).toBe(undefined)
    const id = backend(1, 0).id
    node.listeners.apply({ type: 'cut-backend', listener: WEB, backend: id })
    expect(await node.event('backend-drained')).toMatchObject({ backend: id, version })
    await until(() => client.error !== undefined || client.ended)
  })

  test('a request for what sleeps is held, asks for it once, and is answered when it is there', async () => {
    const { node, port } = await serve([])
    await node.applyBackends([], WEB, 'hold')
    const answers = Array.from({ length: 5 }, () => ask(port))
    await node.event('listener-wanted')
    const web = await startHttp((_request, response) => response.end('awake'))
    await applyBackends(node, [backend(1, web.port)])
    for (const answer of answers) expect((await answer).body).toBe('awake')
    expect(node.events.filter(({ type }) => type === 'listener-wanted')).toHaveLength(1)
  })

  test('a listener says when nothing went through it, and when something does again', async () => {
    const web = await startHttp((_request, response) => response.end('ok'))
    const { node, port } = await serve([web.port], { common: { idleAfterMs: 30 } })
    await node.event('listener-idle')
    await ask(port)
    await node.event('listener-busy')
    await until(() => node.events.filter(({ type }) => type === 'listener-idle').length === 2)
  })

  test('what stops closes everything', async () => {
    const web = await startUpstream((socket) => socket.on('error', () => {}))
    const { node, port } = await serve([web.port])
    const clients = [new Client(port), new Client(port)]
    clients[0]!.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => web.sockets.size === 1)
    await node.stop()
    await until(() => clients.every(({ ended, error }) => ended || error !== undefined))
    await until(() => web.sockets.size === 0)
  })

  test('also a client that was answered and still sends', async () => {
    const { node, port } = await serve([])
    const client = new Client(port)
    client.socket.write('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\n')
    await until(() => client.text.includes('503'))
    await node.stop()
    await until(() => {
      client.socket.write('x')
      return client.error !== undefined
    })
  })
})

describe('who comes in', () => {
  test('is who a trusted proxy says', async () => {
    const web = await startHttp((request, response) => {
      response.end(`<${request.headers['x-forwarded-for']}>`)
    })
    const { port, exchanges } = await serve([web.port], { acceptProxyProtocol: ['127.0.0.0/8'] })
    const client = new Client(port)
    client.socket.write('PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n')
    client.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => client.text.includes('<192.0.2.7>'))
    await until(() => exchanges.length === 1)
    expect(exchanges[0]!.clientAddress).toBe('192.0.2.7')
  })

  test('proxy W15: is refused by policy', async () => {
    const access = [{ sources: ['127.0.0.0/8'], verdict: 'deny' }] as const
    const { port, exchanges } = await serve([], { common: { access } })
    expect((await ask(port)).status).toBe(403)
    await until(() => exchanges.length === 1)
    expect(exchanges[0]!.outcome).toBe('forbidden')
  })

  test('proxy W41: finds the answer to a challenge of ACME', async () => {
    const { node, port } = await serve([])
    node.listeners.challenge('token', 'token.thumbprint')
    const path = '/.well-known/acme-challenge/token'
    expect(await ask(port, path)).toMatchObject({ status: 200, body: 'token.thumbprint' })
    node.listeners.challenge('token', undefined)
    expect((await ask(port, path)).status).not.toBe(200)
  })
})

describe('many', () => {
  test('1,000 idle connections stay, and each is answered again', async () => {
    const web = await startHttp((_request, response) => response.end('ok'))
    const { node, port } = await serve([web.port])
    const sockets = Array.from({ length: 1_000 }, () => connect({ port, host: HOST }))
    onTestFinished(() => {
      for (const socket of sockets) socket.destroy()
    })
    for (let round = 0; round < 2; round++) {
      for (const socket of sockets) {
        if (socket.connecting) await once(socket, 'connect')
        socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
        const [bytes] = (await once(socket, 'data')) as [Buffer]
        if (!bytes.toString().endsWith('ok')) throw new Error(bytes.toString())
      }
    }
    expect(node.listeners.httpCounters().clients).toMatchObject({ live: 1_000, accepted: 1_000 })
    expect(web.connections).toBe(1)
  })

  test('a rolling change of backends under load costs no request', async () => {
    const start = (name: string) => startHttp((_request, response) => response.end(name))
    let current = await start('0')
    const { node, port, exchanges } = await serve([current.port])
    const agent = new Agent({ keepAlive: true, maxSockets: 16 })
    onTestFinished(() => agent.destroy())
    let isOver = false
    const statuses = new Set<number>()
    const asks = Array.from({ length: 16 }, async (_, index) => {
      while (!isOver) {
        const wish = index % 2 === 0 ? { agent } : { agent, method: 'POST', body: 'x' }
        statuses.add((await ask(port, '/', wish)).status)
      }
    })
    for (let round = 2; round < 12; round++) {
      const next = await start(`${round}`)
      await applyBackends(node, [backend(round - 1, current.port), backend(round, next.port)])
      await new Promise((resolve) => setTimeout(resolve, 20))
      const version = await applyBackends(node, [backend(round, next.port)])
      // What it still has is answered; then it ends, with the connections that were kept.
      await until(async () => {
        const [listener] = await node.listeners.backendCounts()
        return listener!.backends.length === 1
      })
      expect(version).toBeGreaterThan(0)
      current.server.close()
      current.server.closeAllConnections()
      current = next
    }
    isOver = true
    await Promise.all(asks)
    expect([...statuses]).toEqual([200])
    expect(new Set(exchanges.map(({ outcome }) => outcome))).toEqual(new Set(['done']))
  })
})
