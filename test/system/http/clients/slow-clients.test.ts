/** Clients that are slow: cut on time, with the status that says so, and nobody else is. */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { fixture } from '../../../shells/node/tls/fixtures.ts'
import { request } from '../../load.ts'
import { freePorts, type RunningNode, until } from '../../running-node.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'

const HEAD = 'POST /discard HTTP/1.1\r\nHost: a\r\n'

let node: RunningNode
let [plain, tls]: readonly number[] = []

beforeAll(async () => {
  ;[plain, tls] = await freePorts(2)
  const http =
    'http: { head_timeout: 2s, body_timeout: 2s, idle_timeout: 2s, response_timeout: 2s }'
  const file = deploymentOf(
    originService('site', [
      `name: tls, protocol: https, port: ${tls}, ${http}`,
      `name: web, protocol: http, port: ${plain}, ${http}`,
    ]),
  )
  node = await startHttpNode({ 'weir.yaml': file })
})
afterAll(() => node?.stop())

const dial = async (kind: 'plain' | 'tls'): Promise<Socket> => {
  const host = '127.0.0.1'
  const ca = fixture('ca.crt')
  const socket =
    kind === 'plain'
      ? connect(plain as number, host)
      : connectTls({ port: tls as number, host, ca, servername: 'localhost' })
  onTestFinished(() => void socket.destroy())
  await once(socket, kind === 'plain' ? 'connect' : 'secureConnect')
  return socket
}

/** Sends the text again and again, every 100 ms, until the connection is over; what came back. */
async function drip(socket: Socket, first: string, text: string): Promise<string> {
  let got = ''
  socket.on('data', (bytes: Buffer) => {
    got += bytes
  })
  socket.on('error', () => {}) // written to when it is over
  socket.write(first)
  const dripping = setInterval(() => socket.write(text), 100)
  await new Promise((resolve) => void socket.once('close', resolve))
  clearInterval(dripping)
  return got
}

test.each(['plain', 'tls'] as const)(
  'proxy W46: a head that takes for ever is 408: %s',
  async (kind) => {
    const got = await drip(await dial(kind), HEAD, 'a')
    expect(got).toMatch(/^HTTP\/1\.1 408 .*\r\n/)
    expect(got).toMatch(/\r\nconnection: close\r\n/i)
  },
)

test.each(['plain', 'tls'] as const)(
  'a body that stops is 408, one that goes on is taken: %s',
  async (kind) => {
    const sends = `${HEAD}Content-Length: 60\r\n\r\n`
    expect(await drip(await dial(kind), `${sends}abc`, '')).toMatch(/^HTTP\/1\.1 408 /)
    // twice as long as a body may make no progress
    const whole = drip(await dial(kind), sends, 'ab')
    await expect(whole).resolves.toMatch(/^HTTP\/1\.1 200 .*"bytes":60/s)
  },
)

test('an answer that is not read is cut, and one that does not come is 504', async () => {
  const before = await ended('request_timeout')
  const socket = await dial('plain')
  socket.pause()
  socket.write('GET /bytes?bytes=100000000&length HTTP/1.1\r\nHost: a\r\n\r\n')
  await until(async () => (await ended('request_timeout')) > before)
  const got = await drip(
    await dial('plain'),
    'GET /never HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    '',
  )
  expect(got).toMatch(/^HTTP\/1\.1 504 /)
})

test('a connection without a request is closed, without a word', async () => {
  expect(await drip(await dial('plain'), '', '')).toBe('')
})

test("500 clients in the middle of their heads are in nobody else's way", async () => {
  const sockets = await Promise.all(Array.from({ length: 500 }, () => dial('plain')))
  const over = sockets.map((socket) => drip(socket, HEAD, 'x'))
  for (let count = 0; count < 20; count += 1)
    expect(await request(plain as number, '/small')).toBe('ok')
  for (const got of await Promise.all(over)) expect(got).toMatch(/^HTTP\/1\.1 408 /)
})

/** Requests that ended so. */
async function ended(reason: string): Promise<number> {
  const { out } = await node.weir('metrics')
  const lines = out.split('\n').filter((line) => line.startsWith('weir_http_requests_ended_total{'))
  const counts = lines.filter((line) => line.includes(`reason="${reason}"`))
  return counts.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}
