/** TLS that ends here, passes, or begins again, as openssl, curl and Node see it. */
import { execFile } from 'node:child_process'
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { copyFile } from 'node:fs/promises'
import { networkInterfaces } from 'node:os'
import { join } from 'node:path'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import { promisify } from 'node:util'
import { expect, test } from 'vitest'
import { fixture, fixturesDirectory, place } from '../../shells/node/tls/fixtures.ts'
import { freePorts, missing, until } from '../running-node.ts'
import { LineClient } from './peers/line-client.ts'
import { certificateDirectory, startNode, titleOf } from './peers/nodes.ts'

const run = promisify(execFile)
const noOpenssl = missing('openssl')
const noCurl = missing('curl')
const CA = join(fixturesDirectory, 'ca.crt')

/** As an answerer, but over TLS of its own, with the pair that `PAIR` names. */
const TLS_ANSWERER = `
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { createServer } from 'node:tls'
const { PAIR, PORT, WEIR_DEPLOYMENT, WEIR_SERVICE, WEIR_REPLICA } = process.env
const [cert, key] = ['crt', 'key'].map((ending) => readFileSync(PAIR + '.' + ending))
createServer({ cert, key }, (socket) => {
  socket.on('error', () => {})
  createInterface({ input: socket }).on('line', (line) => {
    const asked = socket.servername || 'nobody'
    const said = line === 'whom' ? asked : line
    socket.write([WEIR_DEPLOYMENT + '/' + WEIR_SERVICE, WEIR_REPLICA, said].join(' ') + '\\n')
    if (line === 'bye') socket.end()
  })
}).on('tlsClientError', () => {}).listen(Number(PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit())
`

interface Wanted {
  readonly port: number
  readonly stream: string
  readonly host?: string
  /** The replica speaks TLS with this pair. */
  readonly pair?: string
}

const serviceOf = (name: string, { port, stream, host, pair }: Wanted): string => `
  ${name}:
    command: [node, ${pair === undefined ? 'answerer.mjs' : 'tls-answerer.mjs'}]
    env: { PAIR: "${join(fixturesDirectory, pair ?? '')}" }
    scale: { mode: fixed, replicas: 1 }
    endpoints:
      - name: tls
        protocol: tcp
        port: ${port}
        ${host === undefined ? '' : `host: "${host}"`}
        stream: { ${stream} }`

const fileOf = (...services: readonly string[]): string => `
version: v1
deployment: safe
services: ${services.join('')}
`

async function start(pairs: Readonly<Record<string, string>>, ...services: readonly string[]) {
  const directory = await certificateDirectory(pairs)
  const node = await startNode({
    'weir.yaml': fileOf(...services),
    'node.yaml': `certificates: ${directory}\n`,
    'tls-answerer.mjs': TLS_ANSWERER,
  })
  return { node, directory }
}

/** What openssl hears when it says two lines, having verified who answers; rejects if it is nobody. */
async function ask(port: number, name: string, ...words: readonly string[]): Promise<string> {
  const verify = ['-CAfile', CA, '-verify_return_error', '-verify_hostname', name, '-quiet']
  const asked = run('openssl', [
    ...['s_client', '-connect', `127.0.0.1:${port}`, '-servername', name, ...verify, ...words],
  ])
  asked.child.stdin?.end('hello\nbye\n')
  return (await asked).stdout
}

/** Without a name it asks for nobody, and verifies whom it gets all the same. */
async function dial(port: number, options: ConnectionOptions): Promise<[LineClient, TLSSocket]> {
  const socket = connect({ host: '127.0.0.1', port, ca: fixture('ca.crt'), ...options })
  await once(socket, 'secureConnect')
  return [new LineClient(socket), socket]
}

const failure = (port: number, options: ConnectionOptions): Promise<string | undefined> =>
  dial(port, options).then(
    () => undefined,
    ({ code, message }: NodeJS.ErrnoException) => code ?? message,
  )

const fingerprintOf = (pair: string): string =>
  new X509Certificate(fixture(`${pair}.crt`)).fingerprint256

test.skipIf(noOpenssl !== undefined)(
  titleOf(
    'terminate: openssl verifies the certificate of the name, and is answered in the clear',
    noOpenssl,
  ),
  async () => {
    const [port = 0] = await freePorts(1)
    const pairs = {
      'a.example': 'a.example',
      '_.wild.example': '_.wild.example',
      default: 'default',
    }
    await start(pairs, serviceOf('lines', { port, stream: 'tls: terminate' }))
    const answers = 'safe/lines 1 hello\nsafe/lines 1 bye\n'
    for (const name of ['a.example', 'any.wild.example', 'default.example']) {
      expect(await ask(port, name)).toBe(answers)
    }
    for (const version of ['-tls1_2', '-tls1_3']) {
      expect(await ask(port, 'a.example', version)).toBe(answers)
    }
    const old = ['-tls1_1', '-cipher', 'ALL:@SECLEVEL=0']
    await expect(ask(port, 'a.example', ...old)).rejects.toThrow(/alert|protocol/i)
    // without a name it is the default that answers; what is not TLS is not answered
    const [anonymous] = await dial(port, { servername: '', checkServerIdentity: () => undefined })
    expect((await anonymous.ask('hello')).text).toBe('hello')
    const plain = await LineClient.to(port)
    await expect(plain.ask('hello')).rejects.toThrow()
  },
)

