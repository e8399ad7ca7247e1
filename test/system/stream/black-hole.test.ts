/** A replica that neither accepts nor refuses, as one behind a network that drops what it gets. */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { freePorts, missing, until } from '../running-node.ts'
import { askOnce } from './peers/line-client.ts'
import { listenersOf, startNode, titleOf } from './peers/nodes.ts'

/**
 * Number 1 fills its listen queue by itself and never looks at it: the kernel drops further SYNs
 * (tcp(7), listen(2)), so that connecting to it hangs. The others answer.
 */
const REPLICA = `
import os, socket, socketserver, time
number, port = os.environ['WEIR_REPLICA'], int(os.environ['PORT'])
service = os.environ['WEIR_DEPLOYMENT'] + '/' + os.environ['WEIR_SERVICE']

class Answerer(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(' '.join([service, number, line.decode()]).encode())

if number == '1':
    listener = socket.socket()
    listener.bind(('127.0.0.1', port))
    listener.listen(0)
    queued = []
    while True:
        client = socket.socket()
        client.settimeout(0.5)
        try:
            client.connect(('127.0.0.1', port))
            queued.append(client)
        except TimeoutError:
            break
    open('full', 'w').close()
    time.sleep(3600)
else:
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    socketserver.ThreadingTCPServer(('127.0.0.1', port), Answerer).serve_forever()
`

const CONNECT_MS = 700

const lacks =
  process.platform === 'linux' &&
  readFileSync('/proc/sys/net/ipv4/tcp_abort_on_overflow', 'utf8').trim() === '0'
    ? missing('python3')
    : 'needs a system that drops what does not fit into a listen queue'

test.skipIf(lacks !== undefined)(
  titleOf(
    'proxy W29: a client of a replica that hangs has the next one after the connect timeout',
    lacks,
  ),
  async () => {
    const [port = 0] = await freePorts(1)
    const node = await startNode({
      'replica.py': REPLICA,
      'weir.yaml': `
version: v1
deployment: hole
services:
  lines:
    command: [python3, replica.py]
    scale: { mode: fixed, replicas: 2 }
    stop_grace_period: 1s
    endpoints:
      - name: lines
        protocol: tcp
        port: ${port}
        stream: { connect_timeout: ${CONNECT_MS}ms }
    health: { interval: 1s, check: { type: command, command: test -e full } }
`,
    })
    const waited: number[] = []
    for (let count = 0; count < 4; count++) {
      const startAt = performance.now()
      expect(await askOnce(port)).toEqual({ service: 'hole/lines', replica: '2', text: 'hello' })
      waited.push(performance.now() - startAt)
    }
    // one of the first two was the hole's turn
    expect(Math.max(...waited.slice(0, 2))).toBeGreaterThan(CONNECT_MS * 0.9)
    // the system itself gives up after minutes
    expect(Math.max(...waited)).toBeLessThan(20_000)
    const members = async () =>
      (await listenersOf(node))
        .find(({ address }) => address === `127.0.0.1:${port}`)
        ?.members.map(({ isUp }) => isUp)
    await until(async () => JSON.stringify(await members()) === '[false,true]')
    const metrics = (await node.weir('metrics')).out
    const failed = /^weir_stream_connects_failed_total\{.*\} (\d+)$/m.exec(metrics)?.[1]
    expect(Number(failed)).toBeGreaterThanOrEqual(1)
    // out of the set it costs nobody anything
    for (let count = 0; count < 4; count++) expect((await askOnce(port)).replica).toBe('2')
    expect((await node.weir('metrics')).out).toContain(
      /^weir_stream_connects_failed_total\{.*$/m.exec(metrics)?.[0] as string,
    )
  },
)
