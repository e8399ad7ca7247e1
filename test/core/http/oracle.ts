/**
 * HTTP/1.1 messages read slowly and plainly, from the grammar of RFC 9112 and RFC 9110 as regular
 * expressions over the whole text, and Weir's stricter rules on top. Shares nothing with `core/http`.
 */
import type { Message } from './messages.ts'

/** All messages from the beginning of the text that are complete and right; stops at the first other. */
export function oracle(text: string, requestMethod?: string): Message[] {
  const messages: Message[] = []
  let rest = text
  for (;;) {
    const read = requestMethod === undefined ? request(rest) : response(rest, requestMethod)
    if (read === undefined) return messages
    messages.push(read.message)
    if (read.message.isLast) return messages
    rest = read.rest
  }
}

interface Read {
  readonly message: Message
  readonly rest: string
}

type Pair = readonly [string, string]

const TCHAR = "[!#$%&'*+\\-.^_`|~0-9A-Za-z]"
const TEXT = '[\\x21-\\x7e\\x80-\\xff]'
const VALUE = `(?:${TEXT}(?:[ \\t\\x21-\\x7e\\x80-\\xff]*${TEXT})?)?`
const FIELD_LINE = `${TCHAR}+:[ \\t]*${VALUE}[ \\t]*\\r\\n`
const REQUEST = new RegExp(
  `^(?:\\r\\n){0,4}(${TCHAR}+) ([\\x21\\x22\\x24-\\x7e]+) HTTP/1\\.([01])\\r\\n((?:${FIELD_LINE})*)\\r\\n`,
)
const RESPONSE = new RegExp(
  `^HTTP/1\\.([01]) ([1-5]\\d\\d)(?: ([\\t \\x21-\\x7e\\x80-\\xff]*))?\\r\\n((?:${FIELD_LINE})*)\\r\\n`,
)
const QUOTED =
  '"(?:[\\t \\x21\\x23-\\x5b\\x5d-\\x7e\\x80-\\xff]|\\\\[\\t \\x21-\\x7e\\x80-\\xff])*"'
const CHUNK = new RegExp(`^([0-9A-Fa-f]{1,16})(?:;${TCHAR}+(?:=(?:${TCHAR}+|${QUOTED}))?)*\\r\\n`)
const TRAILERS = new RegExp(`^((?:${FIELD_LINE})*)\\r\\n`)
const HEAD_ONLY = ['connection', 'content-length', 'host', 'transfer-encoding', 'upgrade']
const NAME = '[0-9A-Za-z._~-]+'
const AUTHORITY = `(?:${NAME}|\\[[0-9A-Fa-f:.]+\\])(?::\\d{1,5})?`

function request(text: string): Read | undefined {
  const match = REQUEST.exec(text)
  if (match === null) return undefined
  const [head, method, target, minorText, fieldText] = match as unknown as string[]
  const minor = Number(minorText)
  const fields = pairs(fieldText!)
  const framing = framingOf(fields, minor)
  if (framing === undefined || !isFor(method!, target!, minor, fields)) return undefined
  if (
    minor === 1 &&
    all(fields, 'expect').some((value, n) => n > 0 || !/^100-continue$/i.test(value))
  ) {
    return undefined
  }
  const body = bodyOf(text.slice(head!.length), framing === 'none' ? 0 : framing)
  return body && message([method!, target!], minor, fields, body)
}

function response(text: string, requestMethod: string): Read | undefined {
  const match = RESPONSE.exec(text)
  if (match === null) return undefined
  const [head, minorText, statusText, reason = '', fieldText] = match as unknown as string[]
  const minor = Number(minorText)
  const status = Number(statusText)
  const fields = pairs(fieldText!)
  let framing = framingOf(fields, minor)
  if (framing === undefined) return undefined
  const isEmpty = status < 200 || status === 204
  if (requestMethod === 'HEAD' || status === 304) framing = 0
  else if (isEmpty && framing !== 'none' && framing !== 0) return undefined
  else if (isEmpty || (requestMethod === 'CONNECT' && status < 300)) framing = 0
  const rest = text.slice(head!.length)
  const isUntilClose = framing === 'none'
  const body = framing === 'none' ? { data: rest, trailers: [], rest: '' } : bodyOf(rest, framing)
  const read = body && message([statusText!, reason], minor, fields, body)
  return (
    read && { ...read, message: { ...read.message, isLast: read.message.isLast || isUntilClose } }
  )
}

