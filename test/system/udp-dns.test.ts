/** A real name server behind Weir, asked by real and by impatient resolvers. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { ReplicaView } from '../../core/node/view.ts'
import type { FlowsAnswer } from '../../shells/node/operator/flows.ts'
import { missing, type RunningNode, runWeir, until } from './running-node.ts'
import { DnsClient, queryOf } from './udp/dns-client.ts'
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
} from './udp/ways.ts'

const run = promisify(execFile)
const noPrograms = missing('dig', 'dnsmasq')
const REPLICAS = 3
const ANSWERS = { A: ['10.1.2.3'], AAAA: ['fd00:0:0:0:0:0:0:3'] } as const

/** As a deployment file has bytes. */
const escaped = (bytes: Buffer): string =>
  [...bytes].map((byte) => `\\x${byte.toString(16).padStart(2, '0')}`).join('')

const fileFor = (port: number) => `
version: v1
deployment: names
services:
  dns:
    command: >-
      dnsmasq --no-daemon --conf-file=/dev/null --user=root --no-resolv --no-hosts
      --port=$PORT_DNS --listen-address=127.0.0.1 --bind-interfaces
      --address=/test.example/10.1.2.3 --address=/test.example/fd00::3
      --txt-record=who.example,$WEIR_REPLICA
    scale: { mode: fixed, replicas: ${REPLICAS} }
    endpoints:
      - name: dns
        protocol: udp
        port: ${port}
        balance: { strategy: round_robin }
        udp:
          responses: 1
          half_open_timeout: 60s
          health:
            - type: udp_probe
              request: '${escaped(queryOf(1, 'probe.test.example', 'A'))}'
              expect: '\\x0a\\x01\\x02\\x03'
              interval: 1s
              timeout: 10s
            - { type: tcp_connect, interval: 1s, timeout: 10s }
      - { name: dns-tcp, protocol: tcp, port: ${port} }
`

describe.each(WAYS)('dnsmasq behind weir, UDP by $way', ({ way, lacks }) => {
  const cannot = lacks !== undefined || noPrograms !== undefined
  const title = (text: string) => titleOf(text, lacks, noPrograms)
  let node: RunningNode
  let port: number
  const clients: DnsClient[] = []

  beforeAll(async () => {
    if (cannot) return
    port = (await freePortPairs(1))[0]!
    node = await startNode(way, { 'weir.yaml': fileFor(port) })
  })

  afterAll(async () => {
    for (const client of clients) client.close()
    await node?.stop()
  })

  const newClient = (againMs?: number): DnsClient => {
    const client = new DnsClient(port, againMs)
    clients.push(client)
    return client
  }

  const dig = async (...words: string[]): Promise<string> => {
    const where = ['@127.0.0.1', '-p', String(port), '+tries=1', '+time=60']
    return (await run('dig', [...where, ...words], { cwd: node.directory })).stdout
  }

  /** Both of a name at once, as a resolver does; what came is checked. */
  const askPair = (client: DnsClient, name: string): Promise<void> => {
    const one = async (type: keyof typeof ANSWERS): Promise<void> => {
      expect((await client.ask(name, type)).records).toEqual(ANSWERS[type])
    }
    return Promise.all([one('A'), one('AAAA')]).then(() => {})
  }

  const replicasNow = () => node.json<ReplicaView[]>('ps')

  test.skipIf(cannot)(
    title('udp W35: dig gets A and AAAA, over UDP and TCP on one port'),
    async () => {
      expect(await dig('test.example', 'A', '+short')).toBe('10.1.2.3\n')
      expect(await dig('test.example', 'AAAA', '+short')).toBe('fd00::3\n')
      expect(await dig('+tcp', 'test.example', 'A', '+short')).toBe('10.1.2.3\n')
      const questions = Array.from({ length: 100 }, (_, i) => `q${i}.test.example`)
      const batch = questions.flatMap((name) => [`${name} A\n`, `${name} AAAA\n`]).join('')
      await writeFile(join(node.directory, 'batch'), batch)
      const lines = (await dig('-f', 'batch', '+noall', '+answer')).trim().split('\n')
      expect(lines.map((line) => line.replace(/\s+/g, ' '))).toEqual(
        questions.flatMap((name) => [`${name}. 0 IN A 10.1.2.3`, `${name}. 0 IN AAAA fd00::3`]),
      )
    },
  )

  test.skipIf(cannot)(
    title('udp W6: of 1,000 questions, A and AAAA pipelined from one socket, none is lost'),
    async () => {
      const before = await metric(node, 'weir_udp_datagrams_total', 'direction')
      const client = newClient()
      // each pair alone: whichever answer comes first, the other one comes too (udp W6)
      for (let count = 0; count < 250; count++) await askPair(client, `n${count}.test.example`)
      // and 32 pairs under way
      let left = 250
      const askOn = async (): Promise<void> => {
        while (left-- > 0) await askPair(client, `n${left}.test.example`)
      }
      await Promise.all(Array.from({ length: 32 }, askOn))
      expect(client.strays).toBe(0)

      const after = await metric(node, 'weir_udp_datagrams_total', 'direction')
      const passed = { in: after.in! - before.in!, out: after.out! - before.out! }
      expect(passed).toEqual({ in: 1_000, out: 1_000 })
      expect(await dropped(node)).toEqual({})
      const closed = await metric(node, 'weir_udp_flows_closed_total', 'reason')
      expect(closed.responses).toBe((await metric(node, 'weir_udp_flows_created_total')).dns)
      expect(await metric(node, 'weir_udp_flows')).toEqual({ dns: 0 })
    },
  )

  test.skipIf(cannot)(
    title('udp W16: questions go on while a replica is dead, and it serves again when it is back'),
    async () => {
      const sockets = Array.from({ length: 8 }, () => newClient(ASK_AGAIN_MS))
      const load = new Load(sockets, askPair)
      await until(() => load.answered > 500)
      await expectSeen(node)

      const victim = (await replicasNow()).find(({ number }) => number === 2)!
      process.kill(victim.pid as number, 'SIGKILL')
      const atDeath = load.answered
      await until(() => load.answered > atDeath + 500)
      await until(async () =>
        (await replicasNow()).every(({ state, pid }) => state === 'ready' && pid !== victim.pid),
      )
      const atReturn = load.answered
      await until(() => load.answered > atReturn + 500)
      await load.stop()
      // each socket may have had a pair under way to it, and asks no other before it asks again
      expect(load.repeated).toBeLessThanOrEqual(2 * sockets.length)
      // a socket refuses when it knows that nobody is at the other end; nothing else went wrong
      const { send_error: refused = 0, ...others } = await dropped(node)
      expect(others).toEqual({})
      expect(refused).toBeLessThanOrEqual(load.repeated)

      const answerers = new Set<string>()
      await until(async () => {
        for (const text of (await newClient().ask('who.example', 'TXT')).records)
          answerers.add(text)
        return answerers.size === REPLICAS
      })
      expect(await metric(node, 'weir_udp_backend_up', 'backend')).toEqual({
        'dns-1': 1,
        'dns-2': 1,
        'dns-3': 1,
      })
      const table = (await node.weir('listeners')).out
      expect(table).toMatch(/dns +dns +udp +internal +127\.0\.0\.1:\d+ +serving +3/)
      expect(table).toMatch(/dns +dns-tcp +tcp +internal +127\.0\.0\.1:\d+ +serving +3/)
    },
  )

  test.skipIf(cannot)(
    title('Ctrl-C leaves no process, no port, and a journal that replays identically'),
    async () => {
      const pids = (await replicasNow()).map(({ pid }) => pid as number)
      node.signal('SIGINT')
      expect(await node.exited()).toBe(0)
      expect(pids.filter(isAlive)).toEqual([])
      await closed(await bound(port, '0.0.0.0'))
      const replay = await runWeir(['replay', join(node.state, 'journal')], node.directory)
      expect(replay.out).toMatch(/identical/)
      expect(replay.code).toBe(0)
    },
  )
})

