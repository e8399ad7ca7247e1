/** As much of DER (X.690) as certificates need. */

export interface Node {
  readonly tag: number
  /** With tag and length. */
  readonly whole: Buffer
  readonly content: Buffer
}

export function tlv(tag: number, ...contents: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(contents)
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  const hex = length.toString(16)
  const octets = Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex')
  return Buffer.concat([Buffer.of(tag, 0x80 | octets.length), octets, content])
}

export const sequence = (...contents: readonly Uint8Array[]): Buffer => tlv(0x30, ...contents)
export const set = (...contents: readonly Uint8Array[]): Buffer => tlv(0x31, ...contents)
export const integer = (bytes: Uint8Array): Buffer => tlv(0x02, bytes)
export const octets = (...contents: readonly Uint8Array[]): Buffer => tlv(0x04, ...contents)
export const bits = (bytes: Uint8Array): Buffer => tlv(0x03, Buffer.of(0), bytes)
export const utf8 = (text: string): Buffer => tlv(0x0c, Buffer.from(text))
export const TRUE: Buffer = tlv(0x01, Buffer.of(0xff))

export function oid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split('.').map(Number)
  const bytes = [40 * first + second]
  for (const arc of rest) {
    const digits = [arc & 0x7f]
    for (let left = arc >>> 7; left > 0; left >>>= 7) digits.unshift(0x80 | (left & 0x7f))
    bytes.push(...digits)
  }
  return tlv(0x06, Buffer.from(bytes))
}

/** GeneralizedTime (RFC 5280, 4.1.2.5.2), also for days that UTCTime would be for. */
export function time(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replaceAll(/\D/g, '').slice(0, 14)
  return tlv(0x18, Buffer.from(`${digits}Z`))
}

export function read(bytes: Buffer): Node[] {
  const nodes: Node[] = []
  for (let at = 0; at < bytes.length; ) {
    const first = bytes.readUInt8(at + 1)
    const more = first < 0x80 ? 0 : first & 0x7f
    const length = more === 0 ? first : bytes.readUIntBE(at + 2, more)
    const start = at + 2 + more
    const end = start + length
    if (end > bytes.length) throw new Error('DER ends too early')
    nodes.push({
      tag: bytes.readUInt8(at),
      whole: bytes.subarray(at, end),
      content: bytes.subarray(start, end),
    })
    at = end
  }
  return nodes
}
