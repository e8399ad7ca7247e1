/** Answers as simulated backends give them, drawn; and what is wrong with some. */
import type { Prng } from '../../prng.ts'
import type { HttpBackendOptions } from '../swarm.ts'
import { contentOf } from './content.ts'
import type { Field } from './plain-reader.ts'

/** What a backend means to send. */
export interface AnswerPlan {
  /** Of the request, times 16, plus which attempt it is. */
  readonly number: number
  readonly status: number
  /** Interim answers that go before it. */
  readonly interim: readonly number[]
  readonly fields: readonly Field[]
  readonly content: string
  readonly framing: 'none' | 'length' | 'chunked' | 'until-close'
  readonly trailers: readonly Field[]
  /** Of HTTP/1.1: everything as bytes, interim answers included. */
  readonly text: string
  readonly headEndsAt: number
  /** The connection is not used again: it says so, or its framing does. */
  readonly closes: boolean
  /** `Keep-Alive: timeout`, in seconds. */
  readonly keepAliveS: number | undefined
  readonly becomesTunnel: boolean
  /** It is no answer at all, or two. */
  readonly wrong: string | undefined
  /** What it says after its end, to nobody. */
  readonly chatter: string
}

export interface Asked {
  readonly number: number
  readonly attempt: number
  readonly method: string
  readonly upgrade: string
  readonly isStream: boolean
}

export function drawAnswer(
  asked: Asked,
  options: HttpBackendOptions,
  isLast: boolean,
  draw: Prng,
): AnswerPlan {
  const percent = (of: number): boolean => draw.below(100) < of
  const { method, isStream } = asked
  const number = answerNumber(asked.number, asked.attempt)
  const becomesTunnel = asked.upgrade !== '' && percent(75)
  // Whatever is a success opens the tunnel of a stream (RFC 8441, 5).
  const mayDeny = isStream && asked.upgrade !== ''
  const status = becomesTunnel ? (isStream ? 200 : 101) : mayDeny ? 404 : drawStatus(draw)
  const isBare = becomesTunnel || status === 204 || status === 304 || method === 'HEAD'
  const mayBeWrong = !isStream && asked.upgrade === '' && percent(options.wrongPercent)
  const ways = Object.keys(WRONG).filter((name) => !isBare || !name.startsWith('body: '))
  const wrong = mayBeWrong ? draw.pick(ways) : undefined
  const content = isBare ? '' : contentOf(number, drawSize(options.bodyBytesMax, draw))
  const framing = isBare
    ? 'none'
    : !isStream && percent(options.untilClosePercent)
      ? 'until-close'
      : draw.pick(['length', 'chunked'] as const)
  const trailers: readonly Field[] =
    framing === 'chunked' && percent(30) ? [['X-Sum', String(number)]] : []
  const keepAliveS = percent(options.hintPercent) ? draw.pick([1, 2, 5]) : undefined
  const closes = framing === 'until-close' || isLast || percent(options.closePercent)
  const says = closes && (framing !== 'until-close' || percent(50)) && percent(80)
  const fields = drawFields({ number, content, framing, closes: says, keepAliveS, isStream }, draw)
  if (becomesTunnel && !isStream) fields.push(['Connection', 'Upgrade'], ['Upgrade', asked.upgrade])
  // The length of what is not sent, as the answer to a GET would have it.
  if (isBare && !becomesTunnel && status !== 204 && percent(40))
    fields.push([isStream ? 'content-length' : 'Content-Length', '77'])
  const interim = percent(options.interimPercent) ? [draw.pick([100, 102, 103])] : []
  if (interim.length > 0 && percent(30)) interim.push(103)
  const head = headText(1, status, fields)
  const before = interim.map((each) => headText(1, each, [['X-Early', 'yes']])).join('')
  const body = framing === 'chunked' ? chunked(content, trailers, draw) : content
  const sound = { before, head, body }
  return {
    number,
    status,
    interim,
    fields,
    content,
    framing,
    trailers,
    text: wrong === undefined ? before + head + body : WRONG[wrong]!(sound),
    headEndsAt: before.length + head.length,
    closes,
    keepAliveS,
    becomesTunnel,
    wrong,
    chatter: !isStream && !closes && percent(options.chattersPercent) ? CHATTER : '',
  }
}

export const answerNumber = (request: number, attempt: number): number => request * 16 + attempt

/** Who is sent the answer `number`. */
export const requestOfAnswer = (number: number): number => Math.floor(number / 16)

interface Drawn extends Pick<AnswerPlan, 'number' | 'content' | 'framing' | 'keepAliveS'> {
  readonly closes: boolean
  readonly isStream: boolean
}

