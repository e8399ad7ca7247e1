import { once } from 'node:events'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import path from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import {
  type ListenerId,
  listenerId,
  replicaId,
  serviceKey,
} from '../../../../core/services/identity.ts'
import type { ListenerFlows } from '../../../../shells/node/listener/listeners.ts'
import {
  connect,
  type FlowsRequest,
  NotRunning,
  type OperatorClient,
  OperatorError,
} from '../../../../shells/node/operator/client.ts'
import { makeOperatorServer } from '../../../../shells/node/operator/server.ts'
import { listenerRow } from '../metrics/reading.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { FakeNode, logLine, noticeLine, VERSION } from './fake-node.ts'

interface Served {
  readonly node: FakeNode
  readonly client: OperatorClient
  readonly socketPath: string
  readonly close: () => Promise<void>
}

async function serve({ attached = true } = {}): Promise<Served> {
  const directory = temporaryDirectory()
  const node = new FakeNode()
  const scope = Scope.makeUnsafe()
  const server = await Effect.runPromise(
    Scope.provide(
      makeOperatorServer({
        socketPlaces: [path.join(directory, 'weir.sock')],
        version: () => VERSION,
        log: () => {},
      }),
      scope,
    ),
  )
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= Effect.runPromise(Scope.close(scope, Exit.void))
    return closing
  }
  onTestFinished(close)
  if (attached) server.attach(node)
  const { socketPath } = server
  return { node, client: await connect(directory), socketPath, close }
}

interface Raw {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly body: unknown
}

/** A request that the client would not make. */
async function raw(
  socketPath: string,
  method: string,
  target: string,
  body?: string | Buffer,
): Promise<Raw> {
  const request = http.request({ socketPath, method, path: target, agent: false })
  request.on('error', () => {})
  request.end(body)
  const [response] = (await once(request, 'response')) as [http.IncomingMessage]
  let text = ''
  for await (const data of response) text += data
  return {
    status: response.statusCode ?? 0,
    headers: response.headers,
    body: text === '' ? '' : JSON.parse(text),
  }
}

const failing = async (promise: Promise<unknown>): Promise<OperatorError> => {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(OperatorError)
  return error as OperatorError
}

async function take<A>(lines: AsyncIterable<A>, count: number): Promise<A[]> {
  const taken: A[] = []
  for await (const line of lines) {
    taken.push(line)
    if (taken.length === count) break
  }
  return taken
}

