import { mutantsOf } from '../mutant.ts'

/** What is a message at all, and where it ends. */
export const messages = [
  ...mutantsOf('core/http/framing/chunked.ts', [
    [
      'trailers that were cut are those of the next body',
      'if (this.#trailerReader?.isEmpty === false)',
      'if (this.#trailerReader === null)',
    ],
    ['a chunk may end anyhow', "        if (octet !== CR) this.fault = 'chunk-end'\n", ''],
    [
      'a chunk may end with half of a line end',
      "        if (octet !== LF) this.fault = 'chunk-end'\n",
      '',
    ],
    [
      'the line of a size may end anyhow',
      "        if (octet !== LF) this.fault = 'line-end'\n",
      '',
    ],
    [
      'a size may be of any length',
      '++this.#digits > 16 || this.#left > Number.MAX_SAFE_INTEGER',
      'this.#digits++ < 0',
    ],
    [
      'a size may be missing',
      'else if (this.#digits > 0 && octet === CR) this.#state = SIZE_LF',
      'else if (octet === CR) this.#state = SIZE_LF',
    ],
    [
      'a size has but decimal digits',
      'return letter >= 97 && letter <= 102 ? letter - 87 : -1',
      'return -1',
    ],
    [
      'extensions go on for ever',
      "if (++this.#excess > EXCESS_BYTES_MAX) this.fault ??= 'chunk-extension'",
      '',
    ],
    [
      'small extensions go on for ever',
      'EXTENSION_BYTES_FREE - (this.#left >> 4)',
      'EXTENSION_BYTES_FREE - EXCESS_BYTES_MAX',
    ],
    ['signatures of chunks are too much', ' - (this.#left >> 4))', ')'],
    [
      'quotes mean nothing in extensions',
      'state === EXTENSION_VALUE && octet === QUOTE && this.#digits === 0',
      'state === EXTENSION_VALUE && octet < 0',
    ],
    [
      'what is escaped ends a quote',
      'state === QUOTED && octet === BACKSLASH ? ESCAPED : QUOTED',
      'QUOTED',
    ],
    [
      'a trailer may frame the message',
      'const HEAD_ONLY: readonly FieldId[] = [\n  FIELD.connection,\n  FIELD.contentLength,',
      'const HEAD_ONLY: readonly FieldId[] = [\n  FIELD.connection,',
    ],
    ['every trailer goes on', 'new Uint8Array(64)\n', 'new Uint8Array(64).fill(1)\n'],
    [
      'trailers of one body are those of the next',
      '    this.trailers = undefined\n    this.#state',
      '    this.#state',
    ],
    [
      'what a body left over counts for the next',
      '    this.#left = 0\n    this.#excess',
      '    this.#excess',
    ],
  ]),
  ...mutantsOf('core/http/head/meaning.ts', [
    ['two lengths are one', "  if (isCoded && hasLength) return 'two-lengths'\n", ''],
    ['HTTP/1.0 has chunks', 'if (n < 0 || minor === 0) return', 'if (n < 0) return'],
    [
      'of two lengths the first counts',
      'fields.isRepeated(id) ? -1 : fields.first(id)',
      'fields.first(id)',
    ],
    [
      'a length may begin with a nought',
      '(to - from === 1 || text.charCodeAt(from) !== 48)',
      '(to > from)',
    ],
    [
      'a length may be as long as it likes',
      'to - from <= 16 && length <= Number.MAX_SAFE_INTEGER',
      'to > from',
    ],
    [
      'a connection lists nothing but options',
      "  if (nominated !== '') fields.nominated = `${nominated},`\n",
      '',
    ],
    ['an upgrade need not be asked for', '(options & UPGRADE) === 0 ?', 'options < 0 ?'],
  ]),
  ...mutantsOf('core/http/head/request.ts', [
    [
      'what HTTP/1.1 meant HTTP/1.0 means',
      'if (!this.isSame || head.minor !== this.#minor) {',
      'if (!this.isSame) {',
    ],
    [
      'a connection of HTTP/1.0 is kept',
      ' || (minor === 0 && (options & KEEP_ALIVE) === 0)\n    // HTTP',
      '\n    // HTTP',
    ],
    ['HTTP/1.0 changes protocols', "minor === 0 ? '' : upgradeOf", 'upgradeOf'],
    ['HTTP/1.0 expects', 'minor === 1 && fields.has(FIELD.expect)', 'fields.has(FIELD.expect)'],
    [
      'a request need not say which host',
      "host === '' ? minor === 1 || fields.has(FIELD.host) :",
      "host === '' ? fields.has(FIELD.host) :",
    ],
    ['of two hosts the first counts', ': fields.isRepeated(FIELD.host)) {', ': false) {'],
    [
      'a target may name another host',
      "return isSame ? undefined : 'authority'",
      'return undefined',
    ],
    [
      'an asterisk is for every method',
      "return method === 'OPTIONS' ? undefined : 'target'",
      'return undefined',
    ],
    [
      'empty lines go on for ever',
      "      if (++this.#blank > BLANK_MAX) return this.refuse('blank-lines')\n",
      '',
    ],
    ['HTTP/1.9 is HTTP/1', 'return major === 1 && minor <= 1 ?', 'return major === 1 ?'],
  ]),
  ...mutantsOf('core/http/head/response.ts', [
    [
      'what a GET meant a HEAD means',
      'if (this.isSame && isLike) return undefined',
      'if (this.isSame) return undefined',
    ],
    ['a HEAD has its body', "requestMethod === 'HEAD' || status === 304", 'status === 304'],
    ['304 has a body', "requestMethod === 'HEAD' || status === 304", "requestMethod === 'HEAD'"],
    ['204 may have a body', "return body > 0 ? 'length' : 'transfer-encoding'", 'return 0'],
    [
      'a backend of HTTP/1.0 is asked again',
      ' ||\n      (minor === 0 && (options & KEEP_ALIVE) === 0)',
      '',
    ],
    ['Keep-Alive is in milliseconds', 'Number(timeout[1]) * 1000', 'Number(timeout[1])'],
    [
      'what is no HTTP is waited for',
      "return this.refuse('status-line')\n    }\n    if (at === stop",
      'break\n    }\n    if (at === stop',
    ],
  ]),
  ...mutantsOf('core/http/head/lines.ts', [
    [
      'a head that is as long as the one before is the same',
      'return this.text.slice(from - this.start) === this.#section',
      'return this.text.length - from + this.start === this.#section.length',
    ],
    [
      'a head that was taken under other limits is taken again',
      'limits !== this.#limits || end',
      'end',
    ],
    ['a line may be as long as a head', 'Math.min(headStop, at + lineBytesMax + 2)', 'headStop'],
    [
      'any number of fields is taken',
      "if (fields.count >= fieldsMax) return this.refuse('too-many-fields')",
      "if (fields.count < 0) return this.refuse('too-many-fields')",
    ],
    ['a space before a colon is none', 'if (isNamed) return', 'if (nameTo < from) return'],
  ]),
  ...mutantsOf('core/http/head/stream-head.ts', [
    [
      'a stream has fields of a connection',
      "  for (const id of OF_CONNECTIONS) if (fields.has(id)) return 'connection-field'\n",
      '',
    ],
    [
      'cookies of a stream stay apart',
      "cookies += cookies === '' ? value : `; ${value}`",
      "fields.append('cookie', value)",
    ],
    [
      'a stream may name two hosts',
      'fields.value(host).toLowerCase() !== head.authority.toLowerCase()',
      'head.authority === ""',
    ],
    [
      'a stream that ended has a body',
      "  if (isLast && body > 0) return 'length'\n  head.body = isLast ? 0 : body === UNFRAMED",
      '  head.body = body === UNFRAMED',
    ],
    ['names of a stream have cases', ' || name !== name.toLowerCase()', ''],
  ]),
]
