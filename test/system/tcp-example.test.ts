/** The TCP example as its README has it, at ports from the kernel. */
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import type { NodeView, ReplicaView } from '../../core/node/view.ts'
import type { ListenerRow } from '../../shells/node/operator/api.ts'
import { freePorts, missing, newDirectory, RunningNode, runWeir, until } from './running-node.ts'

const EXAMPLE = fileURLToPath(new URL('../../docs/examples/tcp/', import.meta.url))
const HELLO = /^hello 127\.0\.0\.1:(\d+), this is echo replica ([12])\n/

let node: RunningNode
const clients = new Set<Client>()

afterEach(async () => {
  for (const client of clients) client.socket.destroy()
  clients.clear()
  await node.stop()
})

interface Client {
  readonly socket: Socket
  /** All it heard so far. */
  heard(): string
  readonly closed: Promise<unknown>
}

async function clientOf(socket: Socket, connected: string): Promise<Client> {
  let text = ''
  socket.on('data', (data: Buffer) => {
    text += data
  })
  const closed = new Promise((resolve) => socket.once('close', resolve))
  await once(socket, connected)
  socket.on('error', () => undefined) // the cut at the end of a drain
  const client = { socket, heard: () => text, closed }
  clients.add(client)
  return client
}

const dial = (port: number): Promise<Client> => clientOf(connect(port, '127.0.0.1'), 'connect')

async function hears(client: Client, pattern: RegExp): Promise<RegExpExecArray> {
  await until(
    () => pattern.test(client.heard()),
    () => `no ${pattern} in ${JSON.stringify(client.heard())}`,
  )
  return pattern.exec(client.heard()) as RegExpExecArray
}

/** `weir.yaml` or another file of the example, with other ports. */
async function start(
  file: string,
  change: (text: string) => string,
  words: readonly string[] = [],
): Promise<void> {
  const directory = await newDirectory()
  await symlink(join(EXAMPLE, 'echo.mjs'), join(directory, 'echo.mjs'))
  const text = change(await readFile(join(EXAMPLE, file), 'utf8'))
  node = await RunningNode.start({ [file]: text }, { directory, words: [file, ...words] })
}

describe('plain', () => {
  let port: number
  let mapped: number

  async function startPlain(): Promise<void> {
    ;[port = 0, mapped = 0] = await freePorts(2)
    await start('weir.yaml', (text) =>
      text
        .replaceAll('7007', String(port))
        .replaceAll('7070', String(mapped))
        .replace('drain_timeout: 20s', 'drain_timeout: 1s'),
    )
    await node.ready()
  }

  test('clients are known by their address, reach both replicas, and end half by half', async () => {
    await startPlain()
    const both = [await dial(port), await dial(port)]
    const replicas: (string | undefined)[] = []
    for (const client of both) {
      const [, clientPort, replica] = await hears(client, HELLO)
      expect(Number(clientPort)).toBe(client.socket.localPort)
      replicas.push(replica)
    }
    expect(replicas.sort()).toEqual(['1', '2'])
    for (const client of both) {
      client.socket.end('ahoy\n')
      await hears(client, /ahoy\n$/)
      await client.closed
    }
  })

  test('mappings lead there, too: the one given, and the one that status names', async () => {
    await startPlain()
    await hears(await dial(mapped), HELLO)
    const endpoints = async () => (await node.json<NodeView>('status')).services[0]?.endpoints ?? []
    await until(async () => (await endpoints()).every((url) => !url.endsWith(':0')))
    const [first, given, free] = await endpoints()
    expect([first, given]).toEqual([`tcp://0.0.0.0:${port}`, `tcp://127.0.0.1:${mapped}`])
    await hears(await dial(Number(new URL(free as string).port)), HELLO)
    expect((await node.weir('status')).out).toMatch(new RegExp(`^ +${free}$`, 'm'))
  })

  test('listeners says what each socket is for, and what goes through it', async () => {
    await startPlain()
    await hears(await dial(port), HELLO)
    await hears(await dial(port), HELLO)
    const rows = async () => node.json<ListenerRow[]>('listeners')
    const public4 = async () => (await rows()).find(({ address }) => address === `0.0.0.0:${port}`)
    await until(async () => (await public4())?.connections === 2)
    expect(await public4()).toMatchObject({ purpose: 'public', state: 'serving', backends: 2 })
    const table = (await node.weir('listeners')).out
    expect(table).toMatch(
      new RegExp(`^echo +lines +tcp +public +0\\.0\\.0\\.0:${port} +serving +2 +2$`, 'm'),
    )
    expect(table).toMatch(
      new RegExp(
        `^echo +${port}/tcp +tcp +mapping +127\\.0\\.0\\.1:${mapped} +serving +2 +0$`,
        'm',
      ),
    )
  })

  test('a restart leaves open connections their time, then cuts them', async () => {
    await startPlain()
    const client = await dial(port)
    const [, , replica] = await hears(client, HELLO)
    const before = await node.json<ReplicaView[]>('ps')
    expect((await node.weir('restart', 'echo', '--replica', replica as string)).code).toBe(0)
    client.socket.write('still here\n')
    await hears(client, /still here\n$/)
    await client.closed // its replica had a second
    await until(async () => {
      const replicas = await node.json<ReplicaView[]>('ps')
      const isNew = ({ pid }: ReplicaView) => before.every((each) => each.pid !== pid)
      return replicas.length === 2 && replicas.filter(isNew).length === 1
    })
    await hears(await dial(port), HELLO)
  })

  test('remove answers when the ports can be bound again, whoever was connected', async () => {
    await startPlain()
    await hears(await dial(port), HELLO)
    expect((await node.weir('remove', 'lines')).code).toBe(0)
    for (const each of [port, mapped]) {
      const server = createServer()
      server.listen(each, '0.0.0.0')
      await once(server, 'listening')
      server.close()
    }
  })

  test('down counts the connections down', async () => {
    await startPlain()
    await hears(await dial(port), HELLO)
    await hears(await dial(mapped), HELLO)
    const { code, out } = await node.weir('down')
    expect(code).toBe(0)
    expect(out).toMatch(
      /^stopping for 0s: 2 connections left, cut in (29|30)s at the latest; \d replicas left: /,
    )
    expect(out).toMatch(/\nstopped\n$/)
    expect(await node.exited()).toBe(0)
    expect(node.output).toMatch(/^stopped$/m)
  })
})

