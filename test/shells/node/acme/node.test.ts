/** A node that gets the certificates of what is deployed on it, end to end. */
import fs from 'node:fs'
import https from 'node:https'
import net from 'node:net'
import path from 'node:path'
import { Effect, Exit, Scope } from 'effect'
import { expect, onTestFinished, test, vi } from 'vitest'
import { defaultNodeSettings } from '../../../../core/spec/node/settings.ts'
import { connect } from '../../../../shells/node/operator/client.ts'
import { type NodeHandle, startNode } from '../../../../shells/node/run.ts'
import { temporaryDirectory } from '../temporary-directory.ts'
import { serverFor, settingsOf, waitFor } from './fixture.ts'
import type { AcmeServer } from './server.ts'

vi.setConfig({ testTimeout: 120_000 })

const PROGRAM = `
import { createServer } from 'node:http'
createServer((request, response) => response.end(request.headers['x-forwarded-proto']))
  .listen(Number(process.env.PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit(0))
`

const sourceOf = (directory: string, port: number, hosts: readonly string[]) => ({
  text: `version: v1
deployment: shop
services:
${hosts
  .map(
    (host) => `  ${host.replace('.', '-')}:
    rtype: service
    command: [node, program.mjs]
    endpoints:
      - { name: web, protocol: https, port: ${port}, host: ${host}, expose: public }
`,
  )
  .join('')}`,
  file: 'weir.yaml',
  directory,
})

test('proxy W41: https of a name is served as soon as it is deployed, by a certificate got meanwhile', async () => {
  const root = temporaryDirectory()
  fs.writeFileSync(path.join(root, 'program.mjs'), PROGRAM)
  const [port, challengePort] = [await freePort(), await freePort()]
  const server = await serverFor({ port: challengePort, texts: new Map() })
  const certificates = path.join(root, 'certificates')
  const acme = settingsOf(server, certificates)
  const { node, said } = await start(root, {
    settings: { ...defaultNodeSettings, certificates, acme },
    challengePort,
  })
  await waitFor(() => expect(node.view().node.map(({ state }) => state)).toContain('serving'))

  expect(await node.deploy(sourceOf(root, port, ['a.test']))).toMatchObject({
    ok: true,
    warnings: [],
  })
  await node.settled('shop')
  expect(await waitFor(() => ask(port, 'a.test', server))).toBe('200 https')

  // a name more: a deploy is enough
  await node.deploy(sourceOf(root, port, ['a.test', 'b.test']))
  await node.settled('shop')
  expect(await waitFor(() => ask(port, 'b.test', server))).toBe('200 https')
  expect(server.issued).toEqual(['a.test', 'b.test'])
  expect(said.filter((text) => text.startsWith('warn acme'))).toEqual([])

  const client = await connect(path.join(root, '.weir'))
  const metrics = (await client.metrics()).split('\n').filter((line) => /^weir_acme/.test(line))
  expect(metrics).toContain('weir_acme_orders_total{outcome="issued"} 2')
  expect(metrics).toContain('weir_acme_orders_total{outcome="rate-limited"} 0')
  expect(metrics).toContain('weir_acme_names{state="good"} 2')

  expect(await node.remove('shop')).toMatchObject({ ok: true })
  const after = (await client.metrics()).split('\n')
  expect(after).toContain('weir_acme_names{state="good"} 0')
})

async function start(
  root: string,
  options: Pick<Parameters<typeof startNode>[0], 'settings' | 'challengePort'>,
): Promise<{ node: NodeHandle; said: string[] }> {
  const said: string[] = []
  const scope = Scope.makeUnsafe()
  const starting = startNode({
    stateDirectory: path.join(root, '.weir'),
    version: '1.2.3',
    seed: 7,
    log: (level, text) => said.push(`${level} ${text}`),
    ...options,
  })
  onTestFinished(() => Effect.runPromise(Scope.close(scope, Exit.void)))
  return { node: await Effect.runPromise(Scope.provide(starting, scope)), said }
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** The status and body of an answer; rejects unless the certificate is the authority's, for the name. */
function ask(port: number, host: string, { authority }: AcmeServer): Promise<string> {
  return new Promise((resolve, reject) => {
    const at = { host: '127.0.0.1', port, servername: host, headers: { host } }
    https
      .get({ ...at, ca: authority.certificate, agent: false }, (response) => {
        let text = `${response.statusCode} `
        response.on('data', (data) => {
          text += data
        })
        response.on('end', () => resolve(text))
      })
      .on('error', reject)
  })
}
