import { mutantsOf } from '../mutant.ts'

/** What a stream begins with: ClientHellos, and headers of the PROXY protocol. */
export const hello = [
  ...mutantsOf('core/stream/entrance/client-hello.ts', [
    [
      'a fragment that goes on is another one',
      'if (fragments.at(-1) === at) fragments[fragments.length - 1] = at + count\n    else fragments',
      'fragments',
    ],
    [
      'a header of a record is part of the message',
      '    this.#at = at + RECORD_HEADER_BYTES\n',
      '    this.#at = at\n',
    ],
    [
      'any record begins a hello',
      "    if (there > 0 && bytes[at] !== HANDSHAKE) return 'invalid'\n",
      '',
    ],
    [
      'any version begins a hello',
      "    if (there > 1 && bytes[at + 1] !== VERSION_MAJOR) return 'invalid'\n",
      '',
    ],
    [
      'a record may be empty',
      'length === 0 || length > RECORD_BYTES_MAX',
      'length > RECORD_BYTES_MAX',
    ],
    ['a record may be of any length', 'length === 0 || length > RECORD_BYTES_MAX', 'length === 0'],
    ['records have no bound', "    if (this.#records > HELLO_RECORDS_MAX) return 'invalid'\n", ''],
    ['any message is a hello', '    if (header[0] !== CLIENT_HELLO) return undefined\n', ''],
    [
      'a hello has no bound',
      'return length > HELLO_BYTES_MAX ? undefined : MESSAGE_HEADER_BYTES + length',
      'return MESSAGE_HEADER_BYTES + length',
    ],
    [
      'a hello is one byte shorter than it may be',
      'return length > HELLO_BYTES_MAX ? undefined',
      'return length >= HELLO_BYTES_MAX ? undefined',
    ],
    [
      'a long message is read as a short one',
      'header[1]! * 0x1_0000 + uint16(header, 2)',
      'uint16(header, 2)',
    ],
    [
      'what is in several records is read from the first',
      'if (to - from >= length) return',
      'if (to > from) return',
    ],
    [
      'a hello without extensions is none',
      'if (extensions === end) return { serverName: undefined } // TLS 1.2 asks for none',
      '',
    ],
    [
      'something behind the extensions is nothing',
      'if (vectorEnd(message, extensions, 2, end) !== end) return undefined',
      '',
    ],
    [
      'the last of two lists of names counts',
      '      if (hello !== undefined) return undefined // the TLS server might believe the other one\n',
      '',
    ],
    [
      'the last of two names counts',
      '      if (hello !== undefined) return undefined // "MUST NOT contain more than one"\n',
      '',
    ],
    [
      'something behind the names is nothing',
      'if (vectorEnd(message, from, 2, to) !== to) return undefined',
      '',
    ],
    ['a name of another type is one', 'if (message[at] === HOST_NAME) {', 'if (at >= from) {'],
    [
      'names are as they are written',
      'String.fromCharCode(...octets).toLowerCase()',
      'String.fromCharCode(...octets)',
    ],
    [
      'a dot at the end is part of the name',
      "name.endsWith('.') ? name.slice(0, -1) : name",
      'name',
    ],
    ['any text is a name', ' && DOMAIN_NAME.test(plain) ? plain', ' ? plain'],
    ['a label may be empty', '{1,63}(?:', '{0,63}(?:'],
    ['a name may be as long as it is', 'plain.length <= HOST_NAME_BYTES_MAX && ', ''],
    ['a vector may go beyond its end', 'return next > end ? -1 : next', 'return next'],
  ]),
  ...mutantsOf('core/net/proxy-v1.ts', [
    ['a line may be longer', 'PROXY_LINE_BYTES_MAX = 107', 'PROXY_LINE_BYTES_MAX = 108'],
    [
      'a line is one byte shorter than it may be',
      'PROXY_LINE_BYTES_MAX = 107',
      'PROXY_LINE_BYTES_MAX = 106',
    ],
    [
      'what may yet become a line is none',
      'const begun = Math.min(bytes.length, PREFIX.length)',
      'const begun = PREFIX.length',
    ],
    [
      'a line ends without CR',
      "return bytes[at - 1] === CR ? at + 1 : 'malformed'",
      'return at + 1',
    ],
    ['CR has a place in a line', "    if (bytes[at - 1] === CR) return 'malformed'\n", ''],
    [
      'a line that does not end is waited for',
      "return limit < PROXY_LINE_BYTES_MAX ? 'partial' : 'malformed'",
      "return 'partial'",
    ],
    [
      'who nobody knows has to be said',
      "if (family === 'UNKNOWN') return",
      "if (family === 'unknown') return",
    ],
    ['something behind the ports is nothing', 'rest.length !== 4 || from', 'from'],
    ['IPv4 is IPv6', 'family !== `TCP${ip.family}`', "!family.startsWith('TCP')"],
    [
      'an address has a zone',
      "  if (ip.family === 6 && ip.zone !== '') return undefined // of no meaning to another host\n",
      '',
    ],
    ['a port may be any number', 'const PORT_MAX = 65_535', 'const PORT_MAX = 65_536'],
    [
      'the client is who it contacted',
      '{ source: from, destination: to }',
      '{ source: to, destination: from }',
    ],
    [
      'the first byte behind a line is lost',
      'announced: { source: from',
      'length: length + 1, announced: { source: from',
    ],
  ]),
  ...mutantsOf('core/net/proxy-v2.ts', [
    [
      'a header that says nothing is not LOCAL',
      'header[12] = VERSION | LOCAL',
      'header[12] = VERSION | PROXY',
    ],
    [
      'extensions are data',
      'return FIXED_BYTES + bytes[14]! * 256 + bytes[15]!',
      'return FIXED_BYTES + bytes[15]!',
    ],
    [
      'what may yet become a header is none',
      '  const begun = Math.min(bytes.length, SIGNATURE.length)\n',
      '  const begun = SIGNATURE.length\n',
    ],
  ]),
]