describe('the operator socket', () => {
  test('is for its owner alone and gone after the scope', async () => {
    const { socketPath, close } = await serve()
    expect(fs.statSync(socketPath).mode & 0o777).toBe(0o600)
    await close()
    expect(fs.existsSync(socketPath)).toBe(false)
    await expect(connect(path.dirname(socketPath))).rejects.toThrow(NotRunning)
    await expect(connect(path.dirname(socketPath))).rejects.toThrow(/start one with `weir up`/)
  })

  test('hands each request to the node and its answer back', async () => {
    const { node, client } = await serve()
    expect(await client.version()).toEqual(VERSION)
    expect(await client.status()).toEqual(node.view())
    const source = { text: 'version: v1', file: 'weir.yaml', directory: '/here' }
    expect(await client.deploy(source)).toEqual({ name: 'shop', text: 'deployed', warnings: ['w'] })
    expect(await client.scale('web', 3)).toEqual({ text: 'done' })
    expect(await client.restart('web', 2)).toEqual({ text: 'done' })
    expect(await client.restart('web')).toEqual({ text: 'done' })
    expect(await client.remove('a b/ü')).toEqual({ text: 'done' })
    expect(node.asked).toEqual([
      ['deploy', source],
      ['scale', 'web', 3],
      ['restart', 'web', 2],
      ['restart', 'web', undefined],
      ['remove', 'a b/ü'],
    ])
  })

  test.each([
    ['not-found', 404],
    ['conflict', 409],
    ['invalid', 400],
    ['stopping', 503],
  ] as const)('a %s reply has status %i', async (code, status) => {
    const { node, client } = await serve()
    node.reply = { ok: false, code, text: 'why' }
    expect(await failing(client.scale('web', 3))).toMatchObject({ code, status, message: 'why' })
    expect(await failing(client.remove('web'))).toMatchObject({ code, status, message: 'why' })
  })

  test.each([
    ['invalid', 422],
    ['conflict', 409],
    ['stopping', 503],
  ] as const)('a deploy refused as %s has status %i and its problems', async (code, status) => {
    const { node, client } = await serve()
    node.deployAnswer = { ok: false, code, problems: ['weir.yaml:3:1: no', 'and no'] }
    const refused = await failing(client.deploy({ text: '', file: 'weir.yaml', directory: '/' }))
    expect(refused).toMatchObject({ code, status, message: 'weir.yaml:3:1: no' })
    expect(refused.problems).toEqual(['weir.yaml:3:1: no', 'and no'])
  })

  test('waits until a deployment has settled', async () => {
    const { node, client } = await serve()
    const waiting = client.settled('shop')
    await vi.waitFor(() => expect(node.settledWaiting.size).toBe(1))
    for (const answer of node.settledWaiting) answer({ outcome: 'failed', problems: ['p'] })
    expect(await waiting).toEqual({ outcome: 'failed', problems: ['p'] })
    const gone = failing(client.settled('nothing'))
    await vi.waitFor(() => expect(node.settledWaiting.size).toBe(1))
    for (const answer of node.settledWaiting) answer(undefined)
    expect(await gone).toMatchObject({ status: 404, message: 'no deployment "nothing" here' })
  })

  test('forgets a client that waited and left', async () => {
    const { node, socketPath } = await serve()
    const request = http.get({ socketPath, path: '/v1/deployments/shop/settled', agent: false })
    request.on('error', () => {})
    await vi.waitFor(() => expect(node.settledWaiting.size).toBe(1))
    request.destroy()
    await vi.waitFor(() => expect(node.settledWaiting.size).toBe(0))
  })

  test('answers with its version from the start, with 503 to the rest until it can', async () => {
    const { client } = await serve({ attached: false })
    expect(await client.version()).toEqual(VERSION)
    expect(await failing(client.status())).toMatchObject({ status: 503, code: 'stopping' })
  })

  test('an error inside is answered and harms nobody else', async () => {
    const { node, client } = await serve()
    node.view = () => {
      throw new Error('broken inside')
    }
    expect(await failing(client.status())).toMatchObject({
      status: 500,
      code: 'internal',
      message: 'broken inside',
    })
    expect(await client.scale('web', 1)).toEqual({ text: 'done' })
  })
})

describe('what goes through udp endpoints', () => {
  const listener = listenerId(serviceKey('shop', 'web'), 'dns', 1)

  test('flows: chosen, sorted, counted', async () => {
    const { node, client } = await serve()
    node.flowLists = [{ listener, flows: [], total: 7 }]
    expect(await client.flows()).toEqual({ flows: [], matching: 0, examined: 0, total: 7 })
    expect(await client.flows({ service: 'shop/web', sort: 'bytes', limit: 0 })).toMatchObject({
      total: 7,
    })
  })

  test.each([
    ['a service that is not there', { service: 'nope' }, 404, 'no service "nope" here'],
    ['a client that is none', { client: 'nope' }, 400, '"client" must be an address'],
    ['an order that is none', { sort: 'size' }, 400, '"sort" must be one of age, client'],
    ['a limit too large', { limit: 10_001 }, 400, '"limit" must be a whole number, 10000 at most'],
    ['a limit that is none', { limit: 0.5 }, 400, '"limit" must be a whole number, 10000 at most'],
  ])('%s is refused', async (_name, request, status, text) => {
    const { client } = await serve()
    const refused = await failing(client.flows(request as FlowsRequest))
    expect(refused).toMatchObject({ status, message: expect.stringContaining(text) })
  })

  test('metrics are text', async () => {
    const { node, client, socketPath } = await serve()
    node.metricsText = 'weir_sockets{state="idle"} 3\n'
    expect(await client.metrics()).toBe(node.metricsText)
    const request = http.get({ socketPath, path: '/v1/metrics', agent: false })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.resume()
    expect(response.headers['content-type']).toBe('text/plain; version=0.0.4; charset=utf-8')
  })

  test('without any they are empty', async () => {
    const { client } = await serve()
    expect(await client.metrics()).toBe('')
  })
})

