import { createSocket } from 'node:dgram'
import { existsSync } from 'node:fs'
import {
  createServer as createHttpServer,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import { type AddressInfo, createServer, isIPv6, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { ProbeTarget } from '../../../../core/node/commands.ts'
import type { ProbeEvent } from '../../../../core/node/events.ts'
import {
  makeProbes,
  type Probes,
  type ProbesOptions,
} from '../../../../shells/node/probe/probes.ts'
import {
  freshNodeId,
  pidIn,
  REPLICA,
  runs,
  temporaryDirectory,
  until,
} from '../process/runtime-harness.ts'

interface Opened {
  readonly probes: Probes
  readonly events: ProbeEvent[]
  readonly directory: string
  ask(target: ProbeTarget, timeoutMs?: number): Promise<ProbeEvent>
  close(): Promise<void>
}

async function open(limits: NonNullable<ProbesOptions['limits']> = {}): Promise<Opened> {
  const events: ProbeEvent[] = []
  const directory = temporaryDirectory()
  const env = {
    PATH: process.env.PATH ?? '',
    PORT: '20001',
    WEIR_NODE: freshNodeId(),
    WEIR_INSTANCE: REPLICA,
  }
  const scope = Scope.makeUnsafe()
  let applying = false
  const options: ProbesOptions = {
    limits,
    environmentOf: (replica) => (replica === REPLICA ? { env, directory } : undefined),
    report: (event) => {
      if (applying) throw new Error('reported while a command was applied')
      events.push(event)
    },
  }
  const probes = await Effect.runPromise(Scope.provide(makeProbes(options), scope))
  const close = (): Promise<void> => Effect.runPromise(Scope.close(scope, Exit.void))
  onTestFinished(close)
  let attempt = 0
  const ask: Opened['ask'] = (target, timeoutMs = 10_000) => {
    const mine = ++attempt
    applying = true
    probes.apply({
      type: 'probe',
      replica: REPLICA,
      check: 'main',
      attempt: mine,
      target,
      timeoutMs,
    })
    applying = false
    return until(() => events.find((event) => event.attempt === mine))
  }
  return { probes, events, directory, ask, close }
}

const healthy = { type: 'probe-result', replica: REPLICA, check: 'main', ok: true, reason: '' }
const failed = (reason: unknown) => ({ type: 'probe-result', replica: REPLICA, ok: false, reason })

const command = (text: string): ProbeTarget => ({ type: 'command', command: text })

function serve(server: Server, host = '127.0.0.1'): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => sockets.add(socket))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, () => resolve((server.address() as AddressInfo).port))
  })
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void
const serveHttp = (answer: Answer, host?: string) => serve(createHttpServer(answer), host)

const http = (
  port: number,
  more: Partial<Extract<ProbeTarget, { type: 'http' }>> = {},
): ProbeTarget => ({
  type: 'http',
  host: '127.0.0.1',
  port,
  path: '/',
  authority: 'localhost',
  expectStatus: 200,
  ...more,
})

