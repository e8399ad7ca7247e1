import { mutantsOf } from '../mutant.ts'

/** Keys, hashes, the index, sources, timers, records. */
export const storage = [
  ...mutantsOf('core/udp/storage/keys.ts', [
    ['an IPv6 client has the key of an IPv4 one', 'if (isIpv4(from)) {', 'if (from.port >= 0) {'],
    ['an IPv6 client is known by three words', 'words[1] = from.b', 'words[1] = 0'],
    ['the length of a key does not count', 'words[this.last]! |= length << 24', ''],
    [
      "a caller's key is cut at 16 octets",
      'for (let at = 0; at < length; at++)',
      'for (let at = 0; at < Math.min(length, 16); at++)',
    ],
    ['keys of 19 octets are taken', 'const CALLER_OCTETS_MAX = 18', 'const CALLER_OCTETS_MAX = 19'],
    ['a flow of a backend has the length of one of all', '(3 << 24) | backend', 'backend'],
    [
      'an address always counts with its port',
      'const tail = withPort ?',
      'const tail = address.port >= 0 ?',
    ],
  ]),
  ...mutantsOf('core/udp/storage/half-siphash.ts', [
    ['half of the seed is ignored', 'let v1 = key1', 'let v1 = 0'],
    ['a round too few', 'finalRounds = 3', 'finalRounds = 2'],
    [
      'the last word is not hashed',
      'if (at <= last) word = words[at]!',
      'if (at < last) word = words[at]!',
    ],
  ]),
  ...mutantsOf('core/udp/storage/flow-records.ts', [
    ['keys are compared but for one word', 'words[at + 3] === key[3] &&', ''],
    [
      'a flow forgets the address that was contacted',
      'words[at + 4] = port | (local << 16)',
      'words[at + 4] = port',
    ],
    ['a port has 15 bits', 'port: words[at + 4]! & 0xffff', 'port: words[at + 4]! & 0x7fff'],
  ]),
  ...mutantsOf('core/udp/storage/slot-index.ts', [
    [
      'the index takes hashes for keys',
      'page[place * 2] === hash && this.#records.hasKey(stored - 1, key)',
      'page[place * 2] === hash',
    ],
    [
      'the index leaves holes',
      'if (((place - home) & PLACE_MASK) < ((place - hole) & PLACE_MASK)) continue',
      'continue',
    ],
    [
      'the index forgets to split for good',
      'this.#directory[at] = (at & bit) === 0 ? zero : one',
      'this.#directory[at] = zero',
    ],
    [
      'the index does not wrap',
      'if (stored !== 0) put((page[place * 2]! & bit) === 0',
      'if (stored !== 0 && place > 0) put((page[place * 2]! & bit) === 0',
    ],
  ]),
  ...mutantsOf('core/udp/storage/sources.ts', [
    [
      'a source is never forgotten',
      'if (words[at + FLOWS]! > 0) return',
      'if (words[at + FLOWS]! >= 0) return',
    ],
    ['a source forgets itself with its first flow', 'if (words[at + FLOWS]! > 0) return', ''],
    ['a new source has the backend of the one before it', 'this.#members[source] = undefined', ''],
    [
      'sources are known by a hash of their first word',
      'for (let word = 0; word < FLOWS; word++)',
      'for (let word = 0; word < 1; word++)',
    ],
  ]),
  ...mutantsOf('core/udp/storage/timer-wheel.ts', [
    ['an emptied bucket is still looked at', 'if (next === NONE) this.#clear(bucket)', ''],
    ['the wheel does not look round', '-1 << (inGroup + 1)', '-1 << inGroup'],
    ['the list of a bucket is cut', 'words[at + NEXT] = next', 'words[at + NEXT] = NONE'],
  ]),
  ...mutantsOf('core/udp/storage/records.ts', [
    [
      'a freed record is used last',
      '    this.#freeFirst = slot\n',
      '    if (this.#freeFirst === NONE) this.#freeFirst = slot\n',
    ],
    [
      'a new record is not empty',
      'words.fill(0, at, at + this.#stride)\n      return slot',
      'return slot',
    ],
  ]),
]
