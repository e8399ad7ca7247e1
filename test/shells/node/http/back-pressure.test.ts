import http2 from 'node:http2'
import type { Socket } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { Client, HOST, startUpstream, until } from '../listener/fixture.ts'
import { SecureClient, shown } from '../listener/tls.ts'
import { flood, serve, startH2c, startHttp } from './served.ts'

const TLS = { tls: 'terminate', options: { certificates: shown('a.example') } } as const

/** What is sent until nobody takes any more: it stands still for a while. */
async function untilStuck(sent: () => number): Promise<number> {
  let before = -1
  for (let still = 0; still < 10; ) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    still = sent() === before && before > 0 ? still + 1 : 0
    before = sent()
  }
  return before
}

/** Kernels keep a few MB on each side of each connection; a proxy that kept what comes has no end. */
const STUCK_MAX = 40 * 1_048_576

describe('who does not read holds back who sends', () => {
  test.each(['plain', 'tls'])('an answer, %s: it stops, and goes on', async (kind) => {
    let sent = (): number => 0
    const web = await startHttp((_request, response) => {
      sent = flood(response)
    })
    const { port } = await serve([web.port], kind === 'tls' ? TLS : {})
    const client = kind === 'tls' ? new SecureClient(port) : new Client(port)
    client.socket.removeAllListeners('data')
    client.socket.pause()
    client.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => sent() > 0)
    const stuck = await untilStuck(() => sent())
    expect(stuck).toBeLessThan(STUCK_MAX)
    client.socket.on('data', () => {})
    client.socket.resume()
    await until(() => sent() > stuck + STUCK_MAX)
  })

  test.each(['http1', 'h2c'] as const)('a request, to a backend of %s', async (kind) => {
    const stuckAt: Socket[] = []
    const http1 = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.pause()
      stuckAt.push(socket)
    })
    const h2c = await startH2c((stream) => stream.pause())
    const port = kind === 'http1' ? http1.port : h2c.port
    const served = await serve([port], { http: { backend: kind } })
    const client = new Client(served.port)
    client.socket.write('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9999999999\r\n\r\n')
    const sent = flood(client.socket)
    const stuck = await untilStuck(sent)
    expect(stuck).toBeLessThan(STUCK_MAX)
    for (const socket of stuckAt) socket.resume()
    if (kind === 'http1') await until(() => sent() > stuck + STUCK_MAX)
  })

  test('a stream of HTTP/2, and not its neighbours', async () => {
    let sent = (): number => 0
    const web = await startHttp((request, response) => {
      if (request.url === '/flood') sent = flood(response)
      else response.end('ok')
    })
    const { port } = await serve([web.port])
    const session = http2.connect(`http://${HOST}:${port}`)
    onTestFinished(() => session.destroy())
    const stream = session.request({ ':path': '/flood' })
    stream.on('error', () => {})
    stream.pause()
    await until(() => sent() > 0)
    expect(await untilStuck(() => sent())).toBeLessThan(STUCK_MAX)
    const other = session.request({ ':path': '/' })
    let text = ''
    other.on('data', (chunk) => {
      text += chunk
    })
    await until(() => text === 'ok')
    const stuck = sent()
    stream.resume()
    await until(() => sent() > stuck + STUCK_MAX)
  })

  test('streams of one connection to a backend, each its own', async () => {
    const sent: (() => number)[] = []
    const web = await startH2c((stream, headers) => {
      stream.respond({ ':status': 200 })
      if (headers[':path'] === '/flood') sent.push(flood(stream))
      else stream.end('ok')
    })
    const { port } = await serve([web.port], { http: { backend: 'h2c' } })
    const slow = Array.from({ length: 20 }, () => {
      const client = new Client(port)
      client.socket.pause()
      client.socket.write('GET /flood HTTP/1.1\r\nHost: a.example\r\n\r\n')
      return client
    })
    const sum = (): number => sent.reduce((all, each) => all + each(), 0)
    await until(() => sent.length === slow.length)
    const stuck = await untilStuck(sum)
    expect(stuck).toBeLessThan(slow.length * STUCK_MAX)
    const quick = new Client(port)
    quick.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => quick.text.includes('ok'))
    expect(web.connections).toBe(1)
    slow[0]!.socket.resume()
    await until(() => sum() > stuck + STUCK_MAX)
  })

  test('what waits for one is not what another one gets', async () => {
    const LENGTH = 20 * 1_048_576
    const web = await startHttp((request, response) => {
      response.end(Buffer.alloc(LENGTH, `${request.url}`.slice(1)))
    })
    const { port } = await serve([web.port])
    const clients = ['a', 'b', 'c', 'd'].map((letter) => {
      const client = new Client(port)
      client.socket.pause()
      client.socket.write(`GET /${letter} HTTP/1.1\r\nHost: a.example\r\n\r\n`)
      return { letter, client }
    })
    await until(() => web.sockets.size === clients.length)
    await untilStuck(() => 1)
    for (const { client } of clients) client.socket.resume()
    const got = ({ client }: (typeof clients)[number]): number =>
      client.chunks.reduce((sum, { length }) => sum + length, 0)
    await until(() => clients.every((each) => got(each) > LENGTH))
    for (const { letter, client } of clients) {
      const body = Buffer.concat(client.chunks).subarray(-LENGTH)
      expect(body.equals(Buffer.alloc(LENGTH, letter)), letter).toBe(true)
    }
  })

  test('one that is not read, and goes, is noticed', async () => {
    let sent = (): number => 0
    const web = await startHttp((_request, response) => {
      sent = flood(response)
    })
    const { port, exchanges } = await serve([web.port])
    const client = new Client(port)
    client.socket.pause()
    client.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
    await until(() => sent() > 0)
    await untilStuck(() => sent())
    client.socket.resetAndDestroy()
    await until(() => exchanges.length === 1 && web.sockets.size === 0)
  })

  test('an upload that is not read, and goes, is noticed', async () => {
    const web = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.pause()
    })
    const { port, exchanges } = await serve([web.port])
    const client = new Client(port)
    client.socket.write('POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9999999999\r\n\r\n')
    await untilStuck(flood(client.socket))
    client.socket.resetAndDestroy()
    await until(() => exchanges.length === 1)
    expect(exchanges[0]!.outcome).toBe('client-gone')
  })
})
