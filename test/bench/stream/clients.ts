/** What the stream benchmark asks for, and of whom; the service behind knows the same bytes. */
import { connect, type Socket } from 'node:net'
import tls from 'node:tls'

export interface Work {
  readonly type: 'download' | 'requests' | 'connections' | 'tls-download' | 'handshakes'
  readonly connections: number
  readonly durationMs: number
}

/** Bytes, requests, connections or handshakes in that time. */
export interface Done {
  readonly units: number
  readonly elapsedMs: number
}

export async function work(port: number, { type, connections, durationMs }: Work): Promise<Done> {
  const startAt = performance.now()
  const endAt = startAt + durationMs
  const units = await Promise.all(
    Array.from({ length: connections }, () => CLIENTS[type](port, endAt)),
  )
  const elapsedMs = performance.now() - startAt
  return { units: units.reduce((sum, count) => sum + count, 0), elapsedMs }
}

type Client = (port: number, endAt: number) => Promise<number>

const download: Client = (port, endAt) =>
  new Promise((resolve, reject) => {
    let bytes = 0
    // One buffer for all reads: what the client costs is not what is measured.
    const onread = {
      buffer: Buffer.alloc(1 << 18),
      callback: (length: number): boolean => {
        bytes += length
        if (performance.now() < endAt) return true
        socket.destroy()
        resolve(bytes)
        return false
      },
    }
    const socket = connect({ host: HOST, port, onread })
    socket.on('error', reject)
    socket.write(Buffer.of(DOWNLOAD))
  })

const downloadByTls: Client = (port, endAt) =>
  new Promise((resolve, reject) => {
    let bytes = 0
    const socket = connectTls(port)
    socket.on('error', reject)
    socket.on('data', ({ byteLength }: Buffer) => {
      bytes += byteLength
      if (performance.now() < endAt) return
      socket.destroy()
      resolve(bytes)
    })
    socket.write(Buffer.of(DOWNLOAD))
  })

const requests: Client = (port, endAt) =>
  new Promise((resolve, reject) => {
    let answered = 0
    let got = 0
    const request = Buffer.alloc(REQUEST_BYTES, REQUEST)
    const socket = connect({ host: HOST, port, noDelay: true })
    socket.on('error', reject)
    socket.on('data', (bytes) => {
      got += bytes.byteLength
      if (got < REQUEST_BYTES) return
      got = 0
      answered += 1
      if (performance.now() < endAt) {
        socket.write(request)
        return
      }
      socket.destroy()
      resolve(answered)
    })
    socket.write(request)
  })

/** One after the other: connect, ask, be answered, see the end. */
const again =
  (open: (port: number) => Socket): Client =>
  async (port, endAt) => {
    let made = 0
    for (; performance.now() < endAt; made++) {
      await new Promise<void>((resolve, reject) => {
        const socket = open(port)
        socket.on('error', reject)
        socket.on('close', () => resolve())
        socket.resume()
        socket.write(HELLO)
      })
    }
    return made
  }

/** No session is offered: every handshake is a whole one. */
const connectTls = (port: number): tls.TLSSocket =>
  tls.connect({ host: HOST, port, servername: 'a.example', rejectUnauthorized: false })

export const HOST = '127.0.0.1'
/** The first byte of a connection says what it wants; anything else is one answer, and the end. */
export const [DOWNLOAD, REQUEST, CONNECTION] = [1, 2, 3]
const REQUEST_BYTES = 64
const HELLO = Buffer.alloc(REQUEST_BYTES, CONNECTION)

const CLIENTS: Readonly<Record<Work['type'], Client>> = {
  download,
  requests,
  connections: again((port) => connect({ host: HOST, port, noDelay: true })),
  'tls-download': downloadByTls,
  handshakes: again(connectTls),
}
