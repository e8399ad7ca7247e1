/** WebSockets of the `ws` package, by HTTP/1.1 and HTTP/2, with TLS and without. */
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { request } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { freePorts, type RunningNode, until } from '../../running-node.ts'
import { deploy, replicasOf } from '../../stream/peers/nodes.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import { byHttp1, byHttp2, http2Session, type SocketClient } from '../peers/websockets.ts'

const COUNT = 1_000

let node: RunningNode
let [plain, tls]: readonly number[] = []

const fileWith = (http: string, ...more: readonly string[]): string =>
  deploymentOf(
    originService('site', [
      `name: tls, protocol: https, port: ${tls}, http: { drain_timeout: 8s, ${http} }`,
      `name: web, protocol: websocket, port: ${plain}, http: { drain_timeout: 8s, ${http} }`,
    ]),
    ...more,
  )

beforeAll(async () => {
  ;[plain, tls] = await freePorts(2)
  node = await startHttpNode({ 'weir.yaml': fileWith('') })
})
afterAll(() => node?.stop())

const WAYS: Readonly<Record<string, () => Promise<SocketClient>>> = {
  ws: () => byHttp1(`ws://127.0.0.1:${plain}/live`),
  wss: () => byHttp1(`wss://localhost:${tls}/live`),
  'HTTP/2 with TLS': async () => byHttp2(await http2Session(`https://localhost:${tls}`), '/live'),
  'HTTP/2 without TLS': async () =>
    byHttp2(await http2Session(`http://127.0.0.1:${plain}`), '/live'),
}

describe.each(Object.entries(WAYS))('by %s', (_way, open) => {
  test('proxy W42: texts, bytes, fragments, pings, and much at once', async () => {
    const client = await open()
    expect(await client.text()).toBe('here is site 1')
    expect(await client.ask('grüße')).toBe('grüße')
    const bytes = randomBytes(3 << 20)
    client.socket.send(bytes)
    const { data, isBinary } = await client.next()
    expect([isBinary, data.equals(bytes)]).toEqual([true, true])
    for (const [at, part] of ['in ', 'three ', 'parts'].entries()) {
      client.socket.send(part, { fin: at === 2 })
      if (at === 1) client.socket.ping('between')
    }
    const [answered] = await once(client.socket, 'pong')
    expect(String(answered)).toBe('between')
    expect(await client.text()).toBe('in three parts')
    for (let count = 0; count < 200; count += 1) client.socket.send(`${count}`)
    for (let count = 0; count < 200; count += 1) expect(await client.text()).toBe(`${count}`)
  })

  test('codes and reasons of a close go both ways', async () => {
    const closing = await open()
    await closing.text()
    const reason = `done ${randomBytes(4).toString('hex')}`
    closing.socket.close(4_001, reason)
    expect(await closing.closed).toEqual({ code: 4_001, reason })
    await until(async () => (await node.weir('logs', 'site')).out.includes(`4001 ${reason}`))

    const closed = await open()
    await closed.text()
    closed.socket.send('close 4002 good bye')
    expect(await closed.closed).toEqual({ code: 4_002, reason: 'good bye' })

    const cut = await open()
    await cut.text()
    cut.socket.send('vanish')
    expect((await cut.closed).code).toBe(1_006)
  })
})

test('a WebSocket that is refused gets its answer', async () => {
  const headers = { connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-version': '7' }
  const asked = request({ port: plain, host: '127.0.0.1', path: '/live', headers }).end()
  const [answer] = await once(asked, 'response')
  answer.resume()
  expect(answer.statusCode).toBe(400)
})

test(`${COUNT} idle sockets outlive a change of the configuration, and a restart by drain_timeout`, async () => {
  const session = await http2Session(`https://localhost:${tls}`)
  const opened: SocketClient[] = []
  while (opened.length < COUNT) {
    const some = Array.from({ length: 50 }, (_, at) =>
      // at most so many streams at one time
      at === 0 && opened.length < 500
        ? byHttp2(session, '/live')
        : byHttp1(`ws://127.0.0.1:${plain}/live`),
    )
    opened.push(...(await Promise.all(some)))
  }
  for (const client of opened) expect(await client.text()).toBe('here is site 1')

  const [extra = 0] = await freePorts(1)
  await deploy(
    node,
    fileWith('retries: 3', originService('more', [`name: w, protocol: http, port: ${extra}`])),
  )
  for (const [at, client] of opened.entries()) expect(await client.ask(`${at}`)).toBe(`${at}`)

  const before = (await replicasOf(node, 'site'))[0]?.number
  expect(await node.weir('restart', 'site')).toMatchObject({ code: 0 })
  // somebody else is there for who comes now, and these go on until their time is over
  await until(async () => {
    const client = await byHttp1(`ws://127.0.0.1:${plain}/live`)
    const said = await client.text()
    client.socket.close()
    return said !== `here is site ${before}`
  })
  for (const { socket } of opened) expect(socket.readyState).toBe(WebSocket.OPEN)
  expect(await opened[0]?.ask('still there')).toBe('still there')
  for (const { closed } of opened) expect((await closed).code).toBe(1_006)
})