describe('listeners', () => {
  const [dns, web] = [1, 2].map((generation) =>
    listenerId(serviceKey('shop', 'web'), 'dns', generation),
  ) as [ListenerId, ListenerId]

  test('are all sockets, with what goes through their listener, and then those of the node', async () => {
    const { node, client } = await serve()
    const rows = [
      listenerRow({ listener: dns }),
      listenerRow({ listener: web, protocol: 'http', address: '0.0.0.0:80' }),
      listenerRow({ listener: web, protocol: 'http', address: '[::]:80', state: 'absent' }),
    ]
    node.sockets = rows
    const [address, detail] = ['127.0.0.1:9090', 'the address is in use']
    node.nodeSockets = [{ purpose: 'metrics', address, state: 'retrying', detail }]
    node.loads = async () => [{ listener: web, connections: 3, requests: 0, flows: 0 }]
    expect(await client.listeners()).toEqual([
      { ...rows[0], connections: 0, requests: 0, flows: 0 },
      { ...rows[1], connections: 3, requests: 0, flows: 0 },
      { ...rows[2], connections: 3, requests: 0, flows: 0 },
      {
        deployment: '',
        service: '',
        endpoint: 'metrics',
        protocol: 'http',
        purpose: 'metrics',
        tls: false,
        address,
        state: 'retrying',
        backends: 0,
        members: [],
        detail,
        connections: 0,
        requests: 0,
        flows: 0,
      },
    ])
  })

  test('a shutdown says how much of it all is left', async () => {
    const { node, client } = await serve()
    node.loads = async () => [
      { listener: web, connections: 3, requests: 0, flows: 0 },
      { listener: dns, connections: 4, requests: 2, flows: 5 },
    ]
    const work = { connections: 7, requests: 2, flows: 5 }
    expect(await take(client.shutdown('drain'), 1)).toMatchObject([{ type: 'progress', work }])
    node.stop()
  })

  test.each<[what: string, loads: FakeNode['loads']]>([
    ['never answer', () => new Promise(() => {})],
    ['fail', () => Promise.reject(new Error('their thread is gone'))],
  ])('that %s keep nobody waiting', async (_, loads) => {
    const { node, client } = await serve()
    node.sockets = [listenerRow({})]
    node.loads = loads
    expect(await client.listeners()).toMatchObject([{ connections: 0, requests: 0, flows: 0 }])
    const work = { connections: 0, requests: 0, flows: 0 }
    expect(await take(client.shutdown('abort'), 1)).toMatchObject([{ type: 'progress', work }])
    expect(node.asked).toEqual([['shutdown', 'abort']])
    node.stop()
  })
})

