/** ClientHellos: built by hand, and as a real TLS client sends them. */
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { type ConnectionOptions, connect } from 'node:tls'

export interface Extension {
  readonly type: number
  readonly body: Uint8Array
}

export interface HelloParts {
  readonly sessionIdBytes?: number
  readonly cipherSuites?: number
  /** Absent: as TLS 1.2 may, the hello ends before them. */
  readonly extensions?: readonly Extension[]
}

export const bytesOf = (...parts: readonly (number | string | Uint8Array)[]): Uint8Array =>
  new Uint8Array(
    Buffer.concat(
      parts.map((each) =>
        typeof each === 'number'
          ? Uint8Array.of(each)
          : typeof each === 'string'
            ? Buffer.from(each, 'latin1')
            : each,
      ),
    ),
  )

export const uint16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value)
/** With its length before it. */
export const vector16 = (body: Uint8Array): Uint8Array => bytesOf(uint16(body.length), body)

const hostName = (name: string): Uint8Array => bytesOf(0, vector16(bytesOf(name)))
export const serverName = (...names: readonly string[]): Extension => ({
  type: 0,
  body: vector16(bytesOf(...names.map(hostName))),
})

/** A handshake message. */
export function helloMessage({
  sessionIdBytes = 32,
  cipherSuites = 3,
  extensions,
}: HelloParts): Uint8Array {
  const all = extensions?.map(({ type, body }) => bytesOf(uint16(type), vector16(body)))
  const body = bytesOf(
    bytesOf(3, 3),
    new Uint8Array(32).fill(7),
    bytesOf(sessionIdBytes, new Uint8Array(sessionIdBytes).fill(9)),
    vector16(new Uint8Array(2 * cipherSuites).fill(0x13)),
    bytesOf(1, 0),
    all === undefined ? bytesOf() : vector16(bytesOf(...all)),
  )
  return bytesOf(1, body.length >> 16, uint16(body.length & 0xffff), body)
}

/** In records of `recordBytes` bytes of the message each, as many as it takes. */
export function inRecords(message: Uint8Array, recordBytes = 16_384): Uint8Array {
  const records: Uint8Array[] = []
  for (let at = 0; at < message.length; at += recordBytes) {
    records.push(bytesOf(22, 3, 1, vector16(message.subarray(at, at + recordBytes))))
  }
  return bytesOf(...records)
}

/** What a client begins with that asks for this name. */
export const helloFor = (name: string): Uint8Array =>
  inRecords(helloMessage({ extensions: [serverName(name)] }))

/** What Node's own client begins with. */
export async function realHello(
  options: ConnectionOptions,
  fragmentBytes?: number,
): Promise<Uint8Array> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const client = connect({ ...options, host: '127.0.0.1', port, rejectUnauthorized: false })
  client.on('error', () => {})
  if (fragmentBytes !== undefined) client.setMaxSendFragment(fragmentBytes)
  const [socket] = await accepted
  let all = bytesOf()
  while (!isWhole(all)) {
    const [chunk] = (await once(socket, 'data')) as [Uint8Array]
    all = bytesOf(all, chunk)
  }
  socket.destroy()
  client.destroy()
  server.close()
  return all
}

/** An oracle of its own: the message is all there. */
function isWhole(all: Uint8Array): boolean {
  const message: number[] = []
  for (let at = 0; at + 5 <= all.length; ) {
    const end = at + 5 + all[at + 3]! * 256 + all[at + 4]!
    message.push(...all.subarray(at + 5, Math.min(end, all.length)))
    at = end
  }
  const [, high = 0, middle = 0, low = 0] = message
  return message.length >= 4 && message.length >= 4 + high * 65_536 + middle * 256 + low
}
