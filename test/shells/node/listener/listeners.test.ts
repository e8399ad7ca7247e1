import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { listenerId, serviceKey } from '../../../../core/services/identity.ts'
import {
  backend,
  Client,
  HOST,
  LISTENER,
  listen,
  refusingPort,
  replica,
  settingsOf,
  startBlackHole,
  startEcho,
  startFixture,
  startUpstream,
  until,
  useOf,
} from './fixture.ts'

const OTHER = listenerId(serviceKey('demo', 'db'), 'tcp', 2)

describe('opening and closing', () => {
  test('the answer names the address that was really bound', async () => {
    const node = await startFixture()
    const port = await node.open()
    expect(node.events).toEqual([
      { type: 'socket-bound', socket: 1, attempt: 1, address: `${HOST}:${port}` },
    ])
  })

  test('proxy W2: a port that is taken is a failure that names the holder, and a retry works', async () => {
    const program = `require('net').createServer().listen(0, '${HOST}', function () {
      console.log(this.address().port)
    })`
    const holder = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'ignore'] })
    onTestFinished(() => void holder.kill('SIGKILL'))
    const [line] = (await once(holder.stdout, 'data')) as [Buffer]
    const port = Number(line.toString())

    const node = await startFixture()
    const echo = await startEcho()
    node.openDoor()
    const { socket, attempt } = node.requestBind({ port })
    await node.applyBackends([backend(1, echo.port)])
    const failed = await node.event('socket-failed')
    expect(failed).toEqual({
      type: 'socket-failed',
      socket,
      attempt,
      reason: 'the address is in use',
      holder: expect.stringMatching(new RegExp(`^\\S.* \\(pid ${holder.pid}\\)$`)),
    })

    holder.kill('SIGKILL')
    await once(holder, 'exit')
    expect((await node.bind({ port })).port).toBe(port)
    await new Client(port).exchange('hi', 'hi') // the set given before the retry still holds
  })

  test('proxy W3: of two binds of one port at once, one gets it and one is told who has it', async () => {
    const node = await startFixture()
    const port = await refusingPort()
    node.openDoor()
    node.openDoor({}, OTHER)
    node.requestBind({ port })
    node.requestBind({ port, listener: OTHER })
    await node.event('socket-bound')
    const failed = await node.event('socket-failed')
    expect(failed.holder).toContain(`(pid ${process.pid})`)
    await new Client(port).closed // the one that has it serves: no backend, so it closes
  })

  test('proxy W1: a closed listener frees its port at once; a live connection goes on', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open()
    await node.applyBackends([backend(1, echo.port)])
    const client = new Client(port)
    await client.exchange('before', 'before')

    await node.close()
    const next = createServer((socket) => socket.end('next'))
    await listen(next, port)
    onTestFinished(() => void next.close())
    const other = new Client(port)
    await until(() => other.text === 'next')
    await client.exchange(' after', 'before after')
  })

  test('an address of another machine is a failure in words', async () => {
    const node = await startFixture()
    node.openDoor()
    const { socket, attempt } = node.requestBind({ host: '192.0.2.1' }) // TEST-NET-1: nobody has it
    expect(await node.event('socket-failed')).toEqual({
      type: 'socket-failed',
      socket,
      attempt,
      reason: 'the address is not one of this machine',
      isMissing: true,
    })
  })

  test('what it is configured with holds for the next connection; those that are there go on', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open()
    await node.applyBackends([backend(1, echo.port)])
    const first = new Client(port)
    await first.exchange('one', 'one')
    const settings = settingsOf({ connectionsMax: 1 })
    node.listeners.apply({ type: 'configure-listener', listener: LISTENER, ...settings })
    const second = new Client(port)
    await second.closed
    expect(second.error?.code).toBe('ECONNRESET')
    await first.exchange(' more', 'one more')
  })

  test('unbound during the bind: both are answered, and nothing listens', async () => {
    const node = await startFixture()
    const port = await refusingPort()
    node.openDoor()
    const { socket } = node.requestBind({ port })
    await Promise.all([node.unbind(socket), node.unbind(socket)])
    expect(node.events.map(({ type }) => type)).toEqual([
      'socket-bound',
      'socket-unbound',
      'socket-unbound',
    ])
    const client = new Client(port)
    await client.closed
    expect(client.error?.code).toBe('ECONNREFUSED')
  })

  test('a socket that is bound is not bound again', async () => {
    const node = await startFixture()
    node.openDoor()
    const { socket } = await node.bind()
    const bind = { type: 'bind-socket', socket, attempt: 99, host: HOST, port: 0 } as const
    node.listeners.apply({ ...bind, use: useOf({}) })
    expect((await node.event('socket-failed')).reason).toBe('the socket is bound already')
  })

  test('questions about a listener or a socket that is gone are answered', async () => {
    const node = await startFixture()
    await node.applyBackends([backend(1, 1)], OTHER)
    await node.unbind(7)
    await node.close(OTHER)
    node.listeners.apply({ type: 'cut-backend', listener: OTHER, backend: replica(1) })
  })
})

