/** Why an order came to nothing, in the words of the server or of the system. */
import type { AcmeCause } from '../../../core/acme/causes.ts'

export class AcmeFailure extends Error {
  override readonly name = 'AcmeFailure'
  readonly reason: AcmeCause
  /** As the server asked for; 0: it did not. */
  readonly retryAfterMs: number

  constructor(reason: AcmeCause, text: string, retryAfterMs = 0) {
    super(oneLine(text))
    this.reason = reason
    this.retryAfterMs = retryAfterMs
  }
}

/** A problem document (RFC 7807) as ACME uses it (RFC 8555, 6.7); whatever came in its place. */
export interface Refusal {
  readonly status: number
  readonly type: string
  readonly detail: string
  readonly retryAfterMs: number
}

/** `body`: of the answer, or the `error` of a challenge or an order. */
export function refusalOf(body: unknown, status: number, retryAfterMs = 0): Refusal {
  const problem = recordOf(body)
  const [first] = Array.isArray(problem.subproblems) ? problem.subproblems : []
  const own = typeOf(problem)
  const type = own === 'compound' || own === '' ? typeOf(recordOf(first)) : own
  const details = [problem, recordOf(first)].flatMap(({ detail }) =>
    typeof detail === 'string' && detail !== '' ? [detail] : [],
  )
  const detail = details.length === 0 ? `status ${status}` : [...new Set(details)].join(': ')
  return { status, type, detail, retryAfterMs }
}

/** Of a request: what is wrong with it, with us or with the server. */
export function requestFailure({ status, type, detail, retryAfterMs }: Refusal): AcmeFailure {
  if (type === 'unauthorized') return new AcmeFailure('account', detail, retryAfterMs)
  if (status === 429) return new AcmeFailure('rate-limited', detail, retryAfterMs)
  const cause = TYPES[type] ?? (status >= 400 && status < 500 && type !== '' ? 'invalid' : 'server')
  return new AcmeFailure(cause, detail, retryAfterMs)
}

/** Of a challenge, or of an order that became invalid. */
export const proofFailure = ({ type, detail, retryAfterMs }: Refusal): AcmeFailure =>
  new AcmeFailure(TYPES[type] ?? 'invalid', detail, retryAfterMs)

/** RFC 9110, 10.2.3; 0: it says nothing that helps. */
export function retryAfterOf(value: string | undefined, nowMs: number): number {
  if (value === undefined) return 0
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000
  const at = Date.parse(value)
  return Number.isNaN(at) ? 0 : Math.max(0, at - nowMs)
}

const typeOf = ({ type }: Readonly<Record<string, unknown>>): string =>
  /^urn:ietf:params:acme:error:(\w+)$/.exec(String(type))?.[1] ?? ''

const recordOf = (value: unknown): Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}

/** What others said is written into logs and shown on terminals. */
const oneLine = (text: string): string =>
  text
    .replaceAll(/[^\p{L}\p{M}\p{N}\p{P}\p{S} ]+/gu, ' ')
    .trim()
    .slice(0, TEXT_CHARACTERS_MAX)

/** RFC 8555, 6.7. Others are the server's word against an order. */
const TYPES: Readonly<Record<string, AcmeCause>> = {
  accountDoesNotExist: 'account',
  externalAccountRequired: 'account',
  invalidContact: 'account',
  unsupportedContact: 'account',
  userActionRequired: 'account',
  caa: 'caa',
  connection: 'connection',
  tls: 'connection',
  dns: 'dns',
  incorrectResponse: 'unauthorized',
  unauthorized: 'unauthorized',
  rateLimited: 'rate-limited',
  rejectedIdentifier: 'rejected',
  unsupportedIdentifier: 'rejected',
  badNonce: 'server',
  serverInternal: 'server',
}
const TEXT_CHARACTERS_MAX = 300
