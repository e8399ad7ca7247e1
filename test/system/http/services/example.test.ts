/** The HTTP example as its README has it, at ports from the kernel. */
import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import type { RunningNode } from '../../running-node.ts'
import { freePorts, missing, newDirectory, until } from '../../running-node.ts'
import { titleOf } from '../../stream/peers/nodes.ts'
import { curl } from '../peers/curl.ts'
import { startHttpNode } from '../peers/nodes.ts'
import { byHttp1 } from '../peers/websockets.ts'

const EXAMPLE = fileURLToPath(new URL('../../../../docs/examples/http/', import.meta.url))
const noCurl = missing('curl')

async function start(file: string, ports: Readonly<Record<string, number>>): Promise<RunningNode> {
  const directory = await newDirectory()
  for (const program of ['server.mjs', 'chat.mjs']) {
    await symlink(join(EXAMPLE, program), join(directory, program))
  }
  const changed = async (name: string): Promise<string> =>
    Object.entries(ports).reduce(
      (text, [from, to]) => text.replaceAll(from, String(to)),
      await readFile(join(EXAMPLE, name), 'utf8'),
    )
  const settings = (await changed('node.yaml')).replace(/^certificates: .*$/m, '')
  const files = { 'weir.yaml': await changed(file), 'node.yaml': settings }
  const node = await startHttpNode(files, directory)
  onTestFinished(async () => void (await node.stop()))
  return node
}

test.skipIf(noCurl !== undefined)(
  titleOf('weir.yaml: four services at one port', noCurl),
  async () => {
    const [port = 0] = await freePorts(1)
    const node = await start('weir.yaml', { 8088: port })
    const base = `http://127.0.0.1:${port}`
    const replicas = new Set<string | undefined>()
    for (let count = 0; count < 4; count += 1) {
      const { body } = await curl(`${base}/hello`)
      expect(body).toMatch(/^site replica [12]: \/hello for 127\.0\.0\.1, who asked http:\/\/127/)
      replicas.add(body.split(':')[0])
    }
    expect(replicas.size).toBe(2)
    const admin = await curl('-H', `Host: admin.localhost:${port}`, `${base}/any`)
    expect(admin.body).toMatch(/^admin replica 1: \/any/)
    expect((await curl(`${base}/reports/today`)).body).toMatch(/^reports replica 1: \/today /)
    expect(await curl('--path-as-is', `${base}/reports/../admin`)).toMatchObject({ status: 400 })

    const [one, two] = [
      await byHttp1(`ws://127.0.0.1:${port}/chat`),
      await byHttp1(`ws://127.0.0.1:${port}/chat`),
    ]
    expect(await one.text()).toBe('hello 127.0.0.1, 1 here at chat replica 1')
    expect(await two.text()).toBe('hello 127.0.0.1, 2 here at chat replica 1')
    one.socket.send('how do you do')
    expect(await two.text()).toBe('127.0.0.1: how do you do')
    expect(await node.weir('restart', 'chat')).toMatchObject({ code: 0 })
    // drain_timeout, of which the program itself hears no more than its end
    expect([1_001, 1_006]).toContain((await two.closed).code)
  },
)

test.skipIf(noCurl !== undefined)(
  titleOf('secure.yaml: everybody is sent to https', noCurl),
  async () => {
    const [plain = 0, tls = 0] = await freePorts(2)
    const node = await start('secure.yaml', { 8089: plain, 8443: tls })
    const told = await curl(`http://localhost:${plain}/hello`)
    expect(told).toMatchObject({
      status: 308,
      fields: { location: `https://localhost:${tls}/hello` },
    })
    const went = await curl('-L', `http://localhost:${plain}/hello`)
    expect(went).toMatchObject({ code: 0, statuses: [308, 200], version: '2' })
    expect(went.body).toMatch(
      /^site replica [12]: \/hello for (?:127\.0\.0\.1|::1), who asked https:/,
    )
    const chat = await byHttp1(`wss://localhost:${tls}/chat`)
    expect(await chat.text()).toMatch(/^hello (?:127\.0\.0\.1|::1), 1 here/)
    await until(async () => {
      const log = await readFile(join(node.directory, 'access.log'), 'utf8').catch(() => '')
      return (
        /"GET \/hello HTTP\/2(?:\.0)?" 200/.test(log) && /"GET \/hello HTTP\/1\.1" 308/.test(log)
      )
    })
  },
)
