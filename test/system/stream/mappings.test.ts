/** Port mappings: more ports of the machine that lead to replicas, while there are any. */
import { expect, test } from 'vitest'
import type { NodeView } from '../../../core/node/view.ts'
import { freePorts, type RunningNode, until } from '../running-node.ts'
import { Asker, ANSWERER as DATAGRAM_ANSWERER } from '../udp/asker.ts'
import { freePortPairs } from '../udp/ways.ts'
import { askOnce, attempt, LineClient } from './peers/line-client.ts'
import { bound, closed, deploy, startNode } from './peers/nodes.ts'

const endpointsOf = async (node: RunningNode, name: string): Promise<readonly string[]> => {
  const { services } = await node.json<NodeView>('status')
  return services.find(({ service }) => service === name)?.endpoints ?? []
}

const serviceOf = (name: string, port: number, ...mappings: readonly string[]): string => `
  ${name}:
    command: [node, answerer.mjs]
    scale: { mode: fixed, replicas: 2 }
    endpoints: [ { name: lines, protocol: tcp, port: ${port} } ]
    port_mappings: [ ${mappings.join(', ')} ]`

const fileOf = (...services: readonly string[]): string => `
version: v1
deployment: maps
services: ${services.join('')}
`

/** The service and the replicas that answer four clients. */
async function answering(port: number, host?: string): Promise<unknown> {
  const answers = [
    await askOnce(port, host),
    await askOnce(port, host),
    await askOnce(port, host),
    await askOnce(port, host),
  ]
  return [...new Set(answers.map(({ service, replica }) => `${service} ${replica}`))].sort()
}

test('given, free and at one address, they lead to all replicas, and go and come with them', async () => {
  const [port = 0, given = 0, placed = 0] = await freePorts(3)
  const node = await startNode({
    'weir.yaml': fileOf(
      serviceOf(
        'lines',
        port,
        `{ host_port: ${given}, container_port: ${port} }`,
        `{ container_port: ${port}, host_ip: 127.0.0.1 }`,
        `{ host_port: ${placed}, container_port: ${port}, host_ip: 127.0.0.5 }`,
      ),
    ),
  })
  const freeOf = async (): Promise<number> => {
    const [own, first, second, third] = await endpointsOf(node, 'lines')
    expect([own, first, third]).toEqual([
      `tcp://127.0.0.1:${port}`,
      `tcp://0.0.0.0:${given}`,
      `tcp://127.0.0.5:${placed}`,
    ])
    return Number(/^tcp:\/\/127\.0\.0\.1:(\d+)$/.exec(second ?? '')?.[1])
  }
  const both = ['maps/lines 1', 'maps/lines 2']
  await until(async () => (await freeOf()) > 0)
  const free = await freeOf()
  const places = [
    [port, '127.0.0.1'],
    [given, '127.0.0.1'],
    [given, '127.0.0.9'],
    [free, '127.0.0.1'],
    [placed, '127.0.0.5'],
  ] as const
  for (const [at, host] of places) expect(await answering(at, host)).toEqual(both)
  expect(await attempt(placed, '127.0.0.1')).toBe('ECONNREFUSED')
  expect(await attempt(free, '127.0.0.5')).toBe('ECONNREFUSED')
  await expect(bound(given, '0.0.0.0')).rejects.toThrow(/EADDRINUSE/)

  // one replica less is no reason to let go of a port
  expect((await node.weir('scale', 'lines', '1')).code).toBe(0)
  await until(async () => (await node.json<NodeView>('status')).replicas.length === 1)
  expect(await freeOf()).toBe(free)

  expect((await node.weir('scale', 'lines', '0')).code).toBe(0)
  const mapped = [
    [given, '0.0.0.0'],
    [free, '127.0.0.1'],
    [placed, '127.0.0.5'],
  ] as const
  for (const [at, host] of mapped) {
    await until(async () => (await attempt(at, host)) === 'ECONNREFUSED')
    await closed(await bound(at, host))
  }
  expect(await freeOf()).toBe(0)
  expect((await node.weir('scale', 'lines', '2')).code).toBe(0)
  await until(async () => (await freeOf()) > 0 && (await attempt(given)) === 'connected')
  await until(async () => (await node.json<NodeView>('status')).services[0]?.replicas.ready === 2)
  expect(await answering(given)).toEqual(both)
  expect(await answering(await freeOf())).toEqual(both)
})

test('proxy W39: one port at two addresses belongs to two services, and each goes alone', async () => {
  const [one = 0, two = 0, shared = 0] = await freePorts(3)
  const mapTo = (port: number, address: string) =>
    `{ host_port: ${shared}, container_port: ${port}, host_ip: ${address} }`
  const first = serviceOf('one', one, mapTo(one, '127.0.0.1'))
  const node = await startNode({
    'weir.yaml': fileOf(first, serviceOf('two', two, mapTo(two, '127.0.0.2'))),
  })
  const live = await LineClient.to(shared, '127.0.0.1')
  expect((await live.ask('here')).service).toBe('maps/one')
  expect((await askOnce(shared, '127.0.0.2')).service).toBe('maps/two')
  await deploy(node, fileOf(first, serviceOf('two', two)))
  expect(await attempt(shared, '127.0.0.2')).toBe('ECONNREFUSED')
  expect((await askOnce(shared, '127.0.0.1')).service).toBe('maps/one')
  expect((await live.ask('still here')).text).toBe('still here')
})

test('a mapping of another service onto a port that is taken is refused by name', async () => {
  const [one = 0, two = 0] = await freePorts(2)
  const node = await startNode({ 'weir.yaml': fileOf(serviceOf('one', one)) })
  const other = fileOf(serviceOf('two', two, `{ host_port: ${one}, container_port: ${two} }`))
  const next = other.replace('deployment: maps', 'deployment: more')
  await expect(deploy(node, next)).rejects.toThrow(
    new RegExp(`port ${one}.*belongs to maps/one.*more/two`),
  )
  expect((await askOnce(one)).service).toBe('maps/one')
})

test('they lead to a port that the program itself chose, without any endpoint, and to udp', async () => {
  const [own = 0, mapped = 0, asked = 0, datagrams = 0] = await freePortPairs(4)
  await startNode({
    'datagrams.mjs': DATAGRAM_ANSWERER,
    'weir.yaml': `
version: v1
deployment: maps
services:
  own:
    command: [node, answerer.mjs]
    env: { OWN_PORT: "${own}" }
    scale: { mode: fixed, replicas: 1 }
    port_mappings: [ { host_port: ${mapped}, container_port: ${own} } ]
  clock:
    command: [node, datagrams.mjs]
    scale: { mode: fixed, replicas: 1 }
    endpoints:
      - name: clock
        protocol: udp
        port: ${asked}
        udp: { health: { type: udp_probe, request: ping, expect: ping } }
    port_mappings: [ { host_port: ${datagrams}, container_port: ${asked}, protocol: udp } ]
`,
  })
  // without an endpoint nothing says when the program listens
  await until(() =>
    askOnce(mapped).then(
      ({ service }) => service === 'maps/own',
      () => false,
    ),
  )
  for (const port of [asked, datagrams]) {
    const asker = await Asker.to(port)
    expect((await asker.ask('what time is it')).text).toBe('what time is it')
    asker.close()
  }
})
