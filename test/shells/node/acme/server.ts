/**
 * An ACME server (RFC 8555) in this process: every request's signature, nonce and URL is checked, and
 * names are really asked over http, at a port of loopback. What it does wrong is told it beforehand.
 */
import {
  createHash,
  createPublicKey,
  type JsonWebKey,
  type KeyObject,
  randomBytes,
  verify,
} from 'node:crypto'
import http from 'node:http'
import https from 'node:https'
import type { AddressInfo } from 'node:net'
import { Authority, readRequest, type Validity } from './authority.ts'

/** An answer in the place of the right one; `drop`: none, the connection is cut; `hang`: none at all. */
export type Fault =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: unknown }
  | 'drop'
  | 'hang'

export type Step =
  | 'directory'
  | 'newNonce'
  | 'newAccount'
  | 'account'
  | 'newOrder'
  | 'order'
  | 'authz'
  | 'challenge'
  | 'finalize'
  | 'certificate'

interface Order {
  readonly name: string
  readonly account: string
  readonly token: string
  status: 'pending' | 'ready' | 'processing' | 'valid' | 'invalid'
  challenge: { status: 'pending' | 'processing' | 'valid' | 'invalid'; error?: object }
  publicKey?: KeyObject
  /** Times it says `processing`. */
  busy: number
}

export class AcmeServer {
  readonly authority = new Authority()
  /** Steps that were asked for, in their order; without nonces and polls. */
  readonly steps: string[] = []
  /** The contacts of each account. */
  readonly accounts = new Map<
    string,
    { readonly key: KeyObject; readonly thumbprint: string; contact: unknown }
  >()
  /** Names it gave certificates for. */
  readonly issued: string[] = []
  /** Orders that were under way at one time, at most. */
  concurrent = 0
  /** For each step, what to do wrong the next times. */
  readonly faults: Partial<Record<Step, Fault[]>> = {}
  /** Every so many nonces one is not taken. */
  badNonceEvery = 7
  /** Polls that find it still processing. */
  busy = 1
  /** In the place of asking the name. */
  verdict: object | undefined
  /** Of the next certificates. */
  validity: () => Validity = () => {
    const fromMs = Date.now() - 3_600_000
    return { fromMs, toMs: fromMs + 90 * 86_400_000 }
  }
  /** Changes what is given out. */
  chain: (chain: string) => string = (chain) => chain
  /** Where names are asked, in the place of port 80. */
  challengePort: number
  readonly #server: https.Server
  readonly #nonces = new Set<string>()
  readonly #orders: Order[] = []
  #noncesUsed = 0