describe('backends', () => {
  const web = listenerId(serviceKey('shop', 'web'), 'http', 4)
  const dns = listenerId(serviceKey('shop', 'dns'), 'dns', 5)
  const idOf = (service: string, number: number) =>
    replicaId({ deployment: 'shop', service, number, incarnation: number + 10 })
  const member = (service: string, number: number, isUp = true) => ({
    replica: idOf(service, number),
    isUp,
  })

  async function serveShop() {
    const served = await serve()
    const { node } = served
    node.services = ['shop/web', 'shop/dns']
    const members = [member('web', 1), member('web', 2, false)]
    const http = { deployment: 'shop', service: 'web', endpoint: 'http', protocol: 'http' }
    const udp = { deployment: 'shop', service: 'dns', endpoint: 'dns', strategy: 'hrw' } as const
    node.sockets = [
      listenerRow({ ...http, listener: web, members }),
      listenerRow({ ...http, listener: web, members, address: '[::]:80' }),
      listenerRow({ ...udp, listener: dns, members: [member('dns', 1)] }),
    ]
    node.replicas = [
      { id: idOf('dns', 1), addresses: { dns: '127.0.0.1:20009' } },
    ] as unknown as FakeNode['replicas']
    const left = { backend: idOf('web', 3), isDraining: true, live: 1, idle: 0, failures: 9 }
    const first = { backend: idOf('web', 1), isDraining: false, live: 4, idle: 2, failures: 0 }
    node.counts = [
      {
        listener: web,
        backends: [
          { ...left, address: '127.0.0.1:20003' },
          { ...first, address: '127.0.0.1:20001' },
        ],
      },
    ]
    const flow = (backend: string) => ({ backend }) as ListenerFlows['flows'][number]
    const flows = [flow(idOf('dns', 1)), flow(idOf('dns', 2)), flow(idOf('dns', 1))]
    node.flowLists = [{ listener: dns, flows, total: 3 }]
    return served
  }

  test('are those of each listener once, with what goes there; then those that drain', async () => {
    const { client } = await serveShop()
    const rows = (await client.backends()).map((each) => [
      `${each.service} ${each.endpoint} ${each.protocol} ${each.strategy} ${each.listener}`,
      `${each.backend} ${each.address} ${each.state}`,
      [each.live, each.idle, each.failures],
    ])
    const http = 'web http http round_robin shop/web/http#4'
    const udp = 'dns dns udp hrw shop/dns/dns#5'
    expect(rows).toEqual([
      [http, 'shop/web/1#11 127.0.0.1:20001 ready', [4, 2, 0]],
      [http, 'shop/web/2#12  down', [0, 0, 0]],
      [http, 'shop/web/3#13 127.0.0.1:20003 draining', [1, 0, 9]],
      [udp, 'shop/dns/1#11 127.0.0.1:20009 ready', [2, 0, 0]],
      [udp, 'shop/dns/2#12  draining', [1, 0, 0]],
    ])
  })

  test('of one service, by any of its names; of none there is', async () => {
    const { client } = await serveShop()
    const services = async (name: string) =>
      new Set((await client.backends(name)).map(({ service }) => service))
    expect(await services('dns')).toEqual(new Set(['dns']))
    expect(await services('shop/web')).toEqual(new Set(['web']))
    await expect(client.backends('db')).rejects.toMatchObject({
      code: 'not-found',
      message: 'no service "db" here',
    })
  })

  test.each<[what: string, flows: FakeNode['flows']]>([
    ['never answer', () => new Promise(() => {})],
    ['fail', () => Promise.reject(new Error('their thread is gone'))],
  ])('listeners that %s keep nobody waiting', async (_, flows) => {
    const { node, client } = await serveShop()
    node.flows = flows
    expect((await client.backends()).map(({ live }) => live)).toEqual([4, 0, 1, 0])
  })
})

test('routes are those of the view', async () => {
  const { node, client } = await serve()
  const route: FakeNode['routes'][number] = {
    deployment: 'shop',
    service: 'web',
    endpoint: 'http',
    listener: listenerId(serviceKey('shop', 'web'), 'http', 4),
    address: '0.0.0.0:80',
    port: 80,
    host: 'a.example.com',
    path: '/api',
    tls: false,
    redirectTo: 443,
    stripPrefix: true,
    backends: 2,
    ready: 1,
    state: 'serving',
  }
  node.routes = [route]
  expect(await client.routes()).toEqual([route])
})

describe('a socket that is removed', () => {
  const open = async (directory: string, said: string[]): Promise<() => Promise<void>> => {
    const scope = Scope.makeUnsafe()
    const making = makeOperatorServer({
      socketPlaces: [path.join(directory, 'weir.sock')],
      version: () => VERSION,
      log: (level, text) => said.push(`${level} ${text}`),
      checkMs: 5,
    })
    const server = await Effect.runPromise(Scope.provide(making, scope))
    server.attach(new FakeNode())
    const close = () => Effect.runPromise(Scope.close(scope, Exit.void))
    onTestFinished(close)
    return close
  }

  test('is made again, with its directory', async () => {
    const directory = path.join(temporaryDirectory(), 'state')
    fs.mkdirSync(directory)
    const said: string[] = []
    const close = await open(directory, said)
    const before = await connect(directory)
    fs.rmSync(directory, { recursive: true })
    await vi.waitFor(async () => {
      expect(said).toHaveLength(1)
      expect((await (await connect(directory)).version()).pid).toBe(process.pid)
    }, 20_000)
    expect(await before.status()).toMatchObject({ phase: 'running' })
    expect(said[0]).toMatch(/^warn operator socket: .*weir\.sock was removed; made it again$/)
    expect(fs.statSync(path.join(directory, 'weir.sock')).mode & 0o777).toBe(0o600)
    await close()
    expect(fs.readdirSync(directory)).toEqual([])
  })

  test('that cannot be made again is said once', async () => {
    const directory = path.join(temporaryDirectory(), 'state')
    fs.mkdirSync(directory)
    const said: string[] = []
    await open(directory, said)
    fs.rmSync(directory, { recursive: true })
    fs.writeFileSync(directory, 'in the way')
    await vi.waitFor(() => expect(said).toHaveLength(1), 20_000)
    expect(said[0]).toMatch(/^error .*cannot be made again.*no command reaches.*SIGTERM stops it$/)
    fs.rmSync(directory)
    await vi.waitFor(() => expect(said).toHaveLength(2), 20_000)
    expect(said[1]).toMatch(/^warn .*made it again$/)
  })
})

