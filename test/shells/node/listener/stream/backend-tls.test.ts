import { copyFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { StreamSpec } from '../../../../../core/spec/deployment.ts'
import { temporaryDirectory } from '../../temporary-directory.ts'
import { fixturesDirectory } from '../../tls/fixtures.ts'
import {
  backend,
  Client,
  type Fixture,
  LISTENER,
  refusingPort,
  replica,
  settingsOf,
  startEcho,
  startFixture,
  startUpstream,
  until,
} from '../fixture.ts'
import { contextOf, SecureClient, shown, startSecureUpstream } from '../tls.ts'

const read = (file: string): Buffer => readFileSync(new URL(`../fixtures/${file}`, import.meta.url))
const STRANGER = { cert: read('stranger.crt'), key: read('stranger.key') }
const CA_FILE = join(fixturesDirectory, 'ca.crt')
const TERMINATE = [{ listener: LISTENER, tls: 'terminate' }] as const

async function startReoriginating(
  upstreamPorts: readonly number[],
  stream: Partial<StreamSpec> = {},
): Promise<{ node: Fixture; port: number }> {
  const node = await startFixture({ certificates: shown('default', 'a.example') })
  node.openDoor({ tls: 'reoriginate', ...stream })
  await node.applyBackends(upstreamPorts.map((port, index) => backend(index + 1, port)))
  const { port } = await node.bind({ routes: TERMINATE })
  return { node, port }
}

describe('proxy W30: TLS of the client ends here, TLS with the backend begins', () => {
  test('bytes go both ways, and the backend is asked for its name', async () => {
    const names: unknown[] = []
    const upstream = await startSecureUpstream({}, (socket) => {
      names.push(socket.servername)
      socket.pipe(socket)
    })
    const { port } = await startReoriginating([upstream.port], { backendName: 'a.example' })
    await new SecureClient(port).exchange('hello', 'hello')
    expect(names).toEqual(['a.example'])
  })

  test('without authorities and without a name any certificate is good', async () => {
    const names: unknown[] = []
    const upstream = await startSecureUpstream(
      { secureContext: contextOf('default') },
      (socket) => {
        names.push(socket.servername)
        socket.pipe(socket)
      },
    )
    const { port } = await startReoriginating([upstream.port])
    await new SecureClient(port).exchange('hello', 'hello')
    expect(names).toEqual([false])
  })

  test('with authorities, theirs and the name', async () => {
    const upstream = await startSecureUpstream({}, (socket) => void socket.pipe(socket))
    const checked = { backendCa: CA_FILE, backendName: 'a.example' }
    const { port } = await startReoriginating([upstream.port], checked)
    await new SecureClient(port).exchange('hello', 'hello')
  })

  test('with authorities and without a name, theirs alone', async () => {
    const upstream = await startSecureUpstream({}, (socket) => void socket.pipe(socket))
    const { port } = await startReoriginating([upstream.port], { backendCa: CA_FILE })
    await new SecureClient(port).exchange('hello', 'hello')
  })

  test('ends and resets go through both', async () => {
    const errors: string[] = []
    const upstream = await startSecureUpstream({}, (socket) => {
      socket.on('error', (error: NodeJS.ErrnoException) => errors.push(error.code ?? ''))
      socket.on('data', (bytes) => socket.write(bytes))
      socket.on('end', () => socket.end(' and the end'))
    })
    const { port } = await startReoriginating([upstream.port])
    const client = new SecureClient(port)
    client.socket.end('hello')
    await client.closed
    expect([client.text, client.error]).toEqual(['hello and the end', undefined])
    const other = new SecureClient(port)
    await other.exchange('hello', 'hello')
    other.tcp.resetAndDestroy()
    await until(() => errors.length > 0)
    expect(errors).toEqual(['ECONNRESET'])
    const third = new SecureClient(port)
    await third.exchange('hello', 'hello')
    for (const socket of upstream.sockets) socket.resetAndDestroy()
    await third.closed
    expect(third.error?.code).toBe('ECONNRESET')
    await until(() => upstream.sockets.size === 0)
  })
})

describe('a backend that cannot be spoken to in TLS is to blame', () => {
  const rows = [
    {
      what: 'its certificate is of other authorities',
      stream: { backendCa: CA_FILE, backendName: 'a.example' },
      server: 'stranger' as const,
      reason: /^TLS: self-signed certificate$/,
    },
    {
      what: 'its certificate is for another name',
      stream: { backendCa: CA_FILE, backendName: 'b.example' },
      server: 'a.example' as const,
      reason: /^TLS: Host: b\.example\. is not in the cert's altnames: DNS:a\.example$/,
    },
    { what: 'it speaks plain', stream: {}, server: 'plain' as const, reason: /^TLS: / },
    { what: 'it hangs up', stream: {}, server: 'mute' as const, reason: /^TLS: connection reset$/ },
  ]
  for (const { what, stream, server, reason } of rows) {
    test(what, async () => {
      const bad = await startBadUpstream(server)
      const good = await startSecureUpstream({}, (socket) => void socket.pipe(socket))
      const { node, port } = await startReoriginating([bad.port], stream)
      const client = new SecureClient(port)
      const failed = await node.event('backend-failed')
      expect(failed).toMatchObject({ backend: replica(1), reason: expect.stringMatching(reason) })
      await client.closed
      expect(client.error?.code).toBe('ECONNRESET')
      await until(() => bad.sockets.size === 0)
      if (stream.backendCa !== undefined) return
      await node.applyBackends([backend(1, bad.port), backend(2, good.port)])
      for (let count = 0; count < 3; count++) await new SecureClient(port).exchange('hi', 'hi')
    })
  }

  const startBadUpstream = (kind: 'stranger' | 'a.example' | 'plain' | 'mute') => {
    if (kind === 'plain') return startEcho('HTTP/1.1 400 Bad Request\r\n\r\n')
    if (kind === 'mute') return startUpstream((socket) => void socket.destroy())
    const options = { ...(kind === 'stranger' ? STRANGER : {}), allowHalfOpen: false }
    return startSecureUpstream(options, (socket) => void socket.resume())
  }

  test('one that does not answer the handshake is given up in time for the next', async () => {
    const mute = await startUpstream((socket) => {
      socket.on('error', () => {})
      socket.on('end', () => socket.end())
      socket.resume()
    })
    const good = await startSecureUpstream({}, (socket) => void socket.pipe(socket))
    const { node, port } = await startReoriginating([mute.port, good.port], {
      connectTimeoutMs: 200,
    })
    await new SecureClient(port).exchange('hi', 'hi')
    const failed = await node.event('backend-failed')
    expect(failed).toMatchObject({ backend: replica(1), reason: 'no connection within 200 ms' })
    await until(() => mute.sockets.size === 0)
  })

  test('one that refuses is told as everywhere', async () => {
    const { node, port } = await startReoriginating([await refusingPort()])
    const client = new SecureClient(port)
    expect((await node.event('backend-failed')).reason).toBe('connection refused')
    await client.closed
  })
})

describe('authorities', () => {
  test('a file that cannot be read is named, no backend is blamed, and nothing goes unchecked', async () => {
    const upstream = await startSecureUpstream({}, (socket) => void socket.pipe(socket))
    const missing = join(temporaryDirectory(), 'none.crt')
    const { node, port } = await startReoriginating([upstream.port], { backendCa: missing })
    expect(node.notices).toEqual([`${LISTENER}: backend_ca ${missing}: no such file`])
    const client = new SecureClient(port)
    await client.closed
    expect(client.error?.code).toBe('ECONNRESET')
    expect(node.events.some(({ type }) => type === 'backend-failed')).toBe(false)
    await until(() => upstream.sockets.size === 0)

    copyFileSync(CA_FILE, missing)
    node.listeners.apply({
      type: 'configure-listener',
      listener: LISTENER,
      ...settingsOf({ tls: 'reoriginate', backendCa: missing }),
    })
    await new SecureClient(port).exchange('hi', 'hi')
  })

  test('so is one without a certificate', async () => {
    const key = join(fixturesDirectory, 'a.example.key')
    const { node } = await startReoriginating([], { backendCa: key })
    expect(node.notices).toEqual([
      `${LISTENER}: backend_ca ${key}: holds no certificate in PEM form`,
    ])
  })
})

test('the PROXY header goes ahead of the handshake, in the clear', async () => {
  const heads: Buffer[] = []
  const upstream = await startUpstream((socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => heads.push(bytes))
  })
  const { port } = await startReoriginating([upstream.port], { proxyProtocol: true })
  const client = new SecureClient(port)
  await until(() => Buffer.concat(heads).byteLength >= 28 + 3)
  const head = Buffer.concat(heads)
  expect(head.subarray(0, 12)).toEqual(Buffer.from('\r\n\r\n\0\r\nQUIT\n'))
  expect(head.readUInt16BE(24)).toBe(client.tcp.localPort)
  expect(head.readUInt16BE(26)).toBe(port)
  expect([...head.subarray(28, 30)]).toEqual([22, 3]) // a ClientHello follows
})

test('a plain client is carried to a backend in TLS as well', async () => {
  const upstream = await startSecureUpstream({}, (socket) => void socket.pipe(socket))
  const node = await startFixture()
  node.openDoor({ tls: 'reoriginate' })
  await node.applyBackends([backend(1, upstream.port)])
  const { port } = await node.bind()
  await new Client(port).exchange('hello', 'hello')
})