/** Long enough for a death to be known: who asks again gets an answer. */
const ASK_AGAIN_MS = 10_000

/** What an operator sees while questions are under way. */
async function expectSeen(node: RunningNode): Promise<void> {
  let seen: FlowsAnswer | undefined
  await until(async () => {
    seen = await node.json<FlowsAnswer>('flows', 'dns', '--sort', 'client')
    return seen.total > 1
  })
  expect(seen?.total).toBeLessThanOrEqual(8) // one for each socket; those answered go
  for (const flow of seen?.flows ?? []) {
    expect(flow).toMatchObject({ deployment: 'names', service: 'dns', endpoint: 'dns' })
    expect(flow.client).toMatch(/^127\.0\.0\.1:\d+$/)
    expect(flow.backend).toMatch(/^names\/dns\/[123]#/)
    expect(flow.expiresInMs).toBeGreaterThan(0)
    expect(flow.datagramsIn).toBeGreaterThanOrEqual(flow.datagramsOut)
  }
  await until(async () => {
    const table = (await node.weir('flows', '--backend', 'dns-1')).out
    return /^127\.0\.0\.1:\d+ +dns +dns +dns-1 +(opening|half-open|open|answering) /m.test(table)
  })
  expect((await node.weir('flows', '--client', '10.0.0.0/8')).out).toMatch(/no flow/)
}

/** Sockets that each ask one pair after the other; what gets no answer is asked again. */
class Load {
  readonly #clients: readonly DnsClient[]
  readonly #work: Promise<void>
  #running = true
  answered = 0

  constructor(
    clients: readonly DnsClient[],
    askPair: (client: DnsClient, name: string) => Promise<void>,
  ) {
    this.#clients = clients
    const one = async (client: DnsClient): Promise<void> => {
      for (let count = 0; this.#running; count++) {
        await askPair(client, `load${count}.test.example`)
        this.answered += 2
      }
    }
    this.#work = Promise.all(clients.map(one)).then(() => {})
    this.#work.catch(() => {}) // told by stop
  }

  get repeated(): number {
    return this.#clients.reduce((sum, client) => sum + client.repeated, 0)
  }

  async stop(): Promise<void> {
    this.#running = false
    await this.#work
  }
}