async function refusingPort(): Promise<number> {
  const server = createServer()
  const port = await serve(server)
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('tcp', () => {
  test('healthy when the connection is accepted', async () => {
    const { ask } = await open()
    const port = await serve(createServer())
    expect(await ask({ type: 'tcp', host: '127.0.0.1', port })).toMatchObject(healthy)
  })

  test('unhealthy when it is refused', async () => {
    const { ask } = await open()
    const port = await refusingPort()
    const answer = await ask({ type: 'tcp', host: '127.0.0.1', port })
    expect(answer).toMatchObject(failed('connection refused'))
  })

  test('an impossible port is an answer, too', async () => {
    const { ask } = await open()
    const answer = await ask({ type: 'tcp', host: '127.0.0.1', port: 70_000 })
    expect(answer).toMatchObject(failed(expect.stringContaining('65536')))
  })

  test('services W42: an IPv6 address', async () => {
    const { ask } = await open()
    const port = await serve(createServer(), '::1')
    expect(await ask({ type: 'tcp', host: '::1', port })).toMatchObject(healthy)
    expect(await ask({ type: 'tcp', host: '[::1]', port })).toMatchObject(healthy)
  })
})

describe('udp', () => {
  const udp = (
    port: number,
    more: Partial<Extract<ProbeTarget, { type: 'udp' }>> = {},
  ): ProbeTarget => ({ type: 'udp', host: '127.0.0.1', port, request: '70696e67', ...more })

  /** Answers each datagram with what `reply` makes of it; nothing where that is undefined. */
  async function serveUdp(
    reply: (payload: Buffer) => Buffer | undefined,
    host = '127.0.0.1',
  ): Promise<number> {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    onTestFinished(() => void socket.close())
    socket.on('message', (payload, { port, address }) => {
      const answer = reply(payload)
      if (answer !== undefined) socket.send(answer, port, address)
    })
    await new Promise<void>((resolve) => socket.bind(0, host, resolve))
    return socket.address().port
  }

  test('healthy when the datagram is answered, with whatever', async () => {
    const { ask } = await open()
    const seen: string[] = []
    const port = await serveUdp((payload) => {
      seen.push(payload.toString())
      return Buffer.alloc(0)
    })
    expect(await ask(udp(port))).toMatchObject(healthy)
    expect(seen).toEqual(['ping'])
  })

  test('with what is expected, anywhere in the answer', async () => {
    const { ask } = await open()
    const port = await serveUdp(() => Buffer.from('\0pong!'))
    expect(await ask(udp(port, { expect: '706f6e67' }))).toMatchObject(healthy)
  })

  const WRONG: readonly [string, Buffer, string][] = [
    ['text', Buffer.from('nope'), 'unexpected answer: "nope"'],
    ['bytes', Buffer.from([0, 1, 2]), 'unexpected answer: 000102 (hex)'],
    ['nothing', Buffer.alloc(0), 'unexpected answer: an empty datagram'],
    ['much', Buffer.from('x'.repeat(100)), `unexpected answer: "${'x'.repeat(32)}…"`],
  ]
  for (const [name, answer, reason] of WRONG) {
    test(`unhealthy with another answer: ${name}`, async () => {
      const { ask } = await open()
      const port = await serveUdp(() => answer)
      expect(await ask(udp(port, { expect: '706f6e67' }))).toMatchObject(failed(reason))
    })
  }

  test('unhealthy when nobody has the port', async () => {
    const { ask } = await open()
    const socket = createSocket('udp4')
    const port = await new Promise<number>((resolve) =>
      socket.bind(0, '127.0.0.1', () => resolve(socket.address().port)),
    )
    await new Promise<void>((resolve) => socket.close(resolve))
    expect(await ask(udp(port))).toMatchObject(failed('connection refused'))
  })

  test('unhealthy when nothing comes in time; asked once', async () => {
    const { ask, probes } = await open()
    let asked = 0
    const port = await serveUdp(() => {
      asked += 1
      return undefined
    })
    expect(await ask(udp(port), 100)).toMatchObject(failed('no answer within 100ms'))
    expect(asked).toBe(1)
    await until(() => probes.counters().running === 0)
  })

  test('an impossible port is an answer, too', async () => {
    const { ask } = await open()
    expect(await ask(udp(70_000))).toMatchObject(failed(expect.stringContaining('65536')))
  })

  test('an IPv6 address', async () => {
    const { ask } = await open()
    const port = await serveUdp((payload) => payload, '::1')
    expect(await ask(udp(port, { host: '::1' }))).toMatchObject(healthy)
    expect(await ask(udp(port, { host: '[::1]' }))).toMatchObject(healthy)
  })

  test('cancelled, it leaves no socket behind and says nothing', async () => {
    const { probes, events } = await open()
    const port = await serveUdp(() => undefined)
    const asked = { replica: REPLICA, check: 'dns/udp_probe', attempt: 1 } as const
    probes.apply({ type: 'probe', ...asked, target: udp(port), timeoutMs: 60_000 })
    probes.apply({ type: 'cancel-probe', ...asked })
    await until(() => probes.counters().running === 0)
    expect(events).toEqual([])
  })

  test('checks of one replica with one attempt are two probes', async () => {
    const { probes, events } = await open()
    const port = await serveUdp((payload) => payload)
    for (const check of ['dns/udp_probe', 'other/udp_probe'] as const) {
      const asked = { type: 'probe', replica: REPLICA, check, attempt: 1 } as const
      probes.apply({ ...asked, target: udp(port), timeoutMs: 10_000 })
    }
    probes.apply({ type: 'cancel-probe', replica: REPLICA, check: 'dns/udp_probe', attempt: 1 })
    await until(() => probes.counters().running === 0)
    expect(events).toEqual([{ ...healthy, check: 'other/udp_probe', attempt: 1 }])
  })
})

describe('http', () => {
  test('services W42: the path and the host are sent as they are written', async () => {
    const { ask } = await open()
    const seen: unknown[] = []
    const port = await serveHttp((request, response) => {
      seen.push([request.method, request.url, request.headers.host])
      response.end('ok')
    })
    const path = '/x//localhost/../127.0.0.1?a=localhost&b=%20'
    expect(await ask(http(port, { path, authority: 'shop.example:8080' }))).toMatchObject(healthy)
    expect(seen).toEqual([['GET', path, 'shop.example:8080']])
  })

  test('services W42: an IPv6 address needs no brackets, and may have them', async () => {
    const { ask } = await open()
    const port = await serveHttp((_, response) => response.end(), '::1')
    expect(await ask(http(port, { host: '::1', authority: '[::1]' }))).toMatchObject(healthy)
    expect(await ask(http(port, { host: '[::1]' }))).toMatchObject(healthy)
  })

  test('services W42: the time limit is the one given', async () => {
    const { ask, events, probes } = await open()
    const port = await serveHttp(() => {})
    const answers = await Promise.all([ask(http(port), 1), ask(http(port), 1_500)])
    expect(answers.map((answer) => answer.reason)).toEqual([
      'no answer within 1ms',
      'no answer within 1.5s',
    ])
    const slow = await serveHttp((_, response) => void setTimeout(() => response.end(), 300))
    expect(await ask(http(slow), 15_000)).toMatchObject(healthy)
    // what is cut off after its time answers no second time
    await until(() => probes.counters().running === 0)
    expect(events).toHaveLength(3)
  })

  test('the status is exactly the expected one, and redirects are not followed', async () => {
    const { ask } = await open()
    const seen: unknown[] = []
    const port = await serveHttp((request, response) => {
      seen.push(request.url)
      response.writeHead(302, { location: '/elsewhere' }).end()
    })
    expect(await ask(http(port))).toMatchObject(failed('status 302, expected 200'))
    expect(await ask(http(port, { expectStatus: 302 }))).toMatchObject(healthy)
    expect(seen).toEqual(['/', '/'])
  })

  test('an endless body is not read to its end', async () => {
    const { ask, probes } = await open()
    const port = await serveHttp((_, response) => {
      const more = (): void => {
        while (response.write(Buffer.alloc(16 * 1024)));
      }
      response.on('drain', more)
      more()
    })
    expect(await ask(http(port), 60_000)).toMatchObject(healthy)
    await until(() => probes.counters().running === 0)
  })

  const ODD_ROWS = [
    { name: 'not HTTP', says: 'SSH-2.0-OpenSSH\r\n\r\n', reason: 'the answer is not HTTP' },
    { name: 'nothing', says: '', reason: 'connection closed without an answer' },
    {
      name: 'an endless head',
      says: `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`,
      reason: 'the head of the answer is too long',
    },
  ]
  for (const { name, says, reason } of ODD_ROWS) {
    test(`the program says ${name}`, async () => {
      const { ask } = await open()
      const port = await serve(
        createServer((socket) => {
          socket.on('error', () => {})
          socket.once('data', () => socket.end(says))
        }),
      )
      expect(await ask(http(port))).toMatchObject(failed(reason))
    })
  }

  test('a body that breaks off after the right status changes nothing', async () => {
    const { ask, events, probes } = await open()
    const says = 'HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf'
    const port = await serve(
      createServer((socket) => void socket.once('data', () => socket.end(says))),
    )
    expect(await ask(http(port))).toMatchObject(healthy)
    await until(() => probes.counters().running === 0)
    expect(events).toHaveLength(1)
  })

  test('what cannot be sent is an answer', async () => {
    const { ask } = await open()
    const path = { path: '/with space' }
    expect(await ask(http(1, path))).toMatchObject(failed(expect.stringContaining('unescaped')))
    const host = { authority: 'a\nb' }
    expect(await ask(http(1, host))).toMatchObject(failed(expect.stringContaining('Host')))
    const refused = await refusingPort()
    expect(await ask(http(refused))).toMatchObject(failed('connection refused'))
  })
})

describe('command', () => {
  test('services W41: it runs in the environment and the directory of the replica', async () => {
    const { ask, directory } = await open()
    const check = `[ "$PORT" = 20001 ] && [ "$(pwd -P)" = ${directory} ] && [ -z "$VITEST" ]`
    expect(await ask(command(check))).toMatchObject(healthy)
  })

  const ROWS = [
    { name: 'the exit code', text: 'exit 3', reason: 'exit code 3' },
    {
      name: 'the last line',
      text: 'echo a >&2; echo b; echo c >&2; exit 1',
      reason: 'exit code 1: c',
    },
    { name: 'by its name', text: 'echo no > /dev/stderr; exit 1', reason: 'exit code 1: no' },
    { name: 'a signal', text: 'kill -SEGV $$', reason: 'ended by SIGSEGV' },
    {
      name: 'a long line',
      text: 'printf "%0999d" 7 >&2; exit 1',
      reason: `exit code 1: ${'0'.repeat(200)}…`,
    },
    { name: 'not found', text: 'no-such-prog-here', reason: /^exit code 127: .*not found$/ },
  ]
  for (const { name, text, reason } of ROWS) {
    test(`the reason tells ${name}`, async () => {
      const { ask } = await open()
      const wanted = typeof reason === 'string' ? reason : expect.stringMatching(reason)
      expect(await ask(command(text))).toMatchObject(failed(wanted))
    })
  }

  test('in time or not at all: the whole group is killed at the limit', async () => {
    const { ask, directory, probes } = await open()
    const file = join(directory, 'pid')
    const answer = ask(command(`trap "" TERM; sleep 1000 & echo $! > ${file}; wait`), 400)
    expect(await answer).toMatchObject(failed('no answer within 400ms'))
    await until(() => probes.counters().running === 0)
    const pid = pidIn(file)
    if (pid !== undefined) expect(runs(pid)).toBe(false)
  })

  test('a healthy check leaves nothing behind', async () => {
    const { ask, directory, probes } = await open()
    const file = join(directory, 'pid')
    expect(await ask(command(`sleep 1000 & echo $! > ${file}`))).toMatchObject(healthy)
    await until(() => probes.counters().running === 0)
    expect(runs(pidIn(file) ?? 0)).toBe(false)
  })

  test('a flood of output is read and dropped', async () => {
    const { ask } = await open()
    const flood = 'yes | head -c 20000000; yes | head -c 20000000 >&2; echo end >&2; exit 1'
    expect(await ask(command(flood))).toMatchObject(failed('exit code 1: end'))
  })

  test('a replica that is gone', async () => {
    const { probes, events } = await open()
    const gone = 'hello/web/9#9' as typeof REPLICA
    const target = command('true')
    probes.apply({
      type: 'probe',
      replica: gone,
      check: 'main',
      attempt: 1,
      target,
      timeoutMs: 1_000,
    })
    const answer = await until(() => events[0])
    expect(answer).toMatchObject({ replica: gone, ok: false, reason: 'the replica is not running' })
  })
})

describe('many and cancelled', () => {
  test('a cancelled probe is not answered, and its processes are killed', async () => {
    const { probes, events, directory } = await open()
    const file = join(directory, 'pid')
    const target = command(`echo $$ > ${file}; exec sleep 1000`)
    const asked = { replica: REPLICA, check: 'main', attempt: 77 } as const
    probes.apply({ type: 'probe', ...asked, target, timeoutMs: 60_000 })
    const pid = await until(() => pidIn(file))
    probes.apply({ type: 'cancel-probe', ...asked })
    await until(() => probes.counters().running === 0)
    expect(runs(pid)).toBe(false)
    expect(events).toEqual([])
    // cancelling what is over, or never was, does nothing
    probes.apply({ type: 'cancel-probe', ...asked })
    probes.apply({ type: 'cancel-probe', replica: REPLICA, check: 'main', attempt: 78 })
  })

  test('cancelled in the same turn: nothing is begun', async () => {
    const { probes, events, directory } = await open()
    const file = join(directory, 'begun')
    const asked = { replica: REPLICA, check: 'main', attempt: 1 } as const
    const target = command(`touch ${file}`)
    probes.apply({ type: 'probe', ...asked, target, timeoutMs: 60_000 })
    probes.apply({ type: 'cancel-probe', ...asked })
    await until(() => probes.counters().running === 0)
    expect([events, existsSync(file)]).toEqual([[], false])
  })

  test('so many at a time; the others wait their turn, too many are refused', async () => {
    const { probes, events } = await open({ connectionsMax: 2, waitingMax: 3 })
    let open_ = 0
    let openMax = 0
    const port = await serveHttp((_, response) => {
      openMax = Math.max(openMax, ++open_)
      setTimeout(() => {
        open_--
        response.end()
      }, 20)
    })
    for (let attempt = 1; attempt <= 7; attempt++) {
      const target = http(port)
      probes.apply({
        type: 'probe',
        replica: REPLICA,
        check: 'main',
        attempt,
        target,
        timeoutMs: 10_000,
      })
    }
    expect(probes.counters()).toEqual({ running: 2, waiting: 3, delayed: 3, refused: 2 })
    probes.apply({ type: 'cancel-probe', replica: REPLICA, check: 'main', attempt: 4 })
    await until(() => events.length === 6)
    await until(() => probes.counters().running === 0)
    const byAttempt = events.toSorted((a, b) => a.attempt - b.attempt)
    expect(byAttempt.map(({ attempt, reason }) => [attempt, reason])).toEqual([
      ...[1, 2, 3, 5].map((attempt) => [attempt, '']),
      ...[6, 7].map((attempt) => [attempt, 'too many probes are waiting']),
    ])
    expect(openMax).toBeLessThanOrEqual(2)
    expect(probes.counters()).toEqual({ running: 0, waiting: 0, delayed: 3, refused: 2 })
  })

  test('commands that hang keep no connection waiting', async () => {
    const { probes, ask } = await open({ commandsMax: 1 })
    const target = command('sleep 1000')
    probes.apply({
      type: 'probe',
      replica: REPLICA,
      check: 'main',
      attempt: 90,
      target,
      timeoutMs: 60_000,
    })
    const port = await serve(createServer())
    expect(await ask({ type: 'tcp', host: '127.0.0.1', port })).toMatchObject(healthy)
  })

  test('the end of the scope kills what is left and answers nothing', async () => {
    const { probes, events, directory, close } = await open()
    const file = join(directory, 'pid')
    const target = command(`echo $$ > ${file}; exec sleep 1000`)
    probes.apply({
      type: 'probe',
      replica: REPLICA,
      check: 'main',
      attempt: 1,
      target,
      timeoutMs: 60_000,
    })
    const pid = await until(() => pidIn(file))
    await close()
    expect([runs(pid), events]).toEqual([false, []])
  })
})
