/**
 * Broken heads and chunks by the million: `node test/core/http/fuzz.ts --count N --seed S`. Each is
 * read whole, in pieces and by the slow oracle, which must all say the same; nothing may throw, and
 * what is kept of one is bounded. The same seed makes the same ones.
 */
import { LIMITS, Listening, octets, type Said } from './messages.ts'
import { oracle } from './oracle.ts'
import { CORPUS } from './smuggling/corpus.ts'

export interface Tally {
  readonly count: number
  /** Of which at least one message was taken. */
  readonly taken: number
  readonly refused: number
  /** Compared with the oracle. */
  readonly compared: number
}

export function fuzz(count: number, seed: number): Tally {
  const draw = generator(seed)
  let [taken, refused, compared] = [0, 0, 0]
  for (let n = 0; n < count; n++) {
    const isResponse = draw(4) === 0
    const text = mutated(isResponse ? RESPONSES : REQUESTS, draw)
    const method = isResponse ? METHODS[draw(METHODS.length)] : undefined
    const bytes = octets(text)
    const whole = heard([bytes], method)
    const pieces = heard(cutAtRandom(bytes, draw), method)
    if (!isAlike(whole, pieces)) {
      throw new Error(
        `in pieces, seed ${seed}, number ${n}: ${JSON.stringify([text, whole, pieces])}`,
      )
    }
    // It takes ten times as long.
    if (draw(8) === 0) {
      compared++
      const expected = JSON.stringify(oracle(text, method))
      if (JSON.stringify(whole.messages) !== expected) {
        throw new Error(`not as the oracle, seed ${seed}, number ${n}: ${JSON.stringify(text)}`)
      }
    }
    if (whole.messages.length > 0) taken++
    if (whole.fault !== undefined) refused++
  }
  return { count, taken, refused, compared }
}

function heard(pieces: readonly Uint8Array[], method: string | undefined): Said {
  const listening = new Listening(SMALL, method)
  for (const piece of pieces) listening.hear(piece)
  return listening.said()
}

/** What is refused before its line ends may be so only when enough of the line comes at once. */
function isAlike(one: Said, other: Said): boolean {
  if (JSON.stringify(one.messages) !== JSON.stringify(other.messages)) return false
  const isPart = one.rest.startsWith('part') || other.rest.startsWith('part')
  return isPart || (one.rest === other.rest && one.fault === other.fault)
}

function cutAtRandom(bytes: Uint8Array, draw: Draw): Uint8Array[] {
  const pieces: Uint8Array[] = []
  const most = 1 + draw(draw(3) === 0 ? 2 : 60)
  for (let at = 0; at < bytes.length; ) {
    const to = at + 1 + draw(most)
    pieces.push(bytes.subarray(at, to))
    at = to
  }
  return pieces
}

function mutated(samples: readonly string[], draw: Draw): string {
  let text = samples[draw(samples.length)]!
  for (let left = 1 + draw(4); left > 0; left--) {
    const at = draw(text.length + 1)
    const to = Math.min(text.length, at + draw(draw(2) === 0 ? 3 : 40))
    const other = samples[draw(samples.length)]!
    switch (draw(7)) {
      case 0: // another octet
        text = text.slice(0, at) + String.fromCharCode(draw(256)) + text.slice(at + 1)
        break
      case 1: // an odd one more
        text = text.slice(0, at) + ODD[draw(ODD.length)] + text.slice(at)
        break
      case 2: // an odd one instead
        text = text.slice(0, at) + ODD[draw(ODD.length)] + text.slice(to)
        break
      case 3: // something less
        text = text.slice(0, at) + text.slice(to)
        break
      case 4: // something twice
        text = text.slice(0, to) + text.slice(at)
        break
      case 5: // its first half, and the second of another
        text = text.slice(0, at) + other.slice(draw(other.length + 1))
        break
      default: // another after it
        text += other
    }
  }
  return text.slice(0, 4000)
}

/** A number below that. */
type Draw = (below: number) => number

/** Mulberry32. */
function generator(seed: number): Draw {
  let state = seed | 0
  return (below) => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below
  }
}

/** Out of reach: the oracle knows no limits. */
const SMALL = { ...LIMITS }

const METHODS = ['GET', 'HEAD', 'CONNECT']

const ODD: readonly string[] = [
  ...['\r', '\n', '\r\n', '\r\n\r\n', '\0', ' ', '\t', ':', ';', ',', '"', '\x7f', '\xff', '\x0b'],
  ...['0', '1', 'f', '+', '-', '0x', '0\r\n\r\n', '5\r\nhello\r\n', '?', '#', '*', '@', '[', ']'],
  ...[
    'Content-Length: 5\r\n',
    'Transfer-Encoding: chunked\r\n',
    'Host: a\r\n',
    'Connection: close\r\n',
  ],
  ...[
    'GET / HTTP/1.1\r\n',
    ' HTTP/1.0',
    'HTTP/1.1 200 OK\r\n',
    'http://a',
    'chunked',
    ', ',
    ';a="b"',
  ],
]

/** Half of them right. */
const REQUESTS = [
  ...CORPUS.filter((payload) => !('forward' in payload.strict)),
  ...Array.from({ length: 10 }, () =>
    CORPUS.filter((payload) => 'forward' in payload.strict),
  ).flat(),
]
  .map((payload) => payload.text)
  .filter((text) => text.length < 1000)

const RESPONSES: readonly string[] = [
  'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nServer: a\r\n\r\nhello',
  'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nDigest: a\r\n\r\n',
  'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\nDate: now\r\n\r\n',
  'HTTP/1.0 404 \r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n',
  'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nHTTP/1.1 200\r\nConnection: close\r\n\r\nabc',
  'HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: a\r\n\r\n',
]

function main(args: readonly string[]): void {
  const option = (name: string, usual: number): number => {
    const at = args.indexOf(name)
    return at < 0 ? usual : Number(args[at + 1])
  }
  const count = option('--count', 1_000_000)
  const seed = option('--seed', 1)
  const beganAt = performance.now()
  // In parts, so that a seed is found again soon.
  const part = 100_000
  let sum: Tally = { count: 0, taken: 0, refused: 0, compared: 0 }
  for (let n = 0; n * part < count; n++) {
    const tally = fuzz(Math.min(part, count - n * part), seed + n)
    sum = {
      count: sum.count + tally.count,
      taken: sum.taken + tally.taken,
      refused: sum.refused + tally.refused,
      compared: sum.compared + tally.compared,
    }
    if (n % 10 === 9) process.stdout.write(`${JSON.stringify(sum)}\n`)
  }
  const seconds = ((performance.now() - beganAt) / 1000).toFixed(0)
  const { rss } = process.memoryUsage()
  process.stdout.write(
    `${JSON.stringify({ ...sum, seconds, rssMb: Math.round(rss / 1_048_576) })}\n`,
  )
}

if (import.meta.main) main(process.argv.slice(2))
