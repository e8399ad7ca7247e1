/** `weir down` while connections are in use. */
import { expect, test } from 'vitest'
import type { ReplicaView } from '../../../core/node/view.ts'
import { freePorts, until } from '../running-node.ts'
import { isAlive } from '../udp/ways.ts'
import { attempt, LineClient } from './peers/line-client.ts'
import { bound, closed, startNode } from './peers/nodes.ts'

const DRAIN_MS = 2_000

const fileFor = (open: number, hidden: number, drain: string) => `
version: v1
deployment: busy
services:
  open:
    command: [node, answerer.mjs]
    scale: { mode: fixed, replicas: 2 }
    endpoints:
      - { name: lines, protocol: tcp, port: ${open}, expose: public, stream: { drain_timeout: ${drain} } }
  hidden:
    command: [node, answerer.mjs]
    scale: { mode: fixed, replicas: 1 }
    endpoints:
      - { name: lines, protocol: tcp, port: ${hidden}, stream: { drain_timeout: ${drain} } }
`

/** `drain` is how long the node, and each endpoint, waits for connections. */
async function startBusy(drain: string) {
  const [open = 0, hidden = 0] = await freePorts(2)
  const node = await startNode({
    'weir.yaml': fileFor(open, hidden, drain),
    'node.yaml': `drain_timeout: ${drain}\n`,
  })
  const clients: LineClient[] = []
  for (const port of [open, open, open, open, hidden]) {
    const client = await LineClient.to(port)
    await client.ask('hello')
    clients.push(client)
  }
  const pids = (await node.json<ReplicaView[]>('ps')).map(({ pid }) => pid as number)
  return { node, open, clients, pids }
}

/** Looked for without a connection: those are counted. */
async function refuses(port: number): Promise<void> {
  await until(() =>
    bound(port, '0.0.0.0').then(
      async (server) => {
        await closed(server)
        return true
      },
      () => false,
    ),
  )
  expect(await attempt(port)).toBe('ECONNREFUSED')
}

test('proxy W10: down refuses what is new, serves what is there, and cuts it when time is up', async () => {
  const { node, open, clients, pids } = await startBusy(`${DRAIN_MS}ms`)
  const startedAt = performance.now()
  let rounds = 0
  // each asks on until it is cut
  const talking = clients.map(async (client) => {
    for (;;) {
      const answer = await client.ask('on').catch(() => undefined)
      if (answer === undefined) return client.over
      rounds += 1
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  })
  const stopping = node.weir('down')
  await refuses(open)
  const at = rounds
  await until(() => rounds > at + clients.length * 3)
  expect(clients.map(({ isOver }) => isOver)).toEqual(clients.map(() => false))

  const ends = await Promise.all(talking)
  expect(performance.now() - startedAt).toBeGreaterThan(DRAIN_MS * 0.9)
  expect(ends).toEqual(clients.map(() => 'ECONNRESET'))
  const { code, out } = await stopping
  expect({ code, last: out.split('\n').at(-2) }).toEqual({ code: 0, last: 'stopped' })
  expect(out).toMatch(
    /^stopping for .*: 5 connections left, cut in [12]s at the latest; 3 replicas left: /,
  )
  expect(await node.exited()).toBe(0)
  expect(pids.filter(isAlive)).toEqual([])
  await bound(open, '0.0.0.0')
})

test('clients that leave are not waited for any longer', async () => {
  const { node, open, clients } = await startBusy('10m')
  const stopping = node.weir('down')
  await refuses(open)
  for (const client of clients) {
    expect((await client.ask('goodbye')).text).toBe('goodbye')
    client.socket.end()
  }
  for (const client of clients) expect(await client.over).toBe('ended')
  expect((await stopping).code).toBe(0)
  expect(await node.exited()).toBe(0)
})

test('a second signal waits for nobody', async () => {
  const { node, clients } = await startBusy('10m')
  node.signal('SIGTERM')
  await node.says(/5 connections left/)
  await new Promise((resolve) => setTimeout(resolve, 500)) // two at once are one
  node.signal('SIGTERM')
  expect(await node.exited()).toBe(1)
  expect(node.output).toMatch(/stopping at once: 5 connections cut, 3 replicas killed/)
  for (const client of clients) expect(await client.over).toBe('ECONNRESET')
})