function drawFields(
  { number, content, framing, closes, keepAliveS, isStream }: Drawn,
  draw: Prng,
): Field[] {
  const fields: Field[] = [
    ['X-Answer', String(number)],
    ['Set-Cookie', 'a=1'],
    ['set-cookie', `b=${number}`],
  ]
  if (framing === 'length') fields.push(['Content-Length', String(content.length)])
  if (isStream) return fields.map(([name, value]) => [name.toLowerCase(), value])
  if (framing === 'chunked') fields.push(['Transfer-Encoding', 'chunked'])
  if (closes) fields.push(['Connection', 'close'])
  else if (draw.below(6) === 0) fields.push(['Connection', 'x-drop, date'], ['X-Drop', 'me'])
  if (keepAliveS !== undefined) fields.push(['Keep-Alive', `timeout=${keepAliveS}, max=9`])
  if (draw.below(6) === 0) fields.push(['Server-Timing', 'db;dur=5'])
  return fields
}

const headText = (minor: number, status: number, fields: readonly Field[]): string =>
  `HTTP/1.${minor} ${status} ${REASONS[status] ?? 'Whatever'}\r\n${fields
    .map(([name, value]) => `${name}: ${value}\r\n`)
    .join('')}\r\n`

function chunked(content: string, trailers: readonly Field[], draw: Prng): string {
  let text = ''
  for (let at = 0; at < content.length; ) {
    const size = Math.min(content.length - at, draw.pick([1, 16, 300, 6_000]))
    text += `${size.toString(16)}${draw.below(8) === 0 ? ';x=y' : ''}\r\n`
    text += `${content.slice(at, at + size)}\r\n`
    at += size
  }
  return `${text}0\r\n${trailers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`
}

interface Parts {
  readonly before: string
  readonly head: string
  readonly body: string
}

const line =
  (put: string): ((parts: Parts) => string) =>
  ({ before, head }) =>
    `${before}${head.replace(FRAMING_LINES, '').slice(0, -2)}${put}\r\n\r\n5\r\nhello\r\n0\r\n\r\n`

/** The head of such an answer is sound, and what follows is not: nobody may take it for complete. */
export const isCutShort = ({ wrong }: AnswerPlan): boolean => wrong?.startsWith('body: ') === true

const chunks =
  (body: string): ((parts: Parts) => string) =>
  ({ before, head }) =>
    `${before}${head.replace(FRAMING_LINES, '').slice(0, -2)}Transfer-Encoding: chunked\r\n\r\n${body}`

/** None of these is an answer: 502. */
const WRONG: Readonly<Record<string, (parts: Parts) => string>> = {
  'length and chunked': line('Content-Length: 5\r\nTransfer-Encoding: chunked'),
  'two lengths': line('Content-Length: 5\r\nContent-Length: 6'),
  'a signed length': line('Content-Length: +5'),
  'another coding': line('Transfer-Encoding: gzip'),
  'a space before the colon': line('Transfer-Encoding : chunked'),
  'a bare LF': line('X-A: b\nContent-Length: 5'),
  'a bare CR': line('X-A: b\rContent-Length: 5'),
  'a folded line': line('X-A: b\r\n c'),
  'a NUL': line('X-A: b\0'),
  'no colon': line('Nonsense'),
  'another protocol': () => '\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\x40\0\0\0\r\n\r\n',
  'no status': ({ head }) => head.replace(/ \d+ /, ' abc '),
  'a status of four digits': ({ head }) => head.replace(/ (\d+) /, ' $10 '),
  'a status too low': ({ head }) => head.replace(/ \d+ /, ' 099 '),
  'another version': ({ head }) => head.replace('HTTP/1.1', 'HTTP/3.0'),
  'body: a size of other letters': chunks('5\r\nhello\r\nxyz\r\nhello\r\n0\r\n\r\n'),
  'body: a chunk too long': chunks('3\r\nhello\r\n0\r\n\r\n'),
  'body: an endless size': chunks('FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n'),
  'a tunnel that nobody wants': () =>
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: other\r\n\r\nhello',
}

const drawStatus = (draw: Prng): number =>
  draw.pick([200, 200, 200, 200, 201, 204, 206, 301, 304, 404, 418, 500, 503])

const drawSize = (bytesMax: number, draw: Prng): number =>
  draw.pick([0, 1, draw.below(bytesMax + 1), draw.below(bytesMax + 1), bytesMax])

const REASONS: Readonly<Record<number, string>> = {
  101: 'Switching Protocols',
  200: 'OK',
  204: 'No Content',
  304: 'Not Modified',
  404: '',
  418: "I'm a teapot \xe9",
}

const CHATTER = 'HTTP/1.1 200 OK\r\nContent-Length: 4\r\nX-Answer: 1\r\n\r\nevil'

const FRAMING_LINES = /(Content-Length|Transfer-Encoding): [^\r]*\r\n/g
