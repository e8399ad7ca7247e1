import { createConnection } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { type Fixture, HOST, startFixture, until } from '../fixture.ts'

const TEXT = '# HELP weir_up Whether.\n# TYPE weir_up gauge\nweir_up 1\n'

async function startMetrics(
  metrics: () => Promise<string> = async () => TEXT,
): Promise<{ node: Fixture; socket: number; url: string; port: number }> {
  const node = await startFixture({ metrics })
  const { socket, port, address } = await node.bind({ use: { kind: 'metrics' } })
  return { node, socket, port, url: `http://${address}` }
}

describe('a metrics socket', () => {
  test('serves them in the text format, at /metrics and at /', async () => {
    const { url } = await startMetrics()
    for (const path of ['/metrics', '/', '/metrics?name=weir_up']) {
      const response = await fetch(url + path)
      expect([response.status, await response.text()]).toEqual([200, TEXT])
      expect(response.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    }
    const head = await fetch(`${url}/metrics`, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length'), await head.text()]).toEqual([
      200,
      String(TEXT.length),
      '',
    ])
  })

  test('and nothing else', async () => {
    const { url } = await startMetrics()
    expect((await fetch(`${url}/status`)).status).toBe(404)
    const posted = await fetch(`${url}/metrics`, { method: 'POST', body: 'x'.repeat(100_000) })
    expect([posted.status, posted.headers.get('allow')]).toEqual([405, 'GET, HEAD'])
  })

  test('metrics that cannot be read are an error of that one answer', async () => {
    let works = false
    const { node, url } = await startMetrics(async () => {
      if (works) return TEXT
      throw new Error('not today')
    })
    const failed = await fetch(`${url}/metrics`)
    expect([failed.status, await failed.text()]).toEqual([500, 'the metrics cannot be read now\n'])
    expect(node.notices).toEqual([expect.stringContaining('metrics: not today')])
    works = true
    expect((await fetch(`${url}/metrics`)).status).toBe(200)
  })

  test('unbound, its connections are closed and its port is free', async () => {
    let asked = 0
    const { node, socket, port } = await startMetrics(() => {
      asked += 1
      return asked === 1 ? Promise.resolve(TEXT) : new Promise(() => {})
    })
    const clients = [0, 1].map(() => createConnection({ port, host: HOST }))
    const closed = clients.map((client) => new Promise((resolve) => client.on('close', resolve)))
    for (const client of clients) {
      onTestFinished(() => void client.destroy())
      client.on('data', () => {}) // one is answered and kept open, one waits for its answer
      client.write('GET / HTTP/1.1\r\nHost: x\r\n\r\n')
    }
    await until(() => asked === 2)
    await node.unbind(socket)
    await Promise.all(closed)
    expect((await node.bind({ port, use: { kind: 'metrics' } })).port).toBe(port)
  })

  test('more than 64 at a time are turned away', async () => {
    const { port } = await startMetrics()
    let closed = 0
    const clients = Array.from({ length: 70 }, () => {
      const client = createConnection({ port, host: HOST })
      client.on('error', () => {})
      client.on('close', () => {
        closed += 1
      })
      onTestFinished(() => void client.destroy())
      return client
    })
    await until(() => closed === 6)
    clients[0]!.destroy()
  })
})
