import { describe } from 'vitest'
import { localHeader } from '../../../../core/net/proxy-v2.ts'
import { peersOf } from '../rows.ts'
import { bytesOf, uint16 } from './hellos.ts'
import {
  accepted,
  admit,
  behindProxy,
  CLIENT,
  data,
  HEADER,
  HELLO,
  HOLD,
  LINE,
  LONE_TLS,
  NAMES,
  PLAIN,
  PROXY,
  QUERY,
  READ,
  type Row,
  refuse,
  STRANGER,
  secure,
  secured,
  testRows,
} from './rows.ts'

describe('behind a trusted proxy', () => {
  const config = behindProxy(PLAIN)
  const header = (name: string, bytes: Uint8Array, then: Row['then']): Row => ({
    name,
    config,
    given: [accepted(PROXY)],
    when: data(bytes),
    then,
  })
  const malformed = [refuse('proxy-header')]
  const v2 = (...rest: readonly (number | string | Uint8Array)[]): Uint8Array =>
    bytesOf(HEADER.subarray(0, 12), ...rest)

  testRows([
    { name: 'its connections are read', config, when: accepted(PROXY), then: [READ] },
    {
      name: 'so are those of a proxy that an IPv6 range holds',
      config,
      when: accepted(peersOf('[fd00::7]:1', '[fd00::1]:2')),
      then: [READ],
    },
    header('a line', LINE, [HOLD, admit('plain', bytesOf(), CLIENT)]),
    header('a header of version 2', HEADER, [HOLD, admit('plain', bytesOf(), CLIENT)]),
    header('what follows is the route’s', bytesOf(LINE, QUERY), [
      HOLD,
      admit('plain', QUERY, CLIENT),
    ]),
    header('likewise', bytesOf(HEADER, QUERY), [HOLD, admit('plain', QUERY, CLIENT)]),
    header('the header is read once: another one is data', bytesOf(LINE, LINE), [
      HOLD,
      admit('plain', LINE, CLIENT),
    ]),
    header('UNKNOWN: the real addresses', bytesOf('PROXY UNKNOWN\r\n', QUERY), [
      HOLD,
      admit('plain', QUERY, PROXY),
    ]),
    header('LOCAL: the real addresses', localHeader(), [HOLD, admit('plain', bytesOf(), PROXY)]),
    header(
      'extensions are skipped',
      v2(0x21, 0x11, uint16(15), HEADER.subarray(16), 'abc', QUERY),
      [HOLD, admit('plain', QUERY, CLIENT)],
    ),
    header(
      'as many as 4,096 bytes of them',
      v2(0x20, 0, uint16(4096), new Uint8Array(4096), QUERY),
      [HOLD, admit('plain', QUERY, PROXY)],
    ),
    header('more are refused before they come', v2(0x20, 0, uint16(4097)), malformed),
    header('no header', QUERY, malformed),
    header('a client of TLS', HELLO, malformed),
    header('a line that ends wrong', bytesOf('PROXY UNKNOWN\n'), malformed),
    header('version 3', v2(0x31, 0x11, uint16(12), new Uint8Array(12)), malformed),
    header('datagrams', v2(0x21, 0x12, uint16(12), HEADER.subarray(16)), malformed),
    header('Unix sockets', v2(0x21, 0x31, uint16(216), new Uint8Array(216)), malformed),
    header('half a header', HEADER.subarray(0, 20), []),
    header('half a line', LINE.subarray(0, 20), []),
    {
      name: 'others are not asked for one: what looks like it is data',
      config,
      when: accepted(STRANGER),
      then: [admit('plain', bytesOf(), STRANGER)],
    },
    {
      name: 'nor is anybody the kernel does not name',
      config,
      when: accepted(),
      then: [admit('plain')],
    },
    {
      name: 'header and hello in one',
      config: behindProxy(NAMES),
      given: [accepted(PROXY)],
      when: data(bytesOf(LINE, HELLO)),
      then: [HOLD, secure(HELLO, 'a.example')],
    },
    {
      name: 'the client that was announced is let in',
      config: behindProxy(NAMES),
      given: [accepted(PROXY), data(bytesOf(LINE, HELLO))],
      when: secured,
      then: [admit('a', bytesOf(), CLIENT)],
    },
    {
      name: 'header and half a hello: it goes on being read',
      config: behindProxy(NAMES),
      given: [accepted(PROXY)],
      when: data(bytesOf(LINE, HELLO.subarray(0, 9))),
      then: [],
    },
    {
      name: 'header, and TLS without names: the handshake begins with what follows',
      config: behindProxy(LONE_TLS),
      given: [accepted(PROXY)],
      when: data(bytesOf(LINE, HELLO.subarray(0, 9))),
      then: [HOLD, secure(HELLO.subarray(0, 9))],
    },
    {
      name: 'of a stranger, a header before TLS is no TLS',
      config: behindProxy(NAMES),
      given: [accepted(STRANGER)],
      when: data(bytesOf(LINE, HELLO)),
      then: [refuse('not-tls')],
    },
  ])
})
