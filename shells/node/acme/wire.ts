/**
 * Requests to an ACME server, under a client that has no limits of its own: over https with the
 * authority that the node file names, each with a time limit, ended when the order is.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import https from 'node:https'
import { messageOf } from '../journal/format.ts'
import { AcmeFailure, type Refusal, refusalOf, retryAfterOf } from './failure.ts'

/** What is said to the server for one order. */
export interface Talk {
  readonly signal: AbortSignal
  readonly agent: https.Agent
  /** The last answer, when it was an error. */
  refusal: Refusal | undefined
  /** Of the last answer; 0: it did not say. */
  retryAfterMs: number
  /** So far. */
  requests: number
}

/** Which order a request belongs to: the client knows of no such thing. */
export const talks = new AsyncLocalStorage<Talk>()

export interface WireRequest {
  readonly url: string
  readonly method: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | undefined
}

export interface WireAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly text: string
}

/** Resolves with whatever the server answers; rejects with an `AcmeFailure` where it does not. */
export async function send(request: WireRequest): Promise<WireAnswer> {
  const talk = talks.getStore()
  if (talk === undefined) throw new AcmeFailure('server', 'a request without an order')
  talk.requests += 1
  // The client makes an account again and again where the server names none.
  if (talk.requests > REQUESTS_MAX) throw new AcmeFailure('server', 'it leads us round in circles')
  const answer = await exchange(request, talk)
  const { status, headers, text } = answer
  talk.retryAfterMs = retryAfterOf(headers['retry-after'], Date.now())
  talk.refusal = status < 400 ? undefined : refusalOf(jsonOf(text), status, talk.retryAfterMs)
  return answer
}

function exchange(asked: WireRequest, talk: Talk, time = 'first'): Promise<WireAnswer> {
  const { url, method, headers, body } = asked
  const { signal, agent } = talk
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => {
      // The server may close a connection in the moment in which we use it again.
      const isStale = request.reusedSocket && 'code' in error && error.code === 'ECONNRESET'
      if (isStale && time === 'first') resolve(exchange(asked, talk, 'again'))
      else reject(wireFailure(error, url))
    }
    // RFC 8555, 6.1; what the directory says is the server's word
    if (!URL.canParse(url) || new URL(url).protocol !== 'https:') {
      throw new AcmeFailure('server', `it sends us to ${url}, which is not https`)
    }
    const request = https.request(
      url,
      { method: method.toUpperCase(), headers, agent, signal },
      (response) => {
        const chunks: Buffer[] = []
        let bytes = 0
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.byteLength
          if (bytes > ANSWER_BYTES_MAX) request.destroy(new Error('its answer is too long'))
          else chunks.push(chunk)
        })
        response.on('error', fail)
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString('utf8')
          resolve({ status: response.statusCode ?? 0, headers: flat(response.headers), text })
        })
      },
    )
    request.setTimeout(SILENCE_MS, () => request.destroy(new Error('it does not answer')))
    request.on('error', fail)
    request.end(body)
  })
}

/** The host is named: the directory may lead to others. */
function wireFailure(error: Error, url: string): AcmeFailure {
  const code = 'code' in error ? String(error.code) : ''
  const { host } = new URL(url)
  const text = `${host}: ${messageOf(error)}`
  return new AcmeFailure(UNTRUSTED.test(code) ? 'untrusted' : 'unreachable', text)
}

const flat = (headers: NodeJS.Dict<string | string[]>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, [value ?? ''].flat().join(', ')]),
  )

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** Codes of OpenSSL's verdicts, and Node's on names. */
const UNTRUSTED = /CERT|UNABLE_TO|SIGNATURE|ISSUER/
/** An order takes about twenty, and two for each time it is asked about. */
const REQUESTS_MAX = 300
const ANSWER_BYTES_MAX = 1_048_576
const SILENCE_MS = 30_000
