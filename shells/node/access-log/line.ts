/** One exchange as one line of the access log, with its line feed. ASCII. */
import type { ExchangeRecord } from '../../../core/http/commands.ts'
import {
  type ListenerId,
  parseListenerId,
  type ReplicaId,
  replicaLabel,
} from '../../../core/services/identity.ts'
import type { AccessLogSettings } from '../../../core/spec/node/settings.ts'
import { apacheText, isPlain, jsonText, plainText } from './escape.ts'

/** `beganAt`: its first byte, in milliseconds since 1970. */
export type WriteLine = (exchange: ExchangeRecord, beganAt: number) => string

/** Keeps what many lines have in common. */
export const lineWriter = (format: AccessLogSettings['format']): WriteLine =>
  format === 'json' ? jsonLines() : combinedLines()

function jsonLines(): WriteLine {
  const time = eachSecond((date) => date.toISOString().slice(0, 'YYYY-MM-DDTHH:MM:SS'.length))
  const behind = remembered(whereText)
  const backend = remembered((id) => jsonText(replicaLabel(id as ReplicaId)))
  return (exchange, beganAt) => {
    const { clientAddress, method, host, target, route, requestId, userAgent, referer } = exchange
    const { timings, listener } = exchange
    const all = clientAddress + method + host + target + route + requestId + userAgent + referer
    // One look at all of them is faster than one at each, and nearly always enough.
    const text = isPlain(all) ? plainText : jsonText
    const at = Math.floor(beganAt)
    return (
      `{"time":"${time(at)}.${DIGITS[at % 1_000]}Z"` +
      `,"client":${text(clientAddress)}` +
      `,"method":${text(method)}` +
      `,"host":${text(host)}` +
      `,"target":${text(target)}` +
      `,"protocol":"${exchange.protocol}"` +
      `,"status":${exchange.status}` +
      `,"outcome":"${exchange.outcome}"` +
      `,"fault":${exchange.fault === undefined ? 'null' : `"${exchange.fault}"`}` +
      `,"bytes_in":${exchange.bytesIn}` +
      `,"bytes_out":${exchange.bytesOut}` +
      `,"head_ms":${msText(timings.headMs)}` +
      `,"chosen_ms":${msText(timings.chosenMs)}` +
      `,"sent_ms":${msText(timings.sentMs)}` +
      `,"first_byte_ms":${msText(timings.firstByteMs)}` +
      `,"total_ms":${msText(timings.totalMs)}` +
      `,${listener === undefined ? NOWHERE : behind(listener)}` +
      `,"route":${text(route)}` +
      `,"backend":${exchange.backend === undefined ? 'null' : backend(exchange.backend)}` +
      `,"retries":${exchange.retries}` +
      `,"request_id":${text(requestId)}` +
      `,"user_agent":${text(userAgent)}` +
      `,"referer":${text(referer)}}\n`
    )
  }
}

/**
 * Apache's "combined": `%h - - %t "%r" %>s %b "%{Referer}i" "%{User-Agent}i"`, times in UTC. What there
 * is none of is `-`: a status when none was sent, bytes when there were none.
 */
function combinedLines(): WriteLine {
  const time = eachSecond(apacheTime)
  return (exchange, beganAt) => {
    const { status, bytesOut } = exchange
    return (
      `${apacheText(exchange.clientAddress)} - - [${time(Math.floor(beganAt))}]` +
      ` "${requestLine(exchange)}" ${status === 0 ? '-' : status} ${bytesOut === 0 ? '-' : bytesOut}` +
      ` "${apacheText(exchange.referer)}" "${apacheText(exchange.userAgent)}"\n`
    )
  }
}

function requestLine({ method, target, protocol }: ExchangeRecord): string {
  if (method === '') return '-'
  const version = protocol === '2' ? '2.0' : protocol
  return `${apacheText(method)} ${apacheText(target)} HTTP/${version}`
}

/** `10/Oct/2000:13:55:36 +0000`. */
function apacheTime(date: Date): string {
  const [, day, month, year, time] =
    /^\w+, (\d\d) (\w+) (\d+) ([\d:]+) GMT$/.exec(date.toUTCString()) ?? []
  return `${day}/${month}/${year}:${time} +0000`
}

const whereText = (listener: string): string => {
  const { deployment, service, endpoint } = parseListenerId(listener as ListenerId)
  const [a, b, c] = [deployment, service, endpoint].map(jsonText)
  return `"deployment":${a},"service":${b},"endpoint":${c}`
}

const NOWHERE = '"deployment":null,"service":null,"endpoint":null'

/** Milliseconds with three decimals; `null` when it did not come that far. */
function msText(ms: number | undefined): string {
  if (ms === undefined) return 'null'
  const micros = Math.max(0, Math.round(ms * 1_000))
  if (micros >= SHORT_MICROS) return decimalOf(micros)
  // Most times are short, and the same ones come again.
  const known = SHORT_TIMES[micros]
  if (known !== undefined) return known
  const text = decimalOf(micros)
  SHORT_TIMES[micros] = text
  return text
}

const decimalOf = (micros: number): string => (micros / 1_000).toFixed(3)

/** The text of a time in milliseconds, made once for all of a second. */
function eachSecond(textOf: (date: Date) => string): (at: number) => string {
  let second = Number.NaN
  let text = ''
  return (at) => {
    const its = Math.floor(at / 1_000)
    if (its !== second) {
      second = its
      text = textOf(new Date(its * 1_000))
    }
    return text
  }
}

/** Forgets all of it when there is much: ids of what is gone are not asked for again. */
function remembered(textOf: (id: string) => string): (id: string) => string {
  const texts = new Map<string, string>()
  return (id) => {
    const known = texts.get(id)
    if (known !== undefined) return known
    if (texts.size >= REMEMBERED_MAX) texts.clear()
    const text = textOf(id)
    texts.set(id, text)
    return text
  }
}

/** `000` to `999`. */
const DIGITS: readonly string[] = Array.from({ length: 1_000 }, (_, value) =>
  String(value).padStart(3, '0'),
)

const SHORT_MICROS = 20_000
const SHORT_TIMES: (string | undefined)[] = Array.from({ length: SHORT_MICROS })

const REMEMBERED_MAX = 10_000