const unable = missing('openssl')

describe.skipIf(unable !== undefined)(
  `with TLS${unable === undefined ? '' : ` (${unable})`}`,
  () => {
    test('the certificate of the node file is shown, and replicas get what is said', async () => {
      const [port = 0, metrics = 0] = await freePorts(2)
      const directory = await newDirectory()
      const nodeFile = (await readFile(join(EXAMPLE, 'node.yaml'), 'utf8')).replace(
        '9464',
        String(metrics),
      )
      await writeFile(join(directory, 'node.yaml'), nodeFile)
      const certificates = join(directory, 'certificates')
      await mkdir(certificates)
      makeCertificate(certificates)
      const ca = await readFile(join(certificates, 'localhost.crt'))
      const settings = ['--node', join(directory, 'node.yaml')]
      await start('secure.yaml', (text) => text.replaceAll('7443', String(port)), settings)
      await node.ready()

      const checked = await runWeir(['check', 'secure.yaml', ...settings], node.directory)
      expect(checked).toMatchObject({ code: 0, err: '' })
      const options = { port, host: '127.0.0.1', servername: 'localhost', ca }
      const client = await clientOf(connectTls(options), 'secureConnect')
      await hears(client, HELLO)
      client.socket.write('ahoy\n')
      await hears(client, /ahoy\n$/)
      client.socket.end()
      await client.closed
      const answer = await fetch(`http://127.0.0.1:${metrics}/metrics`)
      expect(await answer.text()).toContain('service="secure-echo"')
      expect((await node.weir('listeners')).out).toMatch(
        new RegExp(
          `^\\(node\\) +metrics +http +metrics +127\\.0\\.0\\.1:${metrics} +(listening|serving)`,
          'm',
        ),
      )
    })

    test('without certificates it is refused at its place', async () => {
      await start('secure.yaml', (text) => text)
      expect(await node.exited()).toBe(1)
      expect(node.output).toMatch(/^secure\.yaml:\d+:\d+: .*certificates/)
    })
  },
)

/** As the README says. */
function makeCertificate(directory: string): void {
  const words =
    'req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 30 -subj /CN=localhost ' +
    '-addext subjectAltName=DNS:localhost -keyout localhost.key -out localhost.crt'
  execFileSync('openssl', words.split(' '), { cwd: directory, stdio: 'ignore' })
}
