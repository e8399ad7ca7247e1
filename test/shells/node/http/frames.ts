/** HTTP/2 frame by frame (RFC 9113, 4.1), for what Node's own client does not show or would not do. */
import { connect, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'
import { HOST } from '../listener/fixture.ts'

export const TYPE = {
  data: 0,
  headers: 1,
  rstStream: 3,
  settings: 4,
  goaway: 7,
  window: 8,
} as const
export const END_STREAM = 1
const END_HEADERS = 4

export interface Frame {
  readonly type: number
  readonly flags: number
  readonly stream: number
  readonly payload: Buffer
}

/** A client that has said hello; gone with the test. */
export class FrameClient {
  readonly socket: Socket
  readonly frames: Frame[] = []
  isClosed = false
  #rest: Buffer = Buffer.alloc(0)

  constructor(port: number, settings: Buffer = Buffer.alloc(0)) {
    this.socket = connect({ port, host: HOST, noDelay: true })
    this.socket.on('error', () => {})
    this.socket.on('close', () => {
      this.isClosed = true
    })
    this.socket.on('data', (bytes) => this.#read(bytes))
    onTestFinished(() => void this.socket.destroy())
    this.socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    this.send(TYPE.settings, 0, 0, settings)
  }

  send(type: number, flags: number, stream: number, payload: Buffer): void {
    const head = Buffer.alloc(9)
    head.writeUIntBE(payload.length, 0, 3)
    head.writeUInt8(type, 3)
    head.writeUInt8(flags, 4)
    head.writeUInt32BE(stream, 5)
    this.socket.write(Buffer.concat([head, payload]))
  }

  /** Of `http://a/`: all but the name are entries of the static table (RFC 7541, A). */
  request(stream: number, method: 'GET' | 'POST', isLast: boolean): void {
    const fields = [method === 'GET' ? 0x82 : 0x83, 0x86, 0x84, 0x41, 1, 0x61]
    this.send(TYPE.headers, END_HEADERS | (isLast ? END_STREAM : 0), stream, Buffer.from(fields))
  }

  /** Of a stream; `0x1`: with the end of it. */
  of(stream: number): readonly string[] {
    return this.frames
      .filter((frame) => frame.stream === stream)
      .map(({ type, flags }) => {
        const [name] = Object.entries(TYPE).find(([, each]) => each === type) ?? [`${type}`]
        const isEnd = type <= TYPE.headers && (flags & END_STREAM) !== 0
        return isEnd ? `${name}, end` : name
      })
  }

  #read(bytes: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, bytes])
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) return
      const [type, flags] = [this.#rest[3]!, this.#rest[4]!]
      const payload = this.#rest.subarray(9, end)
      this.frames.push({ type, flags, stream: this.#rest.readUInt32BE(5) & 0x7fffffff, payload })
      this.#rest = this.#rest.subarray(end)
    }
  }
}