test('logs of what is not here, and never was, are not found', async () => {
  const { client } = await serve()
  const reading = async (request: object) => {
    for await (const _ of client.logs(request)) expect.unreachable()
  }
  const text = 'no service "wbe" here, and no log of it'
  await expect(reading({ service: 'wbe' })).rejects.toMatchObject({ status: 404, message: text })
  await expect(reading({ service: 'web', replica: 7 })).rejects.toMatchObject({
    message: 'no replica 7 of "shop/web" here, and no log of it',
  })
})

describe('requests that make no sense', () => {
  const DEPLOY = '/v1/deploy'
  test.each([
    ['GET', '/v1/nothing', undefined, 404, 'not-found'],
    ['GET', '/', undefined, 404, 'not-found'],
    ['GET', '/v1/deployments/', undefined, 404, 'not-found'],
    ['DELETE', '/v1/deployments/a/b', undefined, 404, 'not-found'],
    ['GET', '/v1/deployments/%zz/settled', undefined, 400, 'invalid'],
    ['POST', DEPLOY, '{', 400, 'invalid'],
    ['POST', DEPLOY, '', 400, 'invalid'],
    ['POST', DEPLOY, '[]', 400, 'invalid'],
    ['POST', DEPLOY, 'null', 400, 'invalid'],
    ['POST', DEPLOY, '{"text":1,"file":"f","directory":"/"}', 400, 'invalid'],
    ['POST', DEPLOY, '{"text":"","file":"f","directory":"here"}', 400, 'invalid'],
    ['POST', '/v1/scale', '{"service":"web"}', 400, 'invalid'],
    ['POST', '/v1/scale', '{"service":"web","replicas":-1}', 400, 'invalid'],
    ['POST', '/v1/scale', '{"service":"web","replicas":1.5}', 400, 'invalid'],
    ['POST', '/v1/scale', '{"service":3,"replicas":1}', 400, 'invalid'],
    ['POST', '/v1/restart', '{"service":"web","replica":0}', 400, 'invalid'],
    ['POST', '/v1/restart', '{"service":"web","replica":"1"}', 400, 'invalid'],
    ['POST', '/v1/shutdown', '{"mode":"now"}', 400, 'invalid'],
    ['GET', '/v1/logs?tail=x', undefined, 400, 'invalid'],
    ['GET', '/v1/logs?tail=-1', undefined, 400, 'invalid'],
    ['GET', '/v1/logs?replica=1e3', undefined, 400, 'invalid'],
  ])('%s %s %s is %i', async (method, target, body, status, code) => {
    const { node, socketPath } = await serve()
    const answer = await raw(socketPath, method, target, body)
    expect(answer).toMatchObject({ status, body: { code, error: expect.any(String) } })
    expect(node.asked).toEqual([])
  })

  test.each([
    ['POST', '/v1/version', 'GET'],
    ['HEAD', '/v1/status', 'GET'],
    ['GET', '/v1/shutdown', 'POST'],
    ['GET', '/v1/deployments/shop', 'DELETE'],
    ['PUT', '/v1/deploy', 'POST'],
  ])('%s %s is 405 with the method that is right', async (method, target, allow) => {
    const { socketPath } = await serve()
    const answer = await raw(socketPath, method, target)
    expect(answer).toMatchObject({ status: 405, headers: { allow } })
  })

  test('a body of 2 MiB is read, a byte more is refused', async () => {
    const { node, socketPath } = await serve()
    const frame = JSON.stringify({ text: '', file: 'f', directory: '/' })
    const filled = (bytes: number) =>
      JSON.stringify({ text: 'x'.repeat(bytes - frame.length), file: 'f', directory: '/' })
    const limit = 2 * 1024 * 1024
    expect((await raw(socketPath, 'POST', '/v1/deploy', filled(limit))).status).toBe(200)
    expect(node.asked).toHaveLength(1)
    const refused = await raw(socketPath, 'POST', '/v1/deploy', filled(limit + 1))
    expect(refused).toMatchObject({ status: 413, body: { code: 'too-large' } })
    expect(refused.headers.connection).toBe('close')
    expect(node.asked).toHaveLength(1)
  })

  test('an endless body is refused without waiting for its end', async () => {
    const { socketPath } = await serve()
    const request = http.request({ socketPath, method: 'POST', path: '/v1/scale', agent: false })
    request.on('error', () => {})
    const more = setInterval(() => request.write('x'.repeat(256 * 1024)), 1)
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    clearInterval(more)
    expect(response.statusCode).toBe(413)
    response.destroy()
    request.destroy()
  })

  test.each(['not http at all\r\n\r\n', 'GET /v1/status HTTP/1.1\r\nbad header\r\n\r\n', '\0\0\0'])(
    '%j gets a refusal and the socket lives on',
    async (bytes) => {
      const { socketPath, client } = await serve()
      const socket = net.connect(socketPath)
      socket.on('error', () => {})
      socket.end(bytes)
      socket.resume()
      await once(socket, 'close')
      expect(await client.version()).toEqual(VERSION)
    },
  )
})