test('a certificate that is replaced holds for whoever comes next, and a wrong key for nobody', async () => {
  const [port = 0] = await freePorts(1)
  const { node, directory } = await start(
    { 'a.example': 'a.example' },
    serviceOf('lines', { port, stream: 'tls: terminate' }),
  )
  const shown = async () => {
    const [, socket] = await dial(port, { servername: 'a.example' })
    const { fingerprint256 } = socket.getPeerCertificate()
    socket.destroy()
    return fingerprint256
  }
  expect(await shown()).toBe(fingerprintOf('a.example'))
  const [live] = await dial(port, { servername: 'a.example' })
  await live.ask('before')

  place(directory, { 'a.example': 'a.example.new' })
  await until(async () => (await shown()) === fingerprintOf('a.example.new'))
  expect((await live.ask('after')).text).toBe('after')

  await copyFile(join(fixturesDirectory, 'a.example.key'), join(directory, 'a.example.key'))
  await node.says(/a\.example\.(crt|key)/)
  expect(await shown()).toBe(fingerprintOf('a.example.new'))
  place(directory, { 'a.example': 'a.example' })
  await until(async () => (await shown()) === fingerprintOf('a.example'))
})

test('passthrough: by the name that is asked for, two services have one port, and Weir no key', async () => {
  const [port = 0] = await freePorts(1)
  const { node } = await start(
    { 'default.example': 'default' },
    serviceOf('exact', { port, stream: 'tls: passthrough', host: 'a.example', pair: 'a.example' }),
    serviceOf('wild', {
      port,
      stream: 'tls: passthrough',
      host: '*.wild.example',
      pair: '_.wild.example',
    }),
    // and a third, whose TLS ends here
    serviceOf('ended', { port, stream: 'tls: terminate', host: 'default.example' }),
  )
  const [exact, exactSocket] = await dial(port, { servername: 'a.example' })
  expect(await exact.ask('whom')).toMatchObject({ service: 'safe/exact', text: 'a.example' })
  expect(exactSocket.getPeerCertificate().fingerprint256).toBe(fingerprintOf('a.example'))
  const [wild] = await dial(port, { servername: 'any.wild.example' })
  expect(await wild.ask('whom')).toMatchObject({ service: 'safe/wild', text: 'any.wild.example' })
  const [ended] = await dial(port, { servername: 'default.example' })
  expect(await ended.ask('whom')).toMatchObject({ service: 'safe/ended', text: 'whom' })
  for (const servername of ['b.example', 'a.b.wild.example', 'wild.example', '']) {
    expect(await failure(port, { servername, checkServerIdentity: () => undefined })).toMatch(
      /UNRECOGNIZED_NAME|ECONNRESET|HANDSHAKE/,
    )
  }
  const refused = /^weir_stream_connections_refused_total\{.*reason="no_route".*\} (\d+)$/gm
  const counts = [...(await node.weir('metrics')).out.matchAll(refused)].map(([, n]) => Number(n))
  expect(counts.reduce((sum, count) => sum + count, 0)).toBe(4)
  expect((await exact.ask('still here')).text).toBe('still here')
})

test('reoriginate: the replica is spoken to by TLS, and is who it should be where that is asked', async () => {
  const [checked = 0, other = 0, unchecked = 0] = await freePorts(3)
  const stream = (name: string) => `tls: reoriginate, backend_ca: "${CA}", backend_name: ${name}`
  await start(
    { default: 'default' },
    serviceOf('checked', { port: checked, stream: stream('a.example'), pair: 'a.example' }),
    serviceOf('other', { port: other, stream: stream('b.example'), pair: 'a.example' }),
    serviceOf('unchecked', { port: unchecked, stream: 'tls: reoriginate', pair: 'old.example' }),
  )
  const options = { servername: 'default.example' }
  const [client, socket] = await dial(checked, options)
  expect(await client.ask('whom')).toMatchObject({ service: 'safe/checked', text: 'a.example' })
  expect(socket.getPeerCertificate().fingerprint256).toBe(fingerprintOf('default'))
  const [any] = await dial(unchecked, options)
  expect(await any.ask('whom')).toMatchObject({ service: 'safe/unchecked', text: 'nobody' })
  const wrong = await dial(other, options)
    .then(
      ([each]) => each.ask('hello'),
      (error: Error) => error,
    )
    .catch((error: Error) => error)
  expect(wrong).toBeInstanceOf(Error)
})

const SITE = `
import { createServer } from 'node:http'
const server = createServer((request, response) => response.end('page ' + request.url + '\\n'))
server.listen(Number(process.env.PORT), '127.0.0.1')
process.once('SIGTERM', () => process.exit())
`
const hasIpv6 = Object.values(networkInterfaces()).some((addresses = []) =>
  addresses.some(({ address }) => address === '::1'),
)

test.skipIf(noCurl !== undefined)(
  titleOf('proxy W40: https on loopback is https, though the replica speaks http', noCurl),
  async () => {
    const [port = 0] = await freePorts(1)
    const directory = await certificateDirectory({ default: 'default' })
    const node = await startNode({
      'site.mjs': SITE,
      'node.yaml': `certificates: ${directory}\n`,
      'weir.yaml': `
version: v1
deployment: safe
services:
  site:
    command: [node, site.mjs]
    scale: { mode: fixed, replicas: 2 }
    endpoints: [ { name: web, protocol: https, port: ${port} } ]
`,
    })
    expect(node.output).toContain(`https://127.0.0.1:${port}`)
    const curl = (...words: readonly string[]) =>
      run('curl', ['--silent', '--show-error', '--fail', '--max-time', '60', ...words])
    const hosts = ['localhost', '127.0.0.1', ...(hasIpv6 ? ['[::1]'] : [])]
    for (const host of hosts) {
      const { stdout } = await curl('--cacert', CA, `https://${host}:${port}/${host}`)
      expect(stdout).toBe(`page /${host}\n`)
    }
    await expect(curl(`https://localhost:${port}/`)).rejects.toThrow(/certificate/i)
    await expect(curl(`http://localhost:${port}/`)).rejects.toThrow()
  },
)
