/** What people are told when replicas do not answer, and when clients are turned away. */
import { expect, test } from 'vitest'
import { defaultIngressConfig } from '../../../../core/http/config.ts'
import { Client, refusingPort, startUpstream, until } from '../listener/fixture.ts'
import { FrameClient } from './frames.ts'
import { ask, type Served, serve, startH2c, WEB, type Wish } from './served.ts'

const REFUSED_STREAM = 7

/** Speaks when it was spoken to. */
const startSaying = (what: string) =>
  startUpstream((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => (what === '' ? socket.resetAndDestroy() : socket.end(what)))
  })

const startSilent = () => startUpstream((socket) => void socket.on('error', () => {}))

const failuresOf = async ({ node }: Served): Promise<number> => {
  const [listener] = await node.listeners.backendCounts()
  return listener!.backends[0]!.failures
}

const FAULTS: readonly [string, () => Promise<number>, number, string, Wish][] = [
  ['nothing there', refusingPort, 502, 'it took no connection; see `weir ps`', {}],
  [
    'a reset',
    async () => (await startSaying('')).port,
    502,
    'it closed before its answer was whole; see `weir logs`, and whether it speaks what `http.backend` says',
    {},
  ],
  [
    'another protocol',
    async () => (await startSaying('220 mail.example ESMTP\r\n')).port,
    502,
    'what it answered is no HTTP; see `weir logs`, and whether it speaks what `http.backend` says',
    {},
  ],
  [
    'silence',
    async () => (await startSilent()).port,
    504,
    'it was silent for too long; see `weir logs`, or raise `http.response_timeout`',
    { http: { responseTimeoutMs: 50 } },
  ],
  [
    'h2c where HTTP/1.1 is spoken',
    async () => (await startSaying('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')).port,
    502,
    'it closed before its answer was whole; see `weir logs`, and whether it speaks what `http.backend` says',
    { http: { backend: 'h2c' } },
  ],
  [
    'a stream that is reset',
    async () => (await startH2c((stream) => stream.close(2))).port,
    502,
    'it closed before its answer was whole; see `weir logs`, and whether it speaks what `http.backend` says',
    { http: { backend: 'h2c' } },
  ],
]

test.each(FAULTS)(
  '%s instead of an answer: said seldom, counted each time',
  async (_name, start, status, what, wish) => {
    const served = await serve([await start()], wish)
    for (let count = 1; count <= 3; count++) {
      expect((await ask(served.port, '/', { method: 'POST' })).status).toBe(status)
      await until(() => served.exchanges.length === count)
    }
    expect(served.node.notices).toEqual([`${WEB}: a request failed at web-1: ${what}`])
    expect(await failuresOf(served)).toBe(3)
  },
)

test('nothing is said of requests that a backend answers, or a client gives up', async () => {
  const web = await startSilent()
  const served = await serve([web.port])
  const client = new Client(served.port)
  client.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
  await until(() => web.sockets.size === 1)
  client.socket.resetAndDestroy()
  await until(() => served.exchanges.length === 1)
  expect(served.node.notices).toEqual([])
  expect(await failuresOf(served)).toBe(0)
})

test('clients beyond limits.http_clients are counted, and told of', async () => {
  const options = { http: { ...defaultIngressConfig, clientsMax: 1 } }
  const { node, port } = await serve([(await startSilent()).port], { options })
  const first = new Client(port)
  first.socket.write('GET / HTTP/1.1\r\nHost: a.example\r\n\r\n')
  await until(async () => (await node.listeners.load())[0]?.requests === 1)
  for (let count = 0; count < 3; count++) await new Client(port).closed
  const why = 'there are 1, as many as limits.http_clients allows'
  expect(node.notices).toEqual([`http: a client was turned away: ${why}`])
  const { live, accepted, refused } = node.listeners.httpCounters().clients
  expect({ live, accepted, max: refused['clients-max'] }).toEqual({ live: 1, accepted: 1, max: 3 })
})

test('a stream beyond them may be asked for again', async () => {
  const options = { http: { ...defaultIngressConfig, clientsMax: 1 } }
  const { node, port } = await serve([(await startSilent()).port], { options })
  const client = new FrameClient(port)
  client.request(1, 'GET', true)
  client.request(3, 'GET', true)
  await until(() => client.of(3).includes('rstStream'))
  const { payload } = client.frames.find(({ stream }) => stream === 3)!
  expect(payload.readUInt32BE(0)).toBe(REFUSED_STREAM)
  expect(client.of(1)).toEqual([])
  const { live, accepted, refused } = node.listeners.httpCounters().clients
  expect({ live, accepted, max: refused['clients-max'] }).toEqual({ live: 1, accepted: 1, max: 1 })
})