  constructor(challengePort = 0) {
    this.challengePort = challengePort
    this.#server = https.createServer(this.authority.pairFor('127.0.0.1'), (request, response) => {
      const chunks: Buffer[] = []
      request.on('data', (chunk: Buffer) => chunks.push(chunk))
      request.on('end', () => {
        this.#serve(request, Buffer.concat(chunks).toString(), response).catch((error: unknown) => {
          const type = 'urn:ietf:params:acme:error:malformed'
          this.steps.push(`malformed: ${String(error)}`)
          reply(response, 400, { type, detail: String(error) })
        })
      })
    })
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    return this
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get directory(): string {
    return `${this.#origin}/directory`
  }

  get #origin(): string {
    return `https://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async #serve(request: http.IncomingMessage, text: string, response: http.ServerResponse) {
    const [, step = '', id = ''] = (request.url ?? '').split('/')
    response.setHeader('replay-nonce', this.#nonce())
    const fault = this.faults[step as Step]?.shift()
    if (fault !== undefined || step === 'directory') this.steps.push(step)
    if (fault === 'hang') return
    if (fault === 'drop') return void request.socket.destroy()
    if (fault !== undefined) return reply(response, fault.status, fault.body ?? {}, fault.headers)
    if (step === 'directory') return reply(response, 200, this.#directory())
    if (step === 'newNonce') return reply(response, 200, {})
    const asked = this.#verified(request, text, step)
    if (asked === undefined) {
      const type = 'urn:ietf:params:acme:error:badNonce'
      return reply(response, 400, { type, detail: 'a nonce of yesterday' })
    }
    if (STEPS.has(step)) this.steps.push(step)
    this.#answer(step, Number(id), asked, response)
  }

  #answer(
    step: string,
    id: number,
    { account, payload, jwk }: Asked,
    response: http.ServerResponse,
  ) {
    if (step === 'newAccount') return this.#newAccount(jwk!, payload, response)
    const known = this.accounts.get(account)
    if (known === undefined) {
      const type = 'urn:ietf:params:acme:error:accountDoesNotExist'
      return reply(response, 400, { type, detail: 'no such account' })
    }
    if (step === 'account') {
      known.contact = payload?.contact
      return reply(response, 200, { status: 'valid', contact: known.contact })
    }
    if (step === 'newOrder') return this.#newOrder(account, payload, response)
    const order = this.#orders[id]
    if (order === undefined || order.account !== account) throw new Error(`no ${step} ${id}`)
    if (step === 'order') return this.#order(order, id, response)
    if (step === 'authz') return reply(response, 200, this.#authorization(order, id))
    if (step === 'challenge') {
      order.challenge = { status: 'processing' }
      void this.#validate(order, known.thumbprint)
      return reply(response, 200, this.#challenge(order, id))
    }
    if (step === 'finalize') {
      const { publicKey, names } = readRequest(Buffer.from(String(payload?.csr), 'base64url'))
      if (order.status !== 'ready') throw new Error(`finalize while ${order.status}`)
      if (names.join() !== order.name) throw new Error(`the CSR is for ${names.join()}`)
      order.publicKey = publicKey
      order.status = 'processing'
      order.busy = this.busy
      return this.#order(order, id, response)
    }
    if (step !== 'certificate' || order.status !== 'valid') throw new Error(`${step} is not there`)
    this.issued.push(order.name)
    const leaf = this.authority.issue(order.publicKey!, [order.name], this.validity())
    const chain = this.chain(`${leaf}${this.authority.certificate}`)
    response.writeHead(200, { 'content-type': 'application/pem-certificate-chain' }).end(chain)
  }

  #newAccount(jwk: JsonWebKey, payload: Payload, response: http.ServerResponse) {
    if (payload?.termsOfServiceAgreed !== true) throw new Error('the terms are not agreed to')
    const thumbprint = thumbprintOf(jwk)
    const url = `${this.#origin}/account/${thumbprint}`
    const isKnown = this.accounts.has(url)
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    this.accounts.set(url, { key, thumbprint, contact: payload.contact })
    reply(response, isKnown ? 200 : 201, { status: 'valid' }, { location: url })
  }

  #newOrder(account: string, payload: Payload, response: http.ServerResponse) {
    const { identifiers } = (payload ?? {}) as { identifiers: [{ type: string; value: string }] }
    const [identifier] = identifiers
    if (identifier.type !== 'dns') throw new Error(`identifier of type ${identifier.type}`)
    const open = this.#orders.filter(({ status }) => status !== 'valid' && status !== 'invalid')
    this.concurrent = Math.max(this.concurrent, open.length + 1)
    const id =
      this.#orders.push({
        name: identifier.value,
        account,
        token: randomBytes(16).toString('base64url'),
        status: 'pending',
        challenge: { status: 'pending' },
        busy: this.busy,
      }) - 1
    const location = `${this.#origin}/order/${id}`
    reply(response, 201, this.#orderBody(this.#orders[id]!, id), { location })
  }

  #order(order: Order, id: number, response: http.ServerResponse) {
    if (order.status === 'processing' && order.busy-- <= 0) order.status = 'valid'
    reply(response, 200, this.#orderBody(order, id))
  }

  #orderBody({ name, status, challenge }: Order, id: number) {
    return {
      status,
      identifiers: [{ type: 'dns', value: name }],
      authorizations: [`${this.#origin}/authz/${id}`],
      finalize: `${this.#origin}/finalize/${id}`,
      ...(status === 'valid' ? { certificate: `${this.#origin}/certificate/${id}` } : {}),
      ...(challenge.error === undefined ? {} : { error: challenge.error }),
    }
  }

  #authorization(order: Order, id: number) {
    const { status } = order.challenge
    const isOver = status === 'valid' || status === 'invalid'
    return {
      status: isOver ? status : 'pending',
      identifier: { type: 'dns', value: order.name },
      challenges: [
        { type: 'dns-01', url: `${this.#origin}/nowhere/${id}`, token: 'x', status: 'pending' },
        this.#challenge(order, id),
      ],
    }
  }

  #challenge({ token, challenge }: Order, id: number) {
    return { type: 'http-01', url: `${this.#origin}/challenge/${id}`, token, ...challenge }
  }

  /** RFC 8555, 8.3. */
  async #validate(order: Order, thumbprint: string): Promise<void> {
    const error = this.verdict ?? (await this.#ask(order, `${order.token}.${thumbprint}`))
    order.challenge = error === undefined ? { status: 'valid' } : { status: 'invalid', error }
    order.status = error === undefined ? 'ready' : 'invalid'
  }

  #ask({ name, token }: Order, expected: string): Promise<object | undefined> {
    const path = `/.well-known/acme-challenge/${token}`
    const problem = (type: string, detail: string) => ({
      type: `urn:ietf:params:acme:error:${type}`,
      detail: `${name}: ${detail}`,
      status: 400,
    })
    return new Promise((resolve) => {
      const at = { host: '127.0.0.1', port: this.challengePort, path, headers: { host: name } }
      http
        .get({ ...at, agent: false }, (response) => {
          let text = ''
          response.setEncoding('utf8').on('data', (chunk: string) => {
            text += chunk
          })
          response.on('end', () => {
            const isRight = response.statusCode === 200 && text.trim() === expected
            const detail = `${response.statusCode} "${text.slice(0, 20)}"`
            resolve(isRight ? undefined : problem('unauthorized', detail))
          })
        })
        .on('error', (error) => resolve(problem('connection', error.message)))
    })
  }

  #directory() {
    const urls = ['newNonce', 'newAccount', 'newOrder', 'revokeCert', 'keyChange'].map((step) => [
      step,
      `${this.#origin}/${step}`,
    ])
    return { ...Object.fromEntries(urls), meta: { termsOfService: `${this.#origin}/terms` } }
  }

  #nonce(): string {
    const nonce = randomBytes(12).toString('base64url')
    this.#nonces.add(nonce)
    return nonce
  }

  /** RFC 8555, 6.2 to 6.5; undefined: its nonce is not taken. */
  #verified(request: http.IncomingMessage, text: string, step: string): Asked | undefined {
    if (request.method !== 'POST') throw new Error(`${request.method} ${request.url}`)
    const type = request.headers['content-type']
    if (type !== 'application/jose+json') throw new Error(`content of type ${type}`)
    if (request.headers['user-agent'] === undefined) throw new Error('no User-Agent (6.1)')
    const jws = JSON.parse(text) as Record<'protected' | 'payload' | 'signature', string>
    const header = JSON.parse(decoded(jws.protected)) as Header
    if (header.url !== `${this.#origin}${request.url}`) throw new Error(`url ${header.url}`)
    if ((header.jwk === undefined) === (header.kid === undefined)) throw new Error('jwk or kid')
    if ((step === 'newAccount') !== (header.jwk !== undefined)) throw new Error('jwk or kid')
    if (header.alg !== 'ES256') throw new Error(`alg ${header.alg}`)
    const known = this.accounts.get(header.kid ?? '')
    const key =
      header.jwk === undefined ? known?.key : createPublicKey({ key: header.jwk, format: 'jwk' })
    const signed = Buffer.from(`${jws.protected}.${jws.payload}`)
    const signature = Buffer.from(jws.signature, 'base64url')
    if (
      key !== undefined &&
      !verify('sha256', signed, { key, dsaEncoding: 'ieee-p1363' }, signature)
    ) {
      throw new Error('a wrong signature')
    }
    if (!this.#nonces.delete(header.nonce)) throw new Error('a nonce of nobody')
    this.#noncesUsed += 1
    if (this.#noncesUsed % this.badNonceEvery === 0) return undefined
    const payload = jws.payload === '' ? undefined : (JSON.parse(decoded(jws.payload)) as Payload)
    return { account: header.kid ?? '', jwk: header.jwk, payload }
  }
}

type Payload = Readonly<Record<string, unknown>> | undefined

interface Asked {
  readonly account: string
  readonly jwk: JsonWebKey | undefined
  readonly payload: Payload
}

interface Header {
  readonly alg: string
  readonly nonce: string
  readonly url: string
  readonly jwk?: JsonWebKey
  readonly kid?: string
}

/** RFC 7638. */
const thumbprintOf = ({ crv, kty, x, y }: JsonWebKey): string =>
  createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')

const decoded = (text: string): string => Buffer.from(text, 'base64url').toString()

function reply(
  response: http.ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  const type = status < 400 ? 'application/json' : 'application/problem+json'
  response.writeHead(status, { 'content-type': type, ...headers })
  response.end(typeof body === 'string' ? body : JSON.stringify(body))
}

const STEPS = new Set(['newAccount', 'account', 'newOrder', 'challenge', 'finalize', 'certificate'])
