/** One attempt to have two parsers see different requests in the same bytes. */
export interface Payload {
  /** As published: CL.TE, TE.CL, TE.TE, CL.0... */
  readonly class: string
  /** What is special about this one; unique within its class. */
  readonly name: string
  /** All that the client sends, one character a byte. */
  readonly text: string
  readonly strict: Verdict
}

export type Verdict =
  // the head is refused with this status: no backend sees anything, and the connection is closed
  | { readonly refuse: number }
  // the head may go on; its body is refused with this status (or cut, when an answer has begun) at its
  // first wrong byte: no backend ever sees the request end
  | { readonly refuseBody: number }
  // so many requests go on, with these bodies, as one byte a character; whatever follows them is refused
  | { readonly forward: readonly string[] }

export const lines = (...each: readonly string[]): string =>
  each.map((line) => `${line}\r\n`).join('')

/** A POST with such fields and what follows its head. */
export const post = (fields: readonly string[], rest: string): string =>
  lines('POST / HTTP/1.1', 'Host: example.com', ...fields, '') + rest

/** What an attacker wants to have seen as a request. */
export const SMUGGLED = lines('GET /admin HTTP/1.1', 'Host: example.com', '')
/** The same, inside the data of one chunk, and the end of the body. */
export const SMUGGLED_CHUNK = `${SMUGGLED.length.toString(16)}\r\n${SMUGGLED}\r\n0\r\n\r\n`
