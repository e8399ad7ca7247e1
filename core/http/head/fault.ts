/** Why a head, a chunk or a trailer section is not taken. Each is counted by its word. */
export type HeadFault =
  // request line
  | 'blank-lines' // too many before it
  | 'request-line'
  | 'method'
  | 'target'
  | 'version' // neither 1.0 nor 1.1
  | 'target-too-long'
  // status line
  | 'status-line'
  // lines
  | 'line-end' // CR or LF alone
  | 'fold' // obs-fold (RFC 9112, 5.2)
  | 'field-name' // also whitespace before the colon
  | 'field-value'
  | 'line-too-long'
  | 'head-too-large'
  | 'too-many-fields'
  // meaning
  | 'host' // missing, repeated, no host
  | 'authority' // of an absolute-form target, or `:authority`: not that of Host
  | 'length' // Content-Length: no plain number, repeated, where none may be
  | 'two-lengths' // Content-Length and Transfer-Encoding
  | 'transfer-encoding' // not exactly `chunked`, repeated, in HTTP/1.0
  | 'coding' // chunked, after codings we do not know
  | 'expectation'
  | 'connection-field' // on HTTP/2 (RFC 9113, 8.2.2)
  | 'connection' // it lists too much
  // chunks
  | 'chunk-size'
  | 'chunk-extension'
  | 'chunk-end' // no CRLF after its data
  | 'trailer' // one that would frame or route (RFC 9110, 6.5.1), had it come in the head

/** What a client is answered whose request has it. */
export const statusOf = (fault: HeadFault): number => STATUS[fault] ?? 400

const STATUS: { readonly [fault in HeadFault]?: number } = {
  'target-too-long': 414,
  expectation: 417,
  'line-too-long': 431,
  'head-too-large': 431,
  'too-many-fields': 431,
  coding: 501,
  version: 505,
}

/** The same in words, for whoever sent it. They quote nothing of it. */
export const detailOf = (fault: HeadFault): string =>
  `Refused: ${DETAILS[fault] ?? fault.replaceAll('-', ' ')}.`

/** Of those whose word alone says too little. */
const DETAILS: { readonly [fault in HeadFault]?: string } = {
  method: 'bad method, or no HTTP at all',
  'line-end': 'CR or LF alone',
  host: 'no Host, two, or a bad one',
  authority: 'the target is not for this Host',
  length: 'bad or wrong Content-Length',
  'two-lengths': 'Content-Length with Transfer-Encoding',
  'connection-field': 'a field that HTTP/2 does not have',
  connection: 'Connection lists too much',
}