function message(start: Pair, minor: number, fields: readonly Pair[], body: Body): Read {
  const options = all(fields, 'connection').flatMap((value) =>
    value.split(',').map((option) => option.trim().toLowerCase()),
  )
  const isLast = options.includes('close') || (minor === 0 && !options.includes('keep-alive'))
  const { data, trailers, rest } = body
  return { message: { start, minor, fields, body: data, trailers, isLast }, rest }
}

const pairs = (text: string): Pair[] =>
  text
    .split('\r\n')
    .slice(0, -1)
    .map((line) => {
      const at = line.indexOf(':')
      return [line.slice(0, at), line.slice(at + 1).replace(/^[ \t]+|[ \t]+$/g, '')]
    })

const all = (fields: readonly Pair[], name: string): string[] =>
  fields.filter((field) => field[0].toLowerCase() === name).map((field) => field[1])

function isFor(method: string, target: string, minor: number, fields: readonly Pair[]): boolean {
  const hosts = all(fields, 'host')
  if (hosts.length > 1 || (minor === 1 && hosts.length === 0)) return false
  if (hosts.length === 1 && !isAuthority(hosts[0]!)) return false
  const absolute = /^https?:\/\/([^/?]*)([/?].*)?$/i.exec(target)
  const told =
    method === 'CONNECT'
      ? /:\d+$/.test(target)
        ? target
        : ''
      : absolute
        ? absolute[1]!
        : undefined
  if (told === undefined) {
    return target.startsWith('/') || (target === '*' && method === 'OPTIONS')
  }
  return isAuthority(told) && (hosts[0] ?? told).toLowerCase() === told.toLowerCase()
}

function isAuthority(text: string): boolean {
  if (text.length > 262 || !new RegExp(`^${AUTHORITY}$`).test(text)) return false
  const port = /:(\d+)$/.exec(text.replace(/^\[.*\]/, ''))
  return port === null || Number(port[1]) < 65_536
}

/** Undefined: not to be taken. */
function framingOf(
  fields: readonly Pair[],
  minor: number,
): number | 'chunked' | 'none' | undefined {
  const codings = all(fields, 'transfer-encoding')
  const lengths = all(fields, 'content-length')
  if (codings.length + lengths.length === 0) return 'none'
  if (codings.length + lengths.length > 1) return undefined
  if (codings.length === 1) {
    return minor === 1 && codings[0]!.toLowerCase() === 'chunked' ? 'chunked' : undefined
  }
  if (!/^(?:0|[1-9]\d{0,15})$/.test(lengths[0]!)) return undefined
  return BigInt(lengths[0]!) < 2n ** 53n ? Number(lengths[0]) : undefined
}

interface Body {
  readonly data: string
  readonly trailers: readonly Pair[]
  readonly rest: string
}

function bodyOf(text: string, framing: number | 'chunked'): Body | undefined {
  if (framing !== 'chunked') {
    if (text.length < framing) return undefined
    return { data: text.slice(0, framing), trailers: [], rest: text.slice(framing) }
  }
  let data = ''
  let rest = text
  for (;;) {
    const head = CHUNK.exec(rest)
    if (head === null) return undefined
    const size = BigInt(`0x${head[1]}`)
    rest = rest.slice(head[0].length)
    if (size === 0n) break
    if (size >= 2n ** 53n || BigInt(rest.length) < size + 2n) return undefined
    data += rest.slice(0, Number(size))
    if (rest.slice(Number(size), Number(size) + 2) !== '\r\n') return undefined
    rest = rest.slice(Number(size) + 2)
  }
  const end = TRAILERS.exec(rest)
  if (end === null) return undefined
  const trailers = pairs(end[1]!)
  if (trailers.some(([name]) => HEAD_ONLY.includes(name.toLowerCase()))) return undefined
  return { data, trailers, rest: rest.slice(end[0].length) }
}
