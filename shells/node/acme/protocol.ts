/** One order, from beginning to end (RFC 8555, 7.4), with the proof over http (8.3). */
import https from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import type { Authorization, Client, Order } from 'acme-client'
import { type Accounts, newKey } from './account.ts'
import { AcmeFailure, proofFailure, type Refusal, refusalOf, requestFailure } from './failure.ts'
import type { IssuedPair } from './pair-files.ts'
import { send, type Talk, talks } from './wire.ts'

export interface OrderOptions {
  /** URL of the directory. */
  readonly server: string
  /** PEM; undefined: what the system trusts. */
  readonly ca: string | undefined
  readonly email: string
  readonly accounts: Accounts
  readonly name: string
  /** What is answered at port 80 for this token; undefined: nothing any more. */
  readonly challenge: (token: string, answer: string | undefined) => void
  readonly signal: AbortSignal
  /** Between two questions, when the server says nothing. */
  readonly pollMs: number
}

/** Rejects with an `AcmeFailure`, or with the system's error about a file. */
export async function order(options: OrderOptions): Promise<IssuedPair> {
  const { signal, ca } = options
  const agent = new https.Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca }) })
  const talk: Talk = { signal, agent, refusal: undefined, retryAfterMs: 0, requests: 0 }
  try {
    const acme = await load()
    return await talks.run(talk, () => ordered(acme, options, talk))
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AcmeFailure || isOfSystem(error)) throw error
    if (talk.refusal !== undefined) throw requestFailure(talk.refusal)
    throw new AcmeFailure('server', error instanceof Error ? error.message : String(error))
  } finally {
    agent.destroy()
  }
}

type Acme = typeof import('acme-client')

async function ordered(acme: Acme, options: OrderOptions, talk: Talk): Promise<IssuedPair> {
  const { client, order: begun } = await begin(acme, options, talk)
  for (const each of await client.getAuthorizations(begun)) {
    await prove(client, each, options, talk)
  }
  const ready = await settled(() => client.getOrder(begun), ['pending'], options, talk)
  if (ready.status !== 'ready') throw endOf(ready)
  const key = newKey()
  const [, csr] = await acme.crypto.createCsr({ altNames: [options.name] }, key)
  await client.finalizeOrder(ready, csr)
  const busy = ['ready', 'processing']
  const done = await settled(() => client.getOrder(begun), busy, options, talk)
  if (done.status !== 'valid') throw endOf(done)
  return { key, chain: await client.getCertificate(done) }
}

interface Begun {
  readonly client: Client
  readonly order: Order
}

/** An account that was deleted at the server is made anew, once. */
async function begin(
  acme: Acme,
  options: OrderOptions,
  talk: Talk,
  time: 'first' | 'again' = 'first',
): Promise<Begun> {
  const { name, server, accounts } = options
  try {
    const client = await clientOf(acme, options)
    const order = await client.createOrder({ identifiers: [{ type: 'dns', value: name }] })
    return { client, order }
  } catch (error) {
    if (time === 'again' || talk.refusal?.type !== 'accountDoesNotExist') throw error
    await accounts.remember(server, undefined)
    return begin(acme, options, talk, 'again')
  }
}

/** With an account. */
async function clientOf(acme: Acme, options: OrderOptions): Promise<Client> {
  const { server, email, accounts } = options
  const known = await accounts.of(server)
  const client = new acme.Client({
    directoryUrl: server,
    accountKey: await accounts.key(),
    ...(known === undefined ? {} : { accountUrl: known.url }),
  })
  if (known?.email === email) return client
  const contact = [`mailto:${email}`]
  if (known === undefined) await client.createAccount({ termsOfServiceAgreed: true, contact })
  else await client.updateAccount({ contact })
  await accounts.remember(server, { url: client.getAccountUrl(), email })
  return client
}

/** Over http, and in no other way: what else a server offers is not asked for. */
async function prove(
  client: Client,
  authorization: Authorization,
  options: OrderOptions,
  talk: Talk,
): Promise<void> {
  if (authorization.status === 'valid') return // proved lately
  const challenge = authorization.challenges.find(({ type }) => type === 'http-01')
  if (challenge === undefined) throw new AcmeFailure('rejected', 'it takes no proof over http')
  const { token } = challenge
  options.challenge(token, await client.getChallengeKeyAuthorization(challenge))
  try {
    await client.completeChallenge(challenge)
    const ask = async (): Promise<Authorization> => {
      const [found] = await client.getAuthorizations(orderOf(authorization))
      if (found === undefined) throw new AcmeFailure('server', 'it forgot what was to be proved')
      return found
    }
    const judged = await settled(ask, ['pending', 'processing'], options, talk)
    if (judged.status === 'valid') return
    const { error } = judged.challenges.find(({ type }) => type === 'http-01') ?? {}
    throw proofFailure(refused(error, judged.status))
  } finally {
    options.challenge(token, undefined)
  }
}

/** Asks again and again, as the server says, until it is none of these. */
async function settled<A extends { readonly status: string }>(
  ask: () => Promise<A>,
  busy: readonly string[],
  { signal, pollMs }: OrderOptions,
  talk: Talk,
): Promise<A> {
  for (let waitMs = pollMs; ; waitMs = Math.min(waitMs * 2, POLL_MS_MAX)) {
    const found = await ask()
    if (!busy.includes(found.status)) return found
    const asked = Math.min(talk.retryAfterMs, RETRY_MS_MAX)
    await delay(asked === 0 ? waitMs : asked, undefined, { signal })
  }
}

/** The client asks for the authorizations of an order, and for nothing else of it. */
const orderOf = ({ url, identifier }: Authorization): Order => ({
  url: '',
  status: 'pending',
  identifiers: [identifier],
  authorizations: [url],
  finalize: '',
})

const endOf = ({ error, status }: Order): AcmeFailure => proofFailure(refused(error, status))

/** Without an error, its state is all there is to say. */
const refused = (error: unknown, status: string): Refusal =>
  error === undefined
    ? { status: 0, type: '', detail: `it is ${status}`, retryAfterMs: 0 }
    : refusalOf(error, 0)

/** Large, and of no use to a node without ACME: loaded with the first order. */
async function load(): Promise<Acme> {
  const acme = await import('acme-client')
  // Ours in the place of its own: no retries behind our back, no request without an end.
  acme.axios.defaults.adapter = async (config) => {
    const { url = '', method = 'get', data } = config
    const headers = Object.fromEntries(
      Object.entries(config.headers.toJSON(true)).map(([name, value]) => [name, String(value)]),
    )
    const body = typeof data === 'string' ? data : undefined
    const answer = await send({ url, method, headers, body })
    const { status, text } = answer
    return { status, statusText: '', headers: { ...answer.headers }, data: text, config }
  }
  return acme
}

const isOfSystem = (error: unknown): boolean =>
  error instanceof Error && 'errno' in error && 'syscall' in error

const POLL_MS_MAX = 5_000
/** An order has two minutes. */
const RETRY_MS_MAX = 60_000
