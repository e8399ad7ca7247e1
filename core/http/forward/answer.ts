/**
 * Answers of our own. They quote nothing of the request and name nothing that is behind us (W45), so
 * that there is nothing to escape; the request id leads whoever may know to the access log.
 */
import type { ExchangeOutcome } from '../commands.ts'
import { detailOf, type HeadFault } from '../head/fault.ts'
import { hostOf } from '../routes/table.ts'
import { isRequestId } from './request.ts'

/** ASCII. Complete: one head, one body. */
export interface Answer {
  readonly status: number
  /** name, value, name, value...; lower case, content-length among them. */
  readonly fields: readonly string[]
  readonly body: string
}

/**
 * What a refusal says (RFC 9457, or a page for people); `status` where the outcome leaves it open
 * (`bad-request`), and what is wrong with the request.
 */
export function errorAnswer(
  outcome: ExchangeOutcome,
  status: number,
  accept: string,
  requestId: string,
  fault?: HeadFault,
): Answer {
  const code = STATUS[outcome] ?? (outcome === 'bad-request' ? status : 503)
  const title = REASONS[code] ?? 'Error'
  const detail = fault === undefined ? (DETAILS[code] ?? '') : detailOf(fault)
  const id = isRequestId(requestId) ? requestId : ''
  const isHtml = prefersHtml(accept.slice(0, ACCEPT_MAX).toLowerCase())
  const body = isHtml
    ? `<!doctype html><html lang=en><meta charset=utf-8><title>${code} ${title}</title>` +
      `<h1>${title}</h1>${detail && `<p>${detail}`}${id && `<p><small>${id}</small>`}\n`
    : `{"status":${code},"title":"${title}"${detail && `,"detail":"${detail}"`}` +
      `${id && `,"requestId":"${id}"`}}\n`
  const fields = ['content-type', isHtml ? 'text/html; charset=utf-8' : 'application/problem+json']
  if (id !== '') fields.push('x-request-id', id)
  if (code === 503) fields.push('retry-after', RETRY_AFTER_S)
  return answer(code, body, fields)
}

/**
 * To the same path and query over TLS, at this port. Permanent, and the method stays (RFC 9110,
 * 15.4.9). Undefined: who knows what host that is.
 */
export function redirectAnswer(
  authority: string,
  path: string,
  query: string,
  port: number,
): Answer | undefined {
  const host = hostOf(authority)
  if (!HOST.test(host)) return undefined
  const to = `${port === 443 ? '' : `:${port}`}${path.startsWith('/') ? path : '/'}${query}`
  return answer(308, '', ['location', `https://${host}${to}`])
}

/** Of nothing in particular: whatever may be done here, the next one knows. */
export const EMPTY: Answer = { status: 204, fields: ['cache-control', 'no-store'], body: '' }

/** Of ACME's HTTP-01 (RFC 8555, 8.3). */
export const challengeAnswer = (text: string): Answer =>
  answer(200, text, ['content-type', 'text/plain'])

/** As HTTP/1.1, with the body unless the method is HEAD. */
export function answerText(
  { status, fields, body }: Answer,
  connection: '' | 'close' | 'keep-alive',
  method: string,
): string {
  let head = `HTTP/1.1 ${status} ${REASONS[status] ?? ''}\r\n`
  for (let at = 0; at < fields.length; at += 2) head += `${fields[at]}: ${fields[at + 1]}\r\n`
  if (connection !== '') head += `connection: ${connection}\r\n`
  return `${head}\r\n${method === 'HEAD' ? '' : body}`
}

const answer = (status: number, body: string, fields: readonly string[]): Answer => ({
  status,
  fields: [...fields, 'content-length', String(body.length), 'cache-control', 'no-store'],
  body,
})

/** Whether HTML is wanted more than JSON (RFC 9110, 12.5.1); browsers name it. */
function prefersHtml(accept: string): boolean {
  if (!accept.includes('text/')) return false
  const weights = new Map<string | undefined, number>()
  for (const range of accept.split(',')) {
    const weight = /;\s*q=([^;]*)/.exec(range)?.[1]
    weights.set(range.split(';', 1)[0]?.trim(), Number(weight ?? 1) || 0)
  }
  // of the most specific range that is there
  const weightOf = (types: readonly string[]): number =>
    weights.get(types.find((type) => weights.has(type))) ?? 0
  return weightOf(['text/html', 'text/*', '*/*']) > weightOf(PROBLEM)
}

const PROBLEM = ['application/problem+json', 'application/json', 'application/*', '*/*']
/** More of it is not worth the time of an error. */
const ACCEPT_MAX = 512

const HOST = /^(?:[\w-]+(?:\.[\w-]+)*|\[[\da-f:.]+\])$/
/** A service that is started, or has too much to do. */
const RETRY_AFTER_S = '5'

/** All others: 503. */
const STATUS: { readonly [outcome in ExchangeOutcome]?: number } = {
  'no-route': 404,
  forbidden: 403,
  'request-timeout': 408,
  'connect-failed': 502,
  'bad-response': 502,
  'upstream-closed': 502,
  cut: 502,
  'connect-timeout': 504,
  'response-timeout': 504,
  'total-timeout': 504,
}

/** RFC 9110, 15; RFC 6585. */
const REASONS: { readonly [status: number]: string } = {
  200: 'OK',
  204: 'No Content',
  308: 'Permanent Redirect',
  400: 'Bad Request',
  403: 'Forbidden',
  404: 'Not Found',
  408: 'Request Timeout',
  414: 'URI Too Long',
  417: 'Expectation Failed',
  421: 'Misdirected Request',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
}

/** For people who read it in a browser. */
const DETAILS: { readonly [status: number]: string } = {
  403: 'You may not come here from where you are.',
  404: 'Nothing is served here.',
  408: 'The request did not come in time.',
  502: 'The service gave no proper answer.',
  503: 'The service is not ready, or busy.',
  504: 'The service did not answer in time.',
}
