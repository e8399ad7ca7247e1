/** UDP listeners of a running node: opened, changed, kept from their port, moved, ended. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, onTestFinished, test } from 'vitest'
import type { ListenerView, ReplicaView } from '../../core/node/view.ts'
import { missing, type RunningNode, runWeir, until } from './running-node.ts'
import { ANSWERER, Asker } from './udp/asker.ts'
import {
  bound,
  closed,
  dropped,
  freePortPairs,
  isAlive,
  metric,
  startNode,
  titleOf,
  WAYS,
  type Way,
} from './udp/ways.ts'

const run = promisify(execFile)
const ASK_BETWEEN = fileURLToPath(new URL('udp/ask-between.ts', import.meta.url))

let node: RunningNode | undefined

afterEach(async () => {
  await node?.stop()
  node = undefined
})

interface Wanted {
  readonly name: string
  readonly port: number
  readonly udp?: string
  readonly expose?: 'public' | 'internal'
}

const endpointOf = ({ name, port, udp = '', expose = 'internal' }: Wanted): string => `
      - name: ${name}
        protocol: udp
        port: ${port}
        expose: ${expose}
        balance: { strategy: round_robin }
        udp: { ${udp} health: { type: udp_probe, request: ping, expect: ping, timeout: 10s } }`

/** A service whose program answers at every endpoint. */
const serviceOf = (name: string, ...endpoints: readonly Wanted[]): string => `
  ${name}:
    command: [node, answerer.mjs]
    scale: { mode: fixed, replicas: 2 }
    endpoints: ${endpoints.map(endpointOf).join('')}`

const fileOf = (...services: readonly string[]): string => `
version: v1
deployment: post
services: ${services.join('')}
`

const fileFor = (...endpoints: readonly Wanted[]): string => fileOf(serviceOf('post', ...endpoints))

async function start(way: Way, file: string, under: readonly string[] = []): Promise<RunningNode> {
  node = await startNode(way, { 'weir.yaml': file, 'answerer.mjs': ANSWERER }, under)
  return node
}

async function deploy(running: RunningNode, file: string, ...words: string[]): Promise<void> {
  await writeFile(join(running.directory, 'weir.yaml'), file)
  const answer = await running.weir('deploy', 'weir.yaml', ...words)
  expect(answer, JSON.stringify(answer)).toMatchObject({ code: 0 })
}

async function newAsker(...where: Parameters<typeof Asker.to>): Promise<Asker> {
  const asker = await Asker.to(...where)
  onTestFinished(() => asker.close())
  return asker
}

/** Its socket on IPv4. */
const listener = async (running: RunningNode, endpoint: string) =>
  (await running.json<ListenerView[]>('listeners')).find(
    (each) => each.endpoint === endpoint && !each.address.startsWith('['),
  )

const localAddresses = (): readonly string[] =>
  Object.values(networkInterfaces())
    .flatMap((infos = []) => infos)
    .filter(({ family }) => family === 'IPv4')
    .map(({ address }) => address)

const pairsOf = (addresses: readonly string[]): readonly (readonly [from: string, to: string])[] =>
  addresses.flatMap((from) => addresses.map((to) => [from, to] as const))

