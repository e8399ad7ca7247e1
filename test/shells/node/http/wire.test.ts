import { Duplex } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { type Occurrence, Wire } from '../../../../shells/node/http/wire.ts'

/** Takes what is written when it is told to. */
class Pipe extends Duplex {
  readonly taken: string[] = []
  /** The memory itself. */
  readonly chunks: (string | Buffer)[] = []
  readonly #waiting: (() => void)[] = []

  constructor() {
    super({ decodeStrings: false, highWaterMark: 10 })
  }

  override _read(): void {}

  override _write(chunk: string | Buffer, _encoding: string, done: () => void): void {
    this.chunks.push(chunk)
    this.taken.push(typeof chunk === 'string' ? chunk : chunk.toString('latin1'))
    this.#waiting.push(done)
  }

  override _final(done: () => void): void {
    done()
  }

  takeAll(): void {
    for (const done of this.#waiting.splice(0)) done()
  }
}

class Told extends Wire<Pipe> {
  readonly told: Occurrence[] = []

  protected tell(what: Occurrence): void {
    this.told.push(what)
  }

  close(): void {
    this.detach()
  }
}

const soon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1')

function started(): { pipe: Pipe; wire: Told } {
  const pipe = new Pipe()
  return { pipe, wire: new Told(pipe) }
}

describe('what is written', () => {
  test('a head, bytes, or both, in one piece', async () => {
    const { pipe, wire } = started()
    wire.write('h\u00e9ad', undefined)
    pipe.takeAll()
    wire.write('h\u00e9ad ', bytes('b\u00f6dy'))
    pipe.takeAll()
    wire.write('', bytes('body'))
    expect(pipe.taken).toEqual(['h\u00e9ad', 'h\u00e9ad b\u00f6dy', 'body'])
  })

  test('is one piece with all that was gathered before it', () => {
    const { pipe, wire } = started()
    wire.gather('4\r\n', bytes('data'))
    wire.gather('\r\n', undefined)
    wire.write('', Buffer.alloc(5_000, 'x'))
    expect(pipe.taken).toEqual([`4\r\ndata\r\n${'x'.repeat(5_000)}`])
    pipe.takeAll()
    wire.write('next', undefined)
    expect(pipe.taken.at(-1)).toBe('next')
  })

  test('is not what the memory holds later', () => {
    const { pipe, wire } = started()
    wire.write('', new Uint8Array(0)) // keeps the others waiting
    const [few, many] = [Buffer.alloc(10, 'a'), Buffer.alloc(5_000, 'b')]
    wire.write('', few)
    wire.write('', many)
    few.fill('x')
    many.fill('y')
    for (let count = 0; count < 3; count++) pipe.takeAll()
    expect(pipe.taken.slice(1)).toEqual(['a'.repeat(10), 'b'.repeat(5_000)])
  })

  test('is one copy of its own while it waits, however much it is', () => {
    const [one, other] = [started(), started()]
    const large = (letter: string): Buffer => Buffer.alloc(20_000, letter)
    one.wire.write('head ', large('a'))
    other.wire.write('', large('b'))
    one.wire.write('', large('c'))
    other.pipe.takeAll()
    other.wire.write('', large('d'))
    for (let count = 0; count < 2; count++) one.pipe.takeAll()
    expect(one.pipe.chunks.map(String)).toEqual([`head ${large('a')}`, String(large('c'))])
    expect(other.pipe.chunks.map(String)).toEqual([String(large('b')), String(large('d'))])
  })
})

describe('what it tells', () => {
  test('that it takes no more, once, and that it does again', async () => {
    const { pipe, wire } = started()
    wire.write('small', undefined)
    expect(wire.told).toEqual([])
    wire.write('0123456789', undefined)
    wire.write('0123456789', undefined)
    expect(wire.told).toEqual(['blocked'])
    while (pipe.writableLength > 0) pipe.takeAll()
    await soon()
    expect(wire.told).toEqual(['blocked', 'writable'])
  })

  test('that its end was taken, also where it had ended before', async () => {
    const { pipe, wire } = started()
    wire.end()
    await soon()
    expect(wire.told).toEqual(['finished'])
    const other = new Told(new Pipe().end())
    await soon()
    expect(other.told).toEqual([])
    other.end()
    expect(other.told).toEqual(['finished'])
    pipe.destroy()
  })

  test('that it broke; and nothing once it is released', async () => {
    const { pipe, wire } = started()
    pipe.destroy(new Error('gone'))
    await soon()
    expect(wire.told).toEqual(['broken'])
    const other = started()
    other.wire.close()
    other.pipe.destroy(new Error('gone'))
    await soon()
    expect(other.wire.told).toEqual([])
  })
})
