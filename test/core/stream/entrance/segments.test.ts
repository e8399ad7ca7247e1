/** TCP has no messages: whatever a client sends, where it is cut must make no difference. */
import { describe, expect, test } from 'vitest'
import { localHeader } from '../../../../core/net/proxy-v2.ts'
import type { EntranceCommand } from '../../../../core/stream/entrance/commands.ts'
import type { EntranceConfig } from '../../../../core/stream/entrance/config.ts'
import { bytesOf, helloFor, helloMessage, inRecords, serverName, uint16 } from './hellos.ts'
import {
  accepted,
  behindProxy,
  data,
  entranceAfter,
  HEADER,
  HELLO,
  LINE,
  LONE_TLS,
  NAMES,
  NAMES_AND_REST,
  PLAIN,
  PROXY,
  QUERY,
  run,
} from './rows.ts'

const CONFIGS: Readonly<Record<string, EntranceConfig>> = {
  'names behind a proxy': behindProxy(NAMES),
  'names and a rest behind a proxy': behindProxy(NAMES_AND_REST),
  'TLS behind a proxy': behindProxy(LONE_TLS),
  'plain behind a proxy': behindProxy(PLAIN),
  names: NAMES,
}

const LONG = inRecords(helloMessage({ extensions: [serverName('b.example')] }), 11)
const EXTENDED = bytesOf(
  HEADER.subarray(0, 14),
  uint16(112),
  HEADER.subarray(16),
  new Uint8Array(100),
)
const BEGINNINGS: readonly Uint8Array[] = [
  bytesOf(),
  LINE,
  HEADER,
  EXTENDED,
  localHeader(),
  bytesOf('PROXY UNKNOWN\r\n'),
  bytesOf('PROXY TCP4 1.2.3.4\n'),
]
const SAMPLES = BEGINNINGS.flatMap((header) =>
  [HELLO, LONG, helloFor('else.where'), QUERY].map((rest) => bytesOf(header, rest, 'and more')),
)

interface Outcome {
  /** Without their bytes, and without the ones that only wait. */
  readonly commands: readonly Omit<EntranceCommand, 'bytes'>[]
  readonly handedOn: Uint8Array
  /** Sent, and not read any more. */
  readonly unread: Uint8Array
}

/** What becomes of a client that sends `bytes` in pieces of `sizes`, the last one as long as need be. */
function sent(config: EntranceConfig, bytes: Uint8Array, sizes: readonly number[]): Outcome {
  const entrance = entranceAfter(config)
  const commands = run(entrance, accepted(PROXY))
  let at = 0
  for (let piece = 0; at < bytes.length; piece++) {
    const next = at + (sizes[piece] ?? bytes.length)
    commands.push(...run(entrance, data(bytes.slice(at, next)))) // owned by who gets it
    at = Math.min(next, bytes.length)
    if (commands.length > 1) break
  }
  const handed = commands.flatMap((each) => ('bytes' in each ? [each.bytes] : []))
  return {
    commands: commands.map((each) => ('bytes' in each ? { ...each, bytes: undefined } : each)),
    handedOn: bytesOf(...handed),
    unread: bytes.subarray(at),
  }
}

describe.each(Object.entries(CONFIGS))('%s', (_, config) => {
  test.each(SAMPLES.map((bytes, number) => [number, bytes] as const))('sample %i', (_, bytes) => {
    const whole = sent(config, bytes, [])
    const isThrough = whole.commands.at(-1)?.type !== 'refuse'
    const cuts = [
      new Array<number>(bytes.length).fill(1),
      ...Array.from(bytes.keys(), (at) => [at + 1]),
      ...Array.from({ length: 20 }, (_, at) => new Array<number>(99).fill(2 + at)),
    ]
    for (const sizes of cuts) {
      const { commands, handedOn, unread } = sent(config, bytes, sizes)
      expect(commands).toEqual(whole.commands)
      if (isThrough) expect(bytesOf(handedOn, unread)).toEqual(whole.handedOn)
      else expect(handedOn).toEqual(whole.handedOn)
    }
  })
})

test('a client that sends byte by byte costs its bytes, not an object for each', () => {
  const message = helloMessage({
    extensions: [{ type: 21, body: new Uint8Array(16_000) }, serverName('b.example')],
  })
  const entrance = entranceAfter(NAMES, [accepted()])
  const hello = inRecords(message)
  const [greeting] = entrance.state.greetings.values()
  const rooms = new Set<Uint8Array>()
  for (let at = 0; at < hello.length - 1; at++) {
    entrance.step(data(hello.slice(at, at + 1)), 0, [])
    rooms.add(greeting!.bytes)
  }
  expect(rooms.size, 'what is there is moved now and then').toBeLessThan(8)
  expect(greeting!.length).toBe(hello.length - 1)
  expect(greeting!.bytes.buffer.byteLength).toBeLessThan(2 * hello.length)
  expect(run(entrance, data(hello.slice(-1))).at(-1)).toMatchObject({ route: 'star', bytes: hello })
})
