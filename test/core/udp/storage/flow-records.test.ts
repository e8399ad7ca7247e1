import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  FlowRecords,
  KEY,
  KEY_WORDS,
  PEER_PORT,
  RECORD_WORDS,
} from '../../../../core/udp/storage/flow-records.ts'

const anyWord = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 })
const anyPort = fc.integer({ min: 0, max: 65_535 })
const anyPeer = fc.record({ a: anyWord, b: anyWord, c: anyWord, d: anyWord, port: anyPort })

/** The last of three, with words that are not 0 all around. */
function recordAmongOthers(): {
  records: FlowRecords
  words: Int32Array
  at: number
  slot: number
} {
  const records = new FlowRecords()
  const slot = [records.allocate(), records.allocate(), records.allocate()][1]!
  const words = records.words[0]!
  words.fill(0x7777, 0, 3 * RECORD_WORDS)
  return { records, words, at: records.offset(slot), slot }
}

test('a record is two lines of cache', () => {
  expect(RECORD_WORDS * 4).toBe(128)
})

test('a key is equal when all its words are', () => {
  const { records, words, at, slot } = recordAmongOthers()
  const key = Int32Array.of(1, -2, 3, -4, 5, -6)
  words.set(key, at + KEY)
  expect(records.hasKey(slot, key)).toBe(true)
  for (let word = 0; word < KEY_WORDS; word++) {
    expect(records.hasKey(slot, key.with(word, 99))).toBe(false)
  }
})

test('a peer comes back as it was, beside the number of its local address', () => {
  fc.assert(
    fc.property(anyPeer, fc.integer({ min: 0, max: 65_535 }), (peer, local) => {
      const { records, words, at, slot } = recordAmongOthers()
      records.setPeer(slot, peer, local)
      expect(records.peer(slot)).toEqual(peer)
      expect(words[at + PEER_PORT]! >>> 16).toBe(local)
      // Nothing else was touched.
      const others = words.subarray(0, 3 * RECORD_WORDS).filter((word) => word !== 0x7777)
      expect(others.length).toBeLessThanOrEqual(5)
    }),
  )
})
