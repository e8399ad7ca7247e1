/** A node with a UDP service, end to end: real sockets, real programs. */
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import fs from 'node:fs'
import path from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { expect, onTestFinished, test, vi } from 'vitest'
import type { NodeCommand } from '../../../core/node/commands.ts'
import type { NodeEvent } from '../../../core/node/events.ts'
import { NodeMachine } from '../../../core/node/node.ts'
import type { NodeSnapshot } from '../../../core/node/snapshot.ts'
import type { JsonValue } from '../../../core/spec/deployment.ts'
import { type ReplaySubject, replay } from '../../../shells/node/journal/replay.ts'
import { connect } from '../../../shells/node/operator/client.ts'
import { type NodeHandle, startNode } from '../../../shells/node/run.ts'
import { temporaryDirectory } from './temporary-directory.ts'

vi.setConfig({ testTimeout: 120_000 })

const SUBJECT: ReplaySubject<NodeEvent, NodeCommand> = {
  restore: (snapshot, now) => NodeMachine.restore(snapshot as unknown as NodeSnapshot, now),
  snapshot: (machine, now) => (machine as NodeMachine).snapshot(now) as unknown as JsonValue,
}

/** Answers with its replica and what it got. Sick, it answers probes wrongly; it still takes TCP. */
const PROGRAM = `
import { createSocket } from 'node:dgram'
import { createServer } from 'node:net'
const { PORT_DNS, PORT_DNS_TCP, WEIR_REPLICA } = process.env
let isSick = false
const socket = createSocket('udp4', (message, { port, address }) => {
  const text = message.toString()
  if (text === 'sicken') isSick = true
  const answer = text !== 'ping' ? WEIR_REPLICA + ':' + text : isSick ? 'no' : 'pong'
  socket.send(answer, port, address)
})
socket.bind(Number(PORT_DNS), '127.0.0.1')
createServer((peer) => peer.on('error', () => {}).end(WEIR_REPLICA)).listen(Number(PORT_DNS_TCP), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
`

async function start(directory: string): Promise<{ node: NodeHandle; close(): Promise<void> }> {
  const scope = Scope.makeUnsafe()
  const starting = startNode({
    stateDirectory: path.join(directory, '.weir'),
    version: '1.2.3',
    seed: 7,
    log: () => {},
  })
  let closing: Promise<void> | undefined
  const close = () => {
    closing ??= Effect.runPromise(Scope.close(scope, Exit.void))
    return closing
  }
  onTestFinished(close)
  return { node: await Effect.runPromise(Scope.provide(starting, scope)), close }
}

/** One number that is free for UDP and for TCP: the kernel's choice for UDP is tried for TCP. */
async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(resolve))
  return port
}

function source(directory: string, port: number, udp = '') {
  fs.writeFileSync(path.join(directory, 'dns.mjs'), PROGRAM)
  const probe = '{ type: udp_probe, request: ping, expect: pong, interval: 100ms, timeout: 30s }'
  const text = `
version: v1
deployment: names
services:
  dns:
    rtype: service
    command: [node, dns.mjs]
    scale: { mode: fixed, replicas: 2 }
    endpoints:
      - name: dns
        protocol: udp
        port: ${port}
        balance: { strategy: round_robin, fall: 2 }
        udp: { ${udp} health: [${probe}, { type: tcp_connect, interval: 100ms, timeout: 30s }] }
      - { name: dns-tcp, protocol: tcp, port: ${port} }
`
  return { text, file: 'weir.yaml', directory }
}

class Client {
  readonly #socket = createSocket('udp4')
  readonly #port: number
  #answers: string[] = []