describe('choosing a backend', () => {
  test('connections go round', async () => {
    const node = await startFixture()
    const echoes = await Promise.all(['a', 'b', 'c'].map(startEcho))
    const port = await node.open()
    await node.applyBackends(echoes.map((echo, index) => backend(index + 1, echo.port)))
    let order = ''
    for (let count = 0; count < 6; count++) {
      const client = new Client(port)
      await until(() => client.text !== '')
      order += client.text
    }
    expect(order).toBe('abcabc')
  })

  test('the strategy is what the listener was opened with', async () => {
    const node = await startFixture()
    const echoes = await Promise.all(['a', 'b'].map(startEcho))
    const balance = { strategy: 'least_connections', failOpen: true } as const
    const port = await node.open(0, {}, LISTENER, balance)
    await node.applyBackends(echoes.map((echo, index) => backend(index + 1, echo.port)))
    const connected = async (): Promise<Client> => {
      const client = new Client(port)
      await until(() => client.text !== '')
      return client
    }
    const [first, second] = [await connected(), await connected()]
    expect([first.text, second.text]).toEqual(['a', 'b'])
    second.socket.end()
    await second.closed
    await until(() => echoes[1]!.sockets.size === 0)
    expect((await connected()).text).toBe('b') // whose turn it is would be `a`
  })

  test('backends that are down take nothing; when all are, it depends', async () => {
    const node = await startFixture()
    const echoes = await Promise.all(['a', 'b'].map(startEcho))
    const open = await node.open()
    const balance = { strategy: 'round_robin', failOpen: false } as const
    const closed = await node.open(0, {}, OTHER, balance)
    const [up, down] = echoes.map((echo, index) => backend(index + 1, echo.port))
    const asked = async (port: number): Promise<string | undefined> => {
      const client = new Client(port)
      await until(() => client.text !== '' || client.error !== undefined)
      return client.text || client.error?.code
    }
    for (const listener of [LISTENER, OTHER]) {
      await node.applyBackends([up!, { ...down!, down: true }], listener)
    }
    for (const port of [open, open, closed, closed]) expect(await asked(port)).toBe('a')
    const allDown = [up!, down!].map((each) => ({ ...each, down: true }))
    for (const listener of [LISTENER, OTHER]) await node.applyBackends(allDown, listener)
    expect([await asked(open), await asked(closed)]).toEqual([
      expect.stringMatching(/^[ab]$/),
      'ECONNRESET',
    ])
  })

  test('proxy W19: a backend that refuses costs the client nothing', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open()
    const dead = await refusingPort()
    await node.applyBackends([backend(1, dead), backend(2, echo.port)])
    for (let count = 0; count < 4; count++) await new Client(port).exchange('hello', 'hello')
    const failures = node.events.filter(({ type }) => type === 'backend-failed')
    expect(failures[0]).toEqual({
      type: 'backend-failed',
      listener: LISTENER,
      backend: replica(1),
      reason: 'connection refused',
    })
  })

  test('a port out of range is a failure of that backend, not of the listener', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open()
    await node.applyBackends([backend(1, 70_000), backend(2, echo.port)])
    await new Client(port).exchange('hello', 'hello')
    await node.event('backend-failed', (event) => event.backend === replica(1))
  })

  test('without any backend that accepts, the client is reset', async () => {
    const node = await startFixture()
    const port = await node.open()
    await node.applyBackends([backend(1, await refusingPort())])
    const client = new Client(port)
    await client.closed
    expect(client.error?.code).toBe('ECONNRESET')
  })

  test('proxy W29: a backend that never answers is given up in time for the next', async () => {
    const hole = await startBlackHole()
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open(0, { connectTimeoutMs: 200 })
    await node.applyBackends([backend(1, hole), backend(2, echo.port)])
    await new Client(port).exchange('hello', 'hello')
    const failed = await node.event('backend-failed')
    expect(failed).toMatchObject({ backend: replica(1), reason: 'no connection within 200 ms' })
  })

  test('proxy W29: connections over the limit are refused, and taken again under it', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open(0, { connectionsMax: 1 })
    await node.applyBackends([backend(1, echo.port)])
    const first = new Client(port)
    await first.exchange('one', 'one')
    const second = new Client(port)
    await second.closed
    expect(second.text).toBe('')
    first.socket.end()
    await first.closed
    await until(async () => {
      const next = new Client(port)
      next.socket.write('two')
      await until(() => next.text === 'two' || next.socket.destroyed)
      return next.text === 'two'
    })
  })

  test('another strategy is for new connections; those that are there stay, and count', async () => {
    const node = await startFixture()
    const [one, two] = [await startEcho(), await startEcho()]
    const port = await node.open(0, { connectionsMax: 3 })
    await node.applyBackends([backend(1, one.port), backend(2, two.port)])
    const first = new Client(port)
    await first.exchange('one', 'one')
    const balance = { strategy: 'least_connections', failOpen: true } as const
    const settings = settingsOf({ connectionsMax: 3 }, balance)
    node.listeners.apply({ type: 'configure-listener', listener: LISTENER, ...settings })
    await new Client(port).exchange('two', 'two')
    expect([one.sockets.size, two.sockets.size]).toEqual([1, 1])
    await first.exchange('more', 'onemore')
    await new Client(port).exchange('three', 'three')
    const beyond = new Client(port)
    await beyond.closed
    expect(beyond.error?.code).toBe('ECONNRESET')
  })

  test('proxy W29: an idle connection is ended in order', async () => {
    const node = await startFixture()
    const echo = await startEcho()
    const port = await node.open(0, { idleTimeoutMs: 100 })
    await node.applyBackends([backend(1, echo.port)])
    const client = new Client(port)
    await client.exchange('hi', 'hi')
    await until(() => client.ended)
    expect(client.error).toBeUndefined()
    await until(() => echo.sockets.size === 0)
  })
})

