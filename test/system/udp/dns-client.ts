/** Questions to a name server from one socket, as a stub resolver asks them (RFC 1035, 4.1). */
import { createSocket, type RemoteInfo } from 'node:dgram'

export type RecordType = 'A' | 'AAAA' | 'TXT'

export interface DnsAnswer {
  readonly id: number
  readonly name: string
  readonly type: RecordType | undefined
  /** `10.1.2.3`, `fd00:0:0:0:0:0:0:3`, a text. */
  readonly records: readonly string[]
}

const TYPES: Readonly<Record<RecordType, number>> = { A: 1, TXT: 16, AAAA: 28 }

export function queryOf(id: number, name: string, type: RecordType): Buffer {
  const labels = name.split('.').map((label) => Buffer.from(`\0${label}`, 'latin1'))
  for (const label of labels) label[0] = label.length - 1
  const head = Buffer.from([id >> 8, id & 0xff, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0])
  return Buffer.concat([head, ...labels, Buffer.from([0, 0, TYPES[type], 0, 1])])
}

/** Undefined for what is no answer to one question. */
export function readAnswer(message: Buffer): DnsAnswer | undefined {
  if (message.length < 12 || message[2]! >> 7 !== 1 || message.readUInt16BE(4) !== 1) return
  const question = skipName(message, 12)
  const type = typeNamed(message.readUInt16BE(question.end))
  const records: string[] = []
  let at = question.end + 4
  for (let left = message.readUInt16BE(6); left > 0; left--) {
    const { end } = skipName(message, at)
    const data = message.subarray(end + 10, end + 10 + message.readUInt16BE(end + 8))
    records.push(recordText(typeNamed(message.readUInt16BE(end)), data))
    at = end + 10 + data.length
  }
  return { id: message.readUInt16BE(0), name: question.name, type, records }
}

function skipName(message: Buffer, from: number): { name: string; end: number } {
  const labels: string[] = []
  let at = from
  for (let length = message[at]!; length > 0; length = message[at]!) {
    if (length >= 0xc0) return { name: labels.join('.'), end: at + 2 } // written elsewhere
    labels.push(message.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.'), end: at + 1 }
}

const typeNamed = (code: number): RecordType | undefined =>
  (Object.keys(TYPES) as RecordType[]).find((name) => TYPES[name] === code)

function recordText(type: RecordType | undefined, data: Buffer): string {
  if (type === 'A') return [...data].join('.')
  if (type === 'TXT') return data.toString('latin1', 1)
  return Array.from({ length: 8 }, (_, i) => data.readUInt16BE(i * 2).toString(16)).join(':')
}

interface Waiting {
  readonly name: string
  readonly type: RecordType
  readonly resolve: (answer: DnsAnswer) => void
  readonly timers: readonly (NodeJS.Timeout | undefined)[]
}

export class DnsClient {
  readonly #socket = createSocket('udp4')
  readonly #port: number
  readonly #againMs: number | undefined
  readonly #waiting = new Map<number, Waiting>()
  #idLast = Math.floor(Math.random() * 0x10000)
  /** Questions that were asked again. */
  repeated = 0
  /** Datagrams that answer no open question by id, name and type, or do not come from the port. */
  strays = 0

  /** Without `againMs` every question is asked once. */
  constructor(port: number, againMs?: number) {
    this.#port = port
    this.#againMs = againMs
    this.#socket.on('message', (message, from) => this.#take(message, from))
  }

  /** Rejects only when there is no answer for so long that there will be none. */
  ask(name: string, type: RecordType): Promise<DnsAnswer> {
    this.#idLast = (this.#idLast + 1) % 0x10000
    const id = this.#idLast
    const query = queryOf(id, name, type)
    const send = (): void => this.#socket.send(query, this.#port, '127.0.0.1')
    const sendAgain = (): void => {
      this.repeated += 1
      send()
    }
    const { promise, resolve, reject } = Promise.withResolvers<DnsAnswer>()
    const giveUp = (): void => reject(new Error(`no answer for ${name} ${type}`))
    const timers = [
      setTimeout(giveUp, GIVE_UP_MS),
      this.#againMs === undefined ? undefined : setInterval(sendAgain, this.#againMs),
    ]
    this.#waiting.set(id, { name, type, resolve, timers })
    send()
    return promise
  }

  close(): void {
    for (const { timers } of this.#waiting.values()) timers.forEach(clearTimeout)
    this.#socket.close()
  }

  #take(message: Buffer, from: RemoteInfo): void {
    const answer = readAnswer(message)
    const asked = answer === undefined ? undefined : this.#waiting.get(answer.id)
    const fits =
      from.port === this.#port && asked?.name === answer?.name && asked?.type === answer?.type
    if (answer === undefined || asked === undefined || !fits) {
      this.strays += 1
      return
    }
    this.#waiting.delete(answer.id)
    asked.timers.forEach(clearTimeout)
    asked.resolve(answer)
  }
}

const GIVE_UP_MS = 60_000