  constructor(port: number) {
    this.#port = port
    onTestFinished(() => void this.#socket.close())
    this.#socket.on('message', (message) => void this.#answers.push(message.toString()))
  }

  /** Once: this machine loses nothing that was accepted. */
  async ask(text: string): Promise<string> {
    this.#answers = []
    this.#socket.send(text, this.#port, '127.0.0.1')
    return vi.waitFor(() => this.#answers[0] ?? Promise.reject(new Error('no answer')), WAIT)
  }
}

const WAIT = { timeout: 60_000, interval: 20 }

test('a udp service is served, checked, changed under its clients, listed, counted and replayed', async () => {
  const directory = temporaryDirectory()
  const port = await freePort()
  const { node, close } = await start(directory)
  expect(await node.deploy(source(directory, port))).toMatchObject({ ok: true, warnings: [] })
  expect(await node.settled('names')).toEqual({ outcome: 'ready', problems: [] })

  const first = new Client(port)
  const second = new Client(port)
  const answers = [await first.ask('a'), await second.ask('b')]
  expect(answers.toSorted()).toEqual(answers[0] === '1:a' ? ['1:a', '2:b'] : ['1:b', '2:a'])
  const own = answers[0]!.slice(0, 1)
  expect(await first.ask('again')).toBe(`${own}:again`)

  // one answers probes wrongly: it is down at its udp endpoint, and new clients go to the other
  await first.ask('sicken')
  const membersOf = (endpoint: string) =>
    node
      .view()
      .listeners.find((each) => each.endpoint === endpoint)
      ?.members.map(({ isUp }) => isUp)
  const isFirst = own === '1'
  await vi.waitFor(() => expect(membersOf('dns')).toEqual([!isFirst, isFirst]), WAIT)
  expect(membersOf('dns-tcp')).toEqual([true, true])
  const other = isFirst ? '2' : '1'
  for (let count = 0; count < 3; count++) {
    expect(await new Client(port).ask('x')).toBe(`${other}:x`)
  }
  expect(await first.ask('c')).toBe(`${other}:c`) // its flow went on, elsewhere
  expect(node.view().services[0]).toMatchObject({ state: 'degraded' })

  // another udp block: the second client keeps its flow
  const client = await connect(path.join(directory, '.weir'))
  const before = await client.flows({ sort: 'client' })
  expect(before.total).toBeGreaterThanOrEqual(4)
  expect(before.flows.every(({ answered }) => answered)).toBe(true)
  const changed = source(directory, port, 'max_datagram: 10,')
  expect(await node.deploy(changed)).toMatchObject({ ok: true })
  expect(await second.ask('after')).toBe(`${other}:after`)
  const after = await client.flows({ service: 'dns', endpoint: 'dns', sort: 'client' })
  expect(after.total).toBeGreaterThanOrEqual(before.total)

  const metrics = await client.metrics()
  const value = (name: string, labels: string): number =>
    Number(new RegExp(`^${name}\\{.*${labels}.*\\} (\\S+)$`, 'm').exec(metrics)?.[1])
  expect(value('weir_udp_datagrams_total', 'direction="in"')).toBe(9)
  expect(value('weir_udp_datagrams_total', 'direction="out"')).toBe(9)
  expect(value('weir_udp_backend_up', `backend="dns-${own}"`)).toBe(0)
  expect(value('weir_udp_backend_up', `backend="dns-${other}"`)).toBe(1)

  await node.shutdown('drain')
  await close()
  const state = path.join(directory, '.weir')
  expect(replay(state, SUBJECT, '1.2.3')).toMatchObject({ outcome: 'identical' })
})

test('proxy W26: a udp port is free when nothing is published on it any more, whoever used it', async () => {
  const directory = temporaryDirectory()
  const { node } = await start(directory)
  const [port, published] = [await freePort(), await freePort()]
  const { text, ...rest } = source(directory, port)
  const mapping = `{ container_port: ${port}, host_port: ${published}, host_ip: 127.0.0.1, protocol: udp }`
  const mapped = text.replace('    endpoints:', `    port_mappings: [${mapping}]\n    endpoints:`)
  expect(await node.deploy({ ...rest, text: mapped })).toMatchObject({ ok: true, warnings: [] })
  expect(await node.settled('names')).toEqual({ outcome: 'ready', problems: [] })
  const clients = Array.from({ length: 10 }, () => new Client(published))
  for (const client of clients) expect(await client.ask('hi')).toMatch(/^[12]:hi$/)

  expect(await node.scale('dns', 0)).toMatchObject({ ok: true })
  const stranger = await vi.waitFor(() => bound(published), WAIT)
  await new Promise<void>((resolve) => stranger.close(resolve))

  // Their sessions are over; they are served again as soon as somebody is behind the port.
  expect(await node.scale('dns', 1)).toMatchObject({ ok: true })
  // A datagram that comes before the port is bound again is lost.
  const place = () => node.view().listeners.find(({ address }) => address.endsWith(`:${published}`))
  await vi.waitFor(() => expect(place()?.state).toBe('serving'), WAIT)
  for (const client of clients) expect(await client.ask('again')).toBe('1:again')
})

/** Rejects while somebody has the port. */
async function bound(port: number): Promise<Socket> {
  const socket = createSocket('udp4')
  socket.bind({ port, address: '127.0.0.1', exclusive: true })
  await once(socket, 'listening')
  return socket
}
