/** Thousands of clients at one time: everybody gets what is theirs, and all that is theirs. */
import { readdirSync, readFileSync } from 'node:fs'
import { afterEach, describe, expect, test } from 'vitest'
import type { FlowsAnswer } from '../../shells/node/operator/flows.ts'
import { type RunningNode, until } from './running-node.ts'
import { ClientSwarm } from './udp/client-swarm.ts'
import { dropped, freePortPairs, metric, startNode, titleOf, WAYS } from './udp/ways.ts'

const PROCESSES = 2
const SOCKETS = 4_000
const ROUNDS = 2
const CLIENTS = PROCESSES * SOCKETS
const DATAGRAMS = CLIENTS * ROUNDS * 2

const ECHO = `
import { createSocket } from 'node:dgram'
const socket = createSocket('udp4', (message, { port, address }) => socket.send(message, port, address))
process.once('SIGTERM', () => socket.close())
socket.bind(Number(process.env.PORT), '127.0.0.1')
`

const fileFor = (port: number, udp: string) => `
version: v1
deployment: many
services:
  echo:
    command: [node, echo.mjs]
    scale: { mode: fixed, replicas: 1 }
    endpoints:
      - name: echo
        protocol: udp
        port: ${port}
        udp:
          ${udp}
          max_flows: ${CLIENTS}
          half_open_timeout: 1m
          back_timeout: 1h
          health: { type: udp_probe, request: ping, expect: ping }
`

let node: RunningNode | undefined
const swarms: ClientSwarm[] = []

afterEach(async () => {
  await Promise.all(swarms.splice(0).map((swarm) => swarm.stop()))
  await node?.stop()
  node = undefined
})

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

/** Each flow takes one in the node, and half as many clients are in one process. */
const DESCRIPTORS = CLIENTS * 1.5
const allowed = Number(
  /^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1],
)
const tooFew =
  allowed < DESCRIPTORS && process.env.WEIR_REQUIRE_SYSTEM !== '1'
    ? `needs ${DESCRIPTORS} descriptors, may have ${allowed}`
    : undefined

describe.each(WAYS)(`${CLIENTS} client sockets at once, UDP by $way`, ({ way, lacks }) => {
  const cannot = lacks !== undefined || tooFew !== undefined
  const title = (text: string) => titleOf(text, lacks, tooFew)

  /** Lets all clients send and checks what comes back; resolves to their ports. */
  async function serveAll(running: RunningNode, port: number): Promise<readonly number[]> {
    for (let count = 0; count < PROCESSES; count++) {
      // so few under way fit into the buffers of any socket
      swarms.push(new ClientSwarm({ port, sockets: SOCKETS, rounds: ROUNDS, atOnce: 16 }))
    }
    const ports = (await Promise.all(swarms.map((swarm) => swarm.bound()))).flat()
    const all = SOCKETS * ROUNDS * 2
    for (const counts of await Promise.all(swarms.map((swarm) => swarm.run()))) {
      expect(counts).toEqual({ sent: all, returned: all, foreign: 0, lost: 0 })
    }
    const passed = await metric(running, 'weir_udp_datagrams_total', 'direction')
    expect(passed).toEqual({ in: DATAGRAMS, out: DATAGRAMS })
    expect(await dropped(running)).toEqual({})
    return ports
  }

  test.skipIf(cannot)(title('have a flow each, and get all that is theirs'), async () => {
    const [port = 0] = await freePortPairs(1)
    const file = fileFor(port, 'front_timeout: 1h')
    const running = await startNode(way, { 'weir.yaml': file, 'echo.mjs': ECHO })
    node = running
    const quiet = descriptorsOf(running.pid)
    const ports = await serveAll(running, port)

    expect(await metric(running, 'weir_udp_flows_created_total')).toEqual({ echo: CLIENTS })
    expect(await metric(running, 'weir_udp_flows')).toEqual({ echo: CLIENTS })
    expect(descriptorsOf(running.pid)).toBeGreaterThanOrEqual(quiet + CLIENTS)
    const answer = await running.json<FlowsAnswer>('flows', 'echo', '--limit', '10000')
    expect(answer).toMatchObject({ matching: CLIENTS, examined: CLIENTS, total: CLIENTS })
    const byPort = answer.flows.map(({ client }) => Number(client.replace('127.0.0.1:', '')))
    expect(byPort.toSorted()).toEqual(ports.toSorted())
    const each = new Set(answer.flows.map((flow) => `${flow.datagramsIn} ${flow.datagramsOut}`))
    expect([...each]).toEqual([`${ROUNDS * 2} ${ROUNDS * 2}`])
    expect((await running.weir('flows', '--limit', '2')).out).toMatch(/and 7,998 more/)

    expect((await running.weir('remove', 'many')).code).toBe(0)
    await until(() => descriptorsOf(running.pid) <= quiet)
    expect(await metric(running, 'weir_udp_flows')).toEqual({ echo: 0 })
  })

  test.skipIf(cannot)(
    title('get all that is theirs when every answer ends a flow, and slots are used again'),
    async () => {
      const [port = 0] = await freePortPairs(1)
      const file = fileFor(port, 'responses: 1')
      const running = await startNode(way, { 'weir.yaml': file, 'echo.mjs': ECHO })
      node = running
      const quiet = descriptorsOf(running.pid)
      await serveAll(running, port)
      const { echo: created = 0 } = await metric(running, 'weir_udp_flows_created_total')
      expect(created).toBeGreaterThanOrEqual(CLIENTS * ROUNDS)
      const closed = await metric(running, 'weir_udp_flows_closed_total', 'reason')
      expect(closed.responses).toBe(created)
      await until(() => descriptorsOf(running.pid) <= quiet)
    },
  )
})
