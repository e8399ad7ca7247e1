import { mutantsOf } from '../mutant.ts'

/** PROXY protocol headers, and what the table asks its group of backends. */
export const headers = [
  ...mutantsOf('core/net/proxy-v2.ts', [
    [
      'source and destination are mixed up',
      'const addresses = [source, destination]',
      'const addresses = [destination, source]',
    ],
    ["a datagram's header says stream", "(transport === 'dgram' ? DGRAM : STREAM)", 'STREAM'],
    [
      'a mixed pair is written as IPv4',
      'const both4 = isIpv4(source) && isIpv4(destination)',
      'const both4 = isIpv4(source) || isIpv4(destination)',
    ],
    [
      'ports are little-endian',
      'header[FIXED_BYTES + 2 * size + 2 * each] = address.port >> 8',
      'header[FIXED_BYTES + 2 * size + 2 * each] = address.port',
    ],
    [
      'a header that is cut short is read',
      "if (!(length <= payload.length)) return 'malformed'",
      '',
    ],
    [
      'LOCAL announces',
      'if (isLocal || (isProxy && kind === UNSPEC)) {',
      'if (isProxy && kind === UNSPEC) {',
    ],
    [
      'any version is version 2',
      'const isProxy = payload[12] === (VERSION | PROXY)',
      'const isProxy = (payload[12]! & 15) === PROXY',
    ],
  ]),
  ...mutantsOf('core/balance/group.ts', [
    ['restored: whose turn it is is forgotten', 'group.#strategy.recall?.(snapshot.strategy)', ''],
    ['a life that ended still counts', 'member.live -= 1', ''],
    [
      'every failure is worth reporting',
      'if (last !== undefined && now - last < FAILURE_REPORT_INTERVAL_MS) return false',
      '',
    ],
    ['a set may be older than the one in force', 'if (version <= state.version) return []', ''],
    [
      'who is excluded is chosen',
      'this.#strategy.choose(this.#serving(exclude), key)',
      'this.#strategy.choose([], key)',
    ],
  ]),
]
