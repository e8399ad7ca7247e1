/** A page in Chromium, and its WebSocket. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { freePorts, missing, type RunningNode, until } from '../../running-node.ts'
import { titleOf } from '../../stream/peers/nodes.ts'
import { Browser } from '../peers/browser.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'

const noChromium = missing('chromium')

let node: RunningNode
let [plain, tls]: readonly number[] = []

beforeAll(async () => {
  if (noChromium !== undefined) return
  ;[plain, tls] = await freePorts(2)
  const file = deploymentOf(
    originService('site', [
      `name: tls, protocol: https, port: ${tls}`,
      `name: web, protocol: http, port: ${plain}`,
    ]),
  )
  node = await startHttpNode({
    'weir.yaml': file,
    'node.yaml': 'access_log: { file: access.log }\n',
  })
})
afterAll(() => node?.stop())

const lines = async () =>
  (await readFile(join(node.directory, 'access.log'), 'utf8').catch(() => ''))
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

test.skipIf(noChromium !== undefined).each(['http', 'https'])(
  titleOf('a page by %s opens a WebSocket, and posts', noChromium),
  async (scheme) => {
    const port = scheme === 'http' ? plain : tls
    const browser = await Browser.start()
    await browser.open(`${scheme}://localhost:${port}/page`)
    const words = 'document.body.innerText'
    let seen: unknown
    await until(
      async () => {
        seen = await browser.evaluate(words)
        return String(seen).includes('from the page') && String(seen).includes('6 bytes')
      },
      () => `the page says ${JSON.stringify(seen)}`,
    )
    expect(
      await browser.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol'),
    ).toBe(scheme === 'http' ? 'http/1.1' : 'h2')
    await browser.evaluate('socket.close(4000)')
    // by HTTP/2 it is a CONNECT of its own
    const protocol =
      scheme === 'http' ? { protocol: '1.1', status: 101 } : { protocol: '2', status: 200 }
    await until(
      async () =>
        (await lines()).some(
          (line) =>
            line.target === '/socket' &&
            line.protocol === protocol.protocol &&
            line.status === protocol.status &&
            line.outcome === 'done',
        ),
      () => node.output,
    )
  },
)