describe('proxy W21: taking a backend away', () => {
  test('its connection goes on, and drained comes only when that ended', async () => {
    const node = await startFixture()
    const [first, second] = await Promise.all([startEcho('1:'), startEcho('2:')])
    const port = await node.open()
    await node.applyBackends([backend(1, first.port), backend(2, second.port)])
    const client = new Client(port)
    await client.exchange('a', '1:a')

    const version = await node.applyBackends([backend(2, second.port)])
    for (let count = 0; count < 3; count++) await new Client(port).exchange('x', '2:x')
    await client.exchange('b', '1:ab')
    expect(node.events.some(({ type }) => type === 'backend-drained')).toBe(false)

    client.socket.end()
    const drained = await node.event('backend-drained')
    expect(drained).toEqual({
      type: 'backend-drained',
      listener: LISTENER,
      backend: replica(1),
      version,
    })
    await client.closed
    expect({ text: client.text, ended: client.ended }).toEqual({ text: '1:ab', ended: true })
  })

  test('an idle one is drained at once', async () => {
    const node = await startFixture()
    await node.open()
    await node.applyBackends([backend(1, 1)])
    const version = await node.applyBackends([])
    expect(node.events.slice(-2).map(({ type }) => type)).toEqual([
      'backends-applied',
      'backend-drained',
    ])
    expect(await node.event('backend-drained')).toMatchObject({ backend: replica(1), version })
  })

  test('cut: what is left is reset on both sides, and drained', async () => {
    const node = await startFixture()
    const errors: string[] = []
    const upstream = await startUpstream((socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
      socket.pipe(socket)
    })
    const port = await node.open()
    await node.applyBackends([backend(1, upstream.port)])
    const client = new Client(port)
    await client.exchange('hi', 'hi')
    await node.applyBackends([])
    node.listeners.apply({ type: 'cut-backend', listener: LISTENER, backend: replica(1) })
    await node.event('backend-drained')
    await client.closed
    await until(() => errors.length > 0)
    expect([client.error?.code, ...errors]).toEqual(['ECONNRESET', 'ECONNRESET'])
  })
})