describe.each(WAYS)('UDP by $way', ({ way, lacks }) => {
  const cannot = lacks !== undefined
  const title = (text: string) => titleOf(text, lacks)

  test.skipIf(cannot)(title('another udp block holds at once, and flows go on'), async () => {
    const [port = 0] = await freePortPairs(1)
    const running = await start(way, fileFor({ name: 'post', port, udp: 'max_datagram: 100,' }))
    const pids = (await running.json<ReplicaView[]>('ps')).map(({ pid }) => pid)
    const askers = [await newAsker(port), await newAsker(port)]
    const askAll = (text: string) => Promise.all(askers.map((asker) => asker.ask(text)))
    const before = await askAll('one')
    expect(before.map(({ replica }) => replica).toSorted()).toEqual(['1', '2'])

    await deploy(running, fileFor({ name: 'post', port, udp: 'max_datagram: 30, max_flows: 2,' }))
    expect(await askAll('two')).toEqual(before.map((each) => ({ ...each, text: 'two' })))
    askers[0]!.tell('longer than datagrams may be from now on')
    await until(async () => (await dropped(running)).oversize === 1)
    expect(await askAll('three')).toEqual(before.map((each) => ({ ...each, text: 'three' })))
    expect((await running.json<ReplicaView[]>('ps')).map(({ pid }) => pid)).toEqual(pids)
    expect(await metric(running, 'weir_udp_flows_created_total')).toEqual({ post: 2 })
  })

  test.skipIf(cannot)(
    title('the port of an endpoint that is removed or moved is anybody’s at once'),
    async () => {
      const [port = 0, extra = 0, moved = 0] = await freePortPairs(3)
      const post = { name: 'post', port }
      const running = await start(way, fileFor(post, { name: 'extra', port: extra }))
      for (const each of [port, extra]) await (await newAsker(each)).ask('a flow that is there')
      await expect(bound(extra, '127.0.0.1')).rejects.toThrow(/EADDRINUSE/)

      await deploy(running, fileFor(post), '--no-wait')
      await until(async () => (await listener(running, 'extra')) === undefined)
      const taken = await bound(extra, '0.0.0.0')
      onTestFinished(() => closed(taken))

      await deploy(running, fileFor({ name: 'post', port: moved }))
      const other = await bound(port, '0.0.0.0')
      onTestFinished(() => closed(other))
      expect((await (await newAsker(moved)).ask('there now')).text).toBe('there now')
    },
  )

  test.skipIf(cannot)(
    title('a port that somebody else has is waited for, and it is said who has it'),
    async () => {
      const [port = 0, wanted = 0] = await freePortPairs(2)
      const running = await start(way, fileFor({ name: 'post', port }))
      const stranger = await bound(wanted, '127.0.0.1')
      const both = fileFor({ name: 'post', port }, { name: 'more', port: wanted, expose: 'public' })
      await deploy(running, both, '--no-wait')
      await running.says(
        new RegExp(
          `cannot listen on 0\\.0\\.0\\.0:${wanted}: .*held by .*\\(pid ${process.pid}\\)`,
        ),
      )
      const holder = `(pid ${process.pid})`
      await until(async () => {
        const more = await listener(running, 'more')
        return more?.state === 'retrying' && more.detail.includes(holder)
      })
      for (const command of ['listeners', 'status']) {
        await until(async () => (await running.weir(command)).out.includes(holder))
      }
      expect((await (await newAsker(port)).ask('meanwhile')).text).toBe('meanwhile')

      await closed(stranger)
      await until(async () => (await listener(running, 'more'))?.state === 'serving')
      await deploy(running, both)
      expect((await (await newAsker(wanted)).ask('at last')).text).toBe('at last')
    },
  )

  test.skipIf(cannot)(
    title('udp W27: a public endpoint answers from the address that was asked, whoever asks'),
    async () => {
      const [port = 0] = await freePortPairs(1)
      await start(way, fileFor({ name: 'post', port, expose: 'public' }))
      for (const [from, to] of pairsOf(localAddresses())) {
        const asker = await newAsker(port, to, from)
        expect((await asker.ask(`${from} to ${to}`)).text).toBe(`${from} to ${to}`)
      }
    },
  )

  const noNetwork = process.getuid?.() === 0 ? missing('ip', 'nsenter', 'unshare') : 'needs root'

  test.skipIf(cannot || noNetwork !== undefined)(
    titleOf('udp W27: so it does where addresses come while it runs', lacks, noNetwork),
    async () => {
      const [port = 0] = await freePortPairs(1)
      // a network of its own, in which there is nobody else
      const setUp = 'ip link set lo up && ip address add 10.1.0.1/32 dev lo && exec "$@"'
      const under = ['unshare', '--net', 'sh', '-c', setUp, 'sh']
      const file = fileFor({ name: 'post', port, expose: 'public' })
      const running = await start(way, file, under)
      const inside = (...words: string[]) =>
        run('nsenter', [`--net=/proc/${running.pid}/ns/net`, ...words])
      const ask = (pairs: readonly (readonly string[])[]) =>
        inside(process.execPath, ASK_BETWEEN, String(port), ...pairs.map((pair) => pair.join()))
      expect((await ask(pairsOf(['127.0.0.1', '10.1.0.1']))).stdout).toBe('4 answered\n')
      await inside('ip', 'address', 'add', '10.1.0.2/32', 'dev', 'lo')
      // one by one the plain way looks for them now and then, and until then nobody is there
      await until(() =>
        ask([['127.0.0.1', '10.1.0.2']]).then(
          () => true,
          () => false,
        ),
      )
      const all = pairsOf(['127.0.0.1', '10.1.0.1', '10.1.0.2'])
      expect((await ask(all)).stdout).toBe('9 answered\n')
    },
  )

  const noLimits = missing('prlimit')

  test.skipIf(cannot || noLimits !== undefined)(
    titleOf('udp W18: listeners that ask for no number of flows share one budget', lacks, noLimits),
    async () => {
      const [one = 0, two = 0, three = 0] = await freePortPairs(3)
      const services = [
        serviceOf('one', { name: 'one', port: one }),
        serviceOf('two', { name: 'two', port: two }),
        serviceOf('three', { name: 'three', port: three, udp: 'max_flows: 100,' }),
      ] as const
      const under = ['prlimit', '--nofile=1000']
      const running = await start(way, fileOf(services[0]), under)
      const shares = () => metric(running, 'weir_udp_flows_max')
      expect(await shares()).toEqual({ one: 700 })
      await deploy(running, fileOf(...services.slice(0, 2)))
      expect(await shares()).toEqual({ one: 350, two: 350 })
      await deploy(running, fileOf(...services))
      // each endpoint has a listener at 127.0.0.1 and one at ::1, and a number asked for is of each
      expect(await shares()).toEqual({ one: 250, two: 250, three: 200 })

      // a full table sheds newcomers, within what the system allows
      const askers: Asker[] = []
      for (let count = 0; count < 125; count++) askers.push(await newAsker(one))
      for (const asker of askers) expect((await asker.ask('mine')).text).toBe('mine')
      ;(await newAsker(one)).tell('one too many')
      await until(async () => (await dropped(running)).shed === 1)
      for (const asker of askers) expect((await asker.ask('still mine')).text).toBe('still mine')
      expect(await dropped(running)).toEqual({ shed: 1 })

      await deploy(running, fileOf(services[0]))
      await until(async () => (await shares()).one === 700)
    },
  )

  test.skipIf(cannot)(
    title('Ctrl-C with flows leaves no process, no port, and a journal that replays'),
    async () => {
      const [port = 0] = await freePortPairs(1)
      const running = await start(way, fileFor({ name: 'post', port, expose: 'public' }))
      await (await newAsker(port)).ask('a flow that is there')
      const pids = (await running.json<ReplicaView[]>('ps')).map(({ pid }) => pid as number)
      running.signal('SIGINT')
      expect(await running.exited()).toBe(0)
      expect(pids.filter(isAlive)).toEqual([])
      await closed(await bound(port, '0.0.0.0'))
      const replay = await runWeir(['replay', join(running.state, 'journal')], running.directory)
      expect(replay.out).toMatch(/identical/)
      expect(replay.code).toBe(0)
    },
  )
})
