/** Bodies of a gigabyte, and bodies that nobody reads, in little memory. */
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect as connectHttp2,
} from 'node:http2'
import { connect } from 'node:net'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { fixture } from '../../../shells/node/tls/fixtures.ts'
import { freePorts, type RunningNode, until } from '../../running-node.ts'
import { residentBytes } from '../../stream/peers/nodes.ts'
import { deploymentOf, originService, startHttpNode } from '../peers/nodes.ts'
import type { Sunk } from '../peers/programs/origin.ts'

const GIGABYTE = 2 ** 30
const MEGABYTE = 2 ** 20
/** What the collector of a process that does nothing else may leave lying about for a while. */
const GROWTH_MAX = 128 * MEGABYTE

let node: RunningNode
let [plain, tls, h2c]: readonly number[] = []

beforeAll(async () => {
  ;[plain, tls, h2c] = await freePorts(3)
  const file = deploymentOf(
    originService('site', [
      `name: tls, protocol: https, port: ${tls}`,
      `name: web, protocol: http, port: ${plain}`,
    ]),
    originService('rpc', [`name: h2c, protocol: http, port: ${h2c}, http: { backend: h2c }`]),
  )
  node = await startHttpNode({ 'weir.yaml': file })
})
afterAll(() => node?.stop())

/** How much more memory the node had at any time of some work than before it. */
async function growth(work: () => Promise<void>): Promise<number> {
  const before = residentBytes(node.pid)
  let most = before
  const sampler = setInterval(() => {
    most = Math.max(most, residentBytes(node.pid))
  }, 20)
  await work().finally(() => clearInterval(sampler))
  return most - before
}

function* blocks(bytes: number): Generator<Buffer> {
  const block = Buffer.alloc(256 * 1024, 'weir')
  for (let left = bytes; left > 0; left -= block.byteLength) {
    yield left < block.byteLength ? block.subarray(0, left) : block
  }
}

async function bytesIn(body: AsyncIterable<Buffer>): Promise<number> {
  let bytes = 0
  for await (const part of body) bytes += part.byteLength
  return bytes
}

async function textIn(body: AsyncIterable<Buffer>): Promise<string> {
  let text = ''
  for await (const part of body) text += part
  return text
}

/** HTTP/1.1: a length, or chunks. */
async function up1(port: number, bytes: number, isChunked: boolean): Promise<number> {
  const headers = isChunked ? {} : { 'content-length': bytes }
  const asked = request({ port, host: '127.0.0.1', path: '/discard', method: 'POST', headers })
  const answered = once(asked, 'response')
  await pipeline(Readable.from(blocks(bytes)), asked)
  const [answer] = await answered
  return (JSON.parse(await textIn(answer)) as Sunk).bytes
}

async function down1(port: number, bytes: number, isChunked: boolean): Promise<number> {
  const path = `/bytes?bytes=${bytes}${isChunked ? '' : '&length'}`
  const asked = request({ port, host: '127.0.0.1', path }).end()
  const [answer] = await once(asked, 'response')
  return bytesIn(answer)
}

async function session(authority: string): Promise<ClientHttp2Session> {
  const made = connectHttp2(authority, {
    ca: fixture('ca.crt'),
    settings: { initialWindowSize: 2 * MEGABYTE },
  })
  await once(made, 'connect')
  made.setLocalWindowSize(4 * MEGABYTE)
  onTestFinished(() => made.destroy())
  return made
}

const post = (made: ClientHttp2Session, path: string): ClientHttp2Stream =>
  made.request({ ':method': 'POST', ':path': path })

async function up2(made: ClientHttp2Session, bytes: number): Promise<number> {
  const stream = post(made, '/discard')
  const answered = textIn(stream)
  await pipeline(Readable.from(blocks(bytes)), stream, { end: true })
  return (JSON.parse(await answered) as Sunk).bytes
}

const down2 = (made: ClientHttp2Session, bytes: number): Promise<number> =>
  bytesIn(made.request({ ':path': `/bytes?bytes=${bytes}` }))

test('a gigabyte up and down by HTTP/1.1, with a length and in chunks', async () => {
  const grown = await growth(async () => {
    expect(await up1(plain as number, GIGABYTE, false)).toBe(GIGABYTE)
    expect(await down1(plain as number, GIGABYTE, false)).toBe(GIGABYTE)
    expect(await up1(plain as number, GIGABYTE / 8, true)).toBe(GIGABYTE / 8)
    expect(await down1(plain as number, GIGABYTE / 8, true)).toBe(GIGABYTE / 8)
  })
  report('1.1', grown)
  expect(grown).toBeLessThan(GROWTH_MAX)
})