describe('streams', () => {
  test('logs: the tail, and the filter by short or full name', async () => {
    const { node, client } = await serve()
    node.lines = [logLine('one'), logLine('two')]
    expect(await take(client.logs({ service: 'web', replica: 2, tail: 7 }), 9)).toEqual(node.lines)
    await take(client.logs({ service: 'old/gone' }), 9)
    await take(client.logs({ service: 'unknown' }), 9)
    await take(client.logs({}), 9)
    // whether there is such a log is asked first, with a tail of one line
    const isFirst = (asked: unknown) => (asked as [string, { tail?: number }])[1].tail === 1
    expect(node.asked.filter((asked) => !isFirst(asked))).toEqual([
      ['read', { deployment: 'shop', service: 'web', replica: 2, tail: 7 }],
      ['read', { deployment: 'old', service: 'gone', tail: 100 }],
      ['read', { service: 'unknown', tail: 100 }],
      ['read', { tail: 100 }],
    ])
    node.services = ['shop/web', 'blog/web']
    const refused = await failing(take(client.logs({ service: 'web' }), 1))
    expect(refused).toMatchObject({
      status: 409,
      message: '"web" is in several deployments: say shop/web or blog/web',
    })
  })

  test('logs: the tail, then new lines as they come, until the reader leaves', async () => {
    const { node, client } = await serve()
    node.lines = [logLine('old')]
    const reading = take(client.logs({ follow: true }), 3)
    await vi.waitFor(() => expect(node.logFollowers.size).toBe(1))
    for (const onLine of node.logFollowers) onLine(logLine('new'))
    for (const onLine of node.logFollowers) onLine(logLine('newer'))
    expect((await reading).map(({ text }) => text)).toEqual(['old', 'new', 'newer'])
    await vi.waitFor(() => expect(node.logFollowers.size).toBe(0))
  })

  test('a long tail comes whole, at the pace of its reader', async () => {
    const { node, client } = await serve()
    node.lines = Array.from({ length: 20_000 }, (_, index) =>
      logLine(`${index} ${'x'.repeat(100)}`),
    )
    const read = await take(client.logs({ tail: 20_000, follow: true }), 20_000)
    expect(read).toEqual(node.lines)
  })

  test('events: the last ones, then new ones, until the node stops', async () => {
    const { node, client } = await serve()
    node.events = [noticeLine('early')]
    const reading = take(client.events(), 99)
    await vi.waitFor(() => expect(node.eventFollowers.size).toBe(1))
    for (const listener of node.eventFollowers) listener(noticeLine('late'))
    node.stop()
    expect((await reading).map(({ text }) => text)).toEqual(['early', 'late'])
    await vi.waitFor(() => expect(node.eventFollowers.size).toBe(0))
  })

  test('a slow reader loses lines, is told how many, and reads on', async () => {
    const { node, client, socketPath } = await serve()
    const request = http.get({ socketPath, path: '/v1/events', agent: false })
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.pause()
    await vi.waitFor(() => expect(node.eventFollowers.size).toBe(1))
    const text = 'x'.repeat(10_000)
    const sent = 5_000
    for (let line = 0; line < sent; line++) {
      for (const listener of node.eventFollowers) listener(noticeLine(`${line} ${text}`))
    }
    expect(await client.version()).toEqual(VERSION) // the node itself does not wait
    const seen: ({ type: string; count: number } | { text: string })[] = []
    let rest = ''
    response.setEncoding('utf8')
    for await (const data of response) {
      const lines = (rest + data).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) seen.push(JSON.parse(line))
      if (seen.some((line) => 'count' in line) && node.eventFollowers.size > 0) {
        for (const listener of node.eventFollowers) listener(noticeLine('after'))
        node.stop()
      }
    }
    const numbers = seen.map((line) => ('text' in line ? line.text.split(' ')[0] : line))
    const gap = seen.findIndex((line) => 'count' in line)
    expect(numbers.slice(0, gap)).toEqual(Array.from({ length: gap }, (_, line) => String(line)))
    expect(seen[gap]).toEqual({ type: 'dropped', count: sent - gap })
    expect(numbers[gap + 1]).toBe('after')
  })

  test('shutdown: progress until it has stopped and the socket is gone', async () => {
    const { node, client, close } = await serve()
    const steps: string[] = []
    const reading = (async () => {
      for await (const step of client.shutdown('drain')) {
        steps.push(step.type)
        if (steps.length === 2) node.stop()
      }
    })()
    await vi.waitFor(() => expect(steps.length).toBeGreaterThanOrEqual(2), 10_000)
    expect(node.asked).toEqual([['shutdown', 'drain']])
    await node.stopped
    await close()
    await reading
    expect(steps).toEqual([...Array(steps.length - 1).fill('progress'), 'stopped'])
  })

  test('a shutdown goes on when its client leaves', async () => {
    const { node, client } = await serve()
    expect(await take(client.shutdown('abort'), 1)).toMatchObject([{ type: 'progress' }])
    expect(node.asked).toEqual([['shutdown', 'abort']])
    node.stop()
    expect(await client.version()).toEqual(VERSION)
  })

  test('a reader that never reads does not keep the socket from closing', async () => {
    const { node, socketPath, close } = await serve()
    const request = http.get({ socketPath, path: '/v1/events', agent: false })
    request.on('error', () => {})
    const [response] = (await once(request, 'response')) as [http.IncomingMessage]
    response.pause()
    response.on('error', () => {})
    for (let line = 0; line < 500; line++) {
      for (const listener of node.eventFollowers) listener(noticeLine('x'.repeat(10_000)))
    }
    node.stop()
    await close()
    expect(fs.existsSync(socketPath)).toBe(false)
  })

  test('a connection that breaks in the middle is an error with a code', async () => {
    const directory = temporaryDirectory()
    const server = http.createServer((request, response) => {
      if (request.url === '/v1/version') return response.end(JSON.stringify(VERSION))
      response.writeHead(200)
      response.write('{"text":"one"}\n{"te', () => response.destroy())
      return undefined
    })
    server.listen(path.join(directory, 'weir.sock'))
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const client = await connect(directory)
    const error = await failing(take(client.events(), 99))
    expect(error).toMatchObject({ code: 'connection', status: 0 })
    expect(error.message).toMatch(/^the connection to the node broke/)
  })
})