test('a gigabyte up and down by HTTP/2', async () => {
  const made = await session(`https://localhost:${tls}`)
  const grown = await growth(async () => {
    expect(await up2(made, GIGABYTE)).toBe(GIGABYTE)
    expect(await down2(made, GIGABYTE)).toBe(GIGABYTE)
  })
  report('2', grown)
  expect(grown).toBeLessThan(GROWTH_MAX)
})

test('128 MB up and down between HTTP/1.1 and HTTP/2 on the other side', async () => {
  const size = GIGABYTE / 8
  const made = await session(`http://127.0.0.1:${h2c}`)
  const grown = await growth(async () => {
    expect(await up1(h2c as number, size, true)).toBe(size)
    expect(await down1(h2c as number, size, true)).toBe(size)
    expect(await up2(made, size)).toBe(size)
    expect(await down2(made, size)).toBe(size)
  })
  report('h2c', grown)
  expect(grown).toBeLessThan(GROWTH_MAX)
})

test('clients that read nothing cost little, and are served when they read', async () => {
  const size = 16 * MEGABYTE
  const made = await session(`https://localhost:${tls}`)
  const sockets = Array.from({ length: 10 }, () => connect(plain as number, '127.0.0.1'))
  onTestFinished(() => sockets.forEach((socket) => void socket.destroy()))
  const streams = Array.from({ length: 10 }, () =>
    made.request({ ':path': `/bytes?bytes=${size}` }),
  )
  const grown = await growth(async () => {
    for (const socket of sockets) {
      socket.pause()
      socket.write(
        `GET /bytes?bytes=${size}&length HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`,
      )
    }
    await Promise.all(streams.map((stream) => once(stream, 'response')))
    await stillness()
  })
  report('20 that read nothing', grown)
  expect(grown).toBeLessThan(GROWTH_MAX)
  const got = await Promise.all([...sockets, ...streams].map((each) => bytesIn(each)))
  expect(got.slice(10)).toEqual(streams.map(() => size))
  for (const bytes of got.slice(0, 10)) expect(bytes - size).toBeLessThan(1_000)
})

test('a replica that reads nothing holds its client back', async () => {
  const socket = connect(plain as number, '127.0.0.1')
  onTestFinished(() => void socket.destroy())
  const made = await session(`https://localhost:${tls}`)
  const stream = post(made, '/never')
  let sent = 0
  const grown = await growth(async () => {
    socket.write(`POST /never HTTP/1.1\r\nHost: a\r\nContent-Length: ${GIGABYTE}\r\n\r\n`)
    for (const each of [socket, stream]) {
      for (const block of blocks(GIGABYTE)) {
        sent += block.byteLength
        if (!each.write(block) && !(await drained(each))) break
      }
    }
  })
  report(`${sent >> 20} MB that nobody reads`, grown)
  expect(sent).toBeLessThan(GIGABYTE / 8)
  expect(grown).toBeLessThan(GROWTH_MAX)
})

test('an answer by HTTP/2 that comes before the end of its request, and those after it', async () => {
  const made = await session(`https://localhost:${tls}`)
  for (let count = 0; count < 5; count += 1) {
    const stream = post(made, '/small')
    stream.end(Buffer.alloc(2 * MEGABYTE))
    expect(await textIn(stream)).toBe('ok\n')
  }
})

/** Whether there is room again, or `false` when nothing moves any more. */
async function drained(stream: { once(event: 'drain', heard: () => void): unknown }) {
  const heard = new Promise((resolve) => void stream.once('drain', () => resolve(true)))
  return Promise.race([heard, stillness().then(() => false)])
}

/** The node does nothing any more: it has used no processor for a while. */
async function stillness(): Promise<void> {
  let last = -1
  let still = 0
  await until(async () => {
    const used = await usedTicks()
    still = used - last <= 1 ? still + 1 : 0
    last = used
    return still >= 25
  })
}

const usedTicks = async (): Promise<number> => {
  const fields = (await readFile(`/proc/${node.pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? []
  return Number(fields[11]) + Number(fields[12])
}

const report = (what: string, bytes: number): void =>
  console.log(`node grew by ${(bytes / MEGABYTE).toFixed(0)} MB: ${what}`)
