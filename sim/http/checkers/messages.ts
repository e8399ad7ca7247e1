/**
 * What backends are asked and clients are answered, byte by byte: every request reaches one backend,
 * unless it may be repeated; every answer is that of its own request, in their order; what is cut is
 * never passed off as complete; what two readers could read differently goes no further.
 */
import { formatIp } from '../../../core/net/address.ts'
import { unpackAddress } from '../../../core/net/packed-address.ts'
import type { ClientPeer } from '../network/client-peer.ts'
import { tunnelText } from '../network/h1-client.ts'
import { serverTunnelText } from '../network/h1-server.ts'
import type { UpstreamPeer } from '../network/upstream-peer.ts'
import type { Attempt, SimRequest } from '../truth.ts'
import { isCutShort } from '../wire/answers.ts'
import { isSmuggled } from '../wire/flaws.ts'
import { allOf, type Field, firstOf, type PlainHead } from '../wire/plain-reader.ts'
import { IDEMPOTENT } from '../wire/requests.ts'
import type { HttpWorld } from '../world.ts'

export class Messages {
  readonly #world: HttpWorld

  constructor(world: HttpWorld) {
    this.#world = world
  }

  // What backends are asked ----------------------------------------------------------------------

  askedHead(
    upstream: UpstreamPeer,
    method: string,
    target: string,
    fields: readonly Field[],
  ): Attempt {
    const world: HttpWorld = this.#world
    const number = Number(firstOf(fields, 'x-number'))
    if (isSmuggled(number)) world.fail(FRAMING, `smuggled: a backend is asked ${number}`)
    const request = world.requests.get(number)
    if (request === undefined) world.fail(FRAMING, `a backend is asked ${target}, which nobody did`)
    const { plan } = request
    if (plan.flaw !== undefined && plan.flaw.in !== 'body') {
      world.fail(FRAMING, `a request with ${plan.flaw.name} goes on to a backend`)
    }
    const attempt: Attempt = {
      request,
      upstream,
      listener: upstream.place.listener,
      at: world.machineNow(),
      isReused: upstream.attempts.length > 0,
      toldBefore: upstream.told,
      content: 0,
      isWhole: false,
      plan: undefined,
      answerFrom: Number.POSITIVE_INFINITY,
      isRefused: false,
    }
    this.#checkOnce(attempt)
    this.#checkRequest(request, upstream, method, target, fields)
    world.pool.asked(attempt, world)
    world.ways.asked(attempt, world)
    return attempt
  }

  askedContent(attempt: Attempt, text: string): void {
    const { plan } = attempt.request
    const isTunnel = attempt.plan?.becomesTunnel === true
    if (plan.flaw === undefined) {
      const whole = isTunnel ? tunnelText(plan.number) : plan.content
      if (!whole.startsWith(text, attempt.content)) {
        this.#world.fail(MESSAGES, `request ${plan.number} has another body for its backend`)
      }
    }
    attempt.content += text.length
  }

  askedEnd(attempt: Attempt, trailers: readonly Field[]): void {
    const { plan, client, wholeAt } = attempt.request
    const world: HttpWorld = this.#world
    attempt.isWhole = true
    if (plan.flaw?.in === 'body') {
      world.fail(FRAMING, `a request with ${plan.flaw.name} is ended for its backend`)
    }
    if (attempt.plan?.becomesTunnel === true || plan.upgrade !== '') return
    const isCut = wholeAt === undefined && plan.framing !== 'length'
    if (isCut || attempt.content !== plan.content.length) {
      world.fail(
        MESSAGES,
        `request ${plan.number} of client ${client.id} is cut and goes on as whole`,
      )
    }
    for (const [name, value] of trailers) {
      const isSent = plan.trailers.some(
        (each) => each[0].toLowerCase() === name.toLowerCase() && each[1] === value,
      )
      if (!isSent) world.fail(MESSAGES, `request ${plan.number} gets the trailer "${name}"`)
    }
  }

  /** RFC 9110, 9.2.2; and the contract of retries. */
  #checkOnce({ request, isReused, upstream }: Attempt): void {
    const world: HttpWorld = this.#world
    const { plan, attempts, headAt, answer, client } = request
    if (headAt === undefined) world.fail(MESSAGES, `request ${plan.number} goes on before its head`)
    if (answer !== undefined) world.fail(MESSAGES, `request ${plan.number} goes on, answered`)
    if (!client.isHeld) world.fail(MESSAGES, `request ${plan.number} goes on without its client`)
    const last = attempts.at(-1)
    if (last === undefined) return
    const isStream = upstream.place.protocol === 'h2c'
    const isRefused = isStream && last.isRefused && last.upstream.state === 'failed'
    const isHarmless = IDEMPOTENT.has(plan.method) && last.upstream.told === last.toldBefore
    if ((!isHarmless && !isRefused) || last.content > 0) {
      world.fail(MESSAGES, `request ${plan.number} goes to a backend again`)
    }
    const isStale = last.isReused && (last.upstream.toldBroken || last.upstream.toldEnded)
    // A fresh one that fails in its turn counts as a backend that was tried: another may have an old one.
    if (isStale && isReused && world.heard !== 'upstream-failed' && world.heard !== 'tick') {
      world.fail(MESSAGES, `request ${plan.number} is repeated on a used connection`)
    }
    this.#checkRetries(request)
    if (last.upstream.isHeld) world.fail(MESSAGES, `request ${plan.number} goes to two at one time`)
    world.trace.mark('http repeated')
  }

  /** What a connection that went stale costs counts for nothing, nor what one session did not take. */
  #checkRetries({ plan, attempts, begunAt = 0 }: SimRequest): void {
    const isLeft = attempts.some(
      ({ isRefused, upstream }) => isRefused && upstream.place.protocol === 'h2c',
    )
    const counted = attempts.filter(({ isReused }) => !isReused).length - (isLeft ? 1 : 0)
    // Who was held in between begins anew.
    const sets = [...this.#world.operator.listeners.values()].map(({ setAt }) => setAt)
    if (sets.some((setAt) => setAt >= begunAt)) return
    const retries = this.#world.operator.settingsSince(begunAt).map((each) => each.retries)
    if (counted <= Math.max(...retries)) return
    this.#world.fail(MESSAGES, `request ${plan.number} goes to ${counted + 1} backends`)
  }

  #checkRequest(
    { plan, client }: SimRequest,
    upstream: UpstreamPeer,
    method: string,
    target: string,
    fields: readonly Field[],
  ): void {
    const world: HttpWorld = this.#world
    const wrong = (what: string): never =>
      world.fail(MESSAGES, `request ${plan.number} reaches its backend with ${what}`)
    const isWebSocket = plan.upgrade !== ''
    if (method !== plan.method && !isWebSocket) wrong(`the method ${method}`)
    if (!plan.target.endsWith(target.replace(/^\//, ''))) wrong(`the target ${target}`)
    const twice = allOf(fields, 'x-twice').join()
    if (twice !== `one,two ${plan.number}`) wrong(`the fields "${twice}"`)
    if (firstOf(fields, 'x-drop') !== undefined) wrong('a field that is not for it')
    const host = firstOf(fields, upstream.place.protocol === 'h2c' ? ':authority' : 'host') ?? ''
    if (host.replace(/:\d+$/, '').toLowerCase() !== plan.host) wrong(`the host "${host}"`)
    const length = firstOf(fields, 'content-length')
    const isCounted = plan.framing === 'length' && plan.content !== ''
    if (isCounted && length !== String(plan.content.length)) wrong(`the length ${length}`)
    const { source } = client.plan.peers
    const isTrusted = world.wasTrusted(client)
    const address = formatIp(unpackAddress(source).ip)
    const chain = allOf(fields, 'x-forwarded-for').join(', ')
    if (!isTrusted && chain !== address) wrong(`X-Forwarded-For ${chain}, not ${address}`)
    if (!isTrusted && firstOf(fields, 'x-request-id') === 'forged') wrong('a forged id')
    if (!allOf(fields, 'via').join().includes('weir')) wrong('no Via')
    const scheme = client.plan.isSecure ? 'https' : 'http'
    const proto = firstOf(fields, 'x-forwarded-proto')
    if (!isTrusted && proto !== scheme) wrong(`X-Forwarded-Proto ${proto}`)
  }

  // What clients are answered --------------------------------------------------------------------

  answerHead(
    client: ClientPeer,
    status: number,
    fields: readonly Field[],
    body: PlainHead['body'],
  ): void {
    const world: HttpWorld = this.#world
    const request = client.current
    if (request?.begunAt === undefined) {
      world.fail(MESSAGES, `client ${client.id} is answered ${status} and asked nothing`)
    }
    const { plan } = request
    const wrong = (what: string): never =>
      world.fail(MESSAGES, `request ${plan.number} is answered ${what}`)
    if (firstOf(fields, 'x-drop') !== undefined) wrong('with a field that is not for it')
    if (status < 200 && status !== 101) {
      if (plan.minor === 0) wrong(`${status} in HTTP/1.0`)
      if (request.answer !== undefined) wrong(`${status} after its final answer`)
      return
    }
    if (request.answer !== undefined) wrong('twice')
    this.#checkFlaws(client, request, status)
    const { requestsPerClientMax: most } = client.config
    if (most > 0 && client.answered >= most) wrong(`as number ${client.answered + 1} of its client`)
    const number = firstOf(fields, 'x-answer')
    const attempt = request.attempts.find((each) => String(each.plan?.number) === number)
    if (number !== undefined && attempt === undefined) wrong(`by ${number}, which is another's`)
    request.answer = { status, at: world.machineNow(), attempt, content: 0, isWhole: false }
    if (attempt === undefined) {
      if (body === 'tunnel') wrong(`${status} by us, which opens a tunnel`)
      return this.#checkOwn(request, status, fields)
    }
    const answer = attempt.plan!
    const isTunnel = answer.becomesTunnel
    if (answer.wrong !== undefined && !isCutShort(answer)) wrong(`by what has ${answer.wrong}`)
    const expected = isTunnel ? (client.plan.isStream ? 200 : 101) : answer.status
    if (status !== expected) wrong(`${status}, not ${expected}`)
    if (isTunnel !== (body === 'tunnel')) wrong(`${status}, which is a tunnel for one of them only`)
    const cookies = allOf(fields, 'set-cookie').join()
    if (cookies !== `a=1,b=${answer.number}`) wrong(`with the cookies ${cookies}`)
    if (answer.framing === 'length' && typeof body === 'number' && plan.method !== 'HEAD') {
      if (body !== answer.content.length) wrong(`with a length of ${body}`)
    }
    if (attempt !== request.attempts.at(-1)) wrong('by a backend it is no more with')
  }

  /** What is ambiguous is refused, and is the last of its connection. */
  #checkFlaws(client: ClientPeer, { plan }: SimRequest, status: number): void {
    const world: HttpWorld = this.#world
    const { flaw } = plan
    if (flaw !== undefined && flaw.in !== 'body' && status < 400) {
      world.fail(FRAMING, `a request with ${flaw.name} is answered ${status}`)
    }
    const before = client.requests.slice(0, client.answered).find((each) => each.plan.flaw)
    if (before === undefined) return
    world.fail(FRAMING, `client ${client.id} is answered after ${before.plan.flaw?.name}`)
  }

  #checkOwn({ plan }: SimRequest, status: number, fields: readonly Field[]): void {
    const wrong = (what: string): never =>
      this.#world.fail(MESSAGES, `request ${plan.number} is answered ${status} by us ${what}`)
    if (!OWN.has(status)) wrong('which we never do')
    if (fields.some(([, value]) => /10\.9\.0|^b[0-3]$/.test(value))) wrong('with names from inside')
    if (status === 503 && firstOf(fields, 'retry-after') === undefined) wrong('without Retry-After')
  }

  answerContent(client: ClientPeer, text: string): void {
    const world: HttpWorld = this.#world
    const request = client.current
    const answer = request?.answer
    if (request === undefined || answer === undefined) {
      world.fail(MESSAGES, `client ${client.id} is sent a body without a head`)
    }
    const { attempt } = answer
    const plan = attempt?.plan
    if (plan !== undefined && plan.wrong === undefined) {
      const whole = plan.becomesTunnel ? serverTunnelText(plan.number) : plan.content
      if (!whole.startsWith(text, answer.content)) {
        world.fail(MESSAGES, `request ${request.plan.number} is answered with another's bytes`)
      }
    }
    answer.content += text.length
  }

  answerEnd(client: ClientPeer, trailers: readonly Field[]): void {
    const world: HttpWorld = this.#world
    const request = client.current
    const answer = request?.answer
    if (request === undefined || answer === undefined) return
    answer.isWhole = true
    const { attempt } = answer
    const plan = attempt?.plan
    if (attempt === undefined || plan === undefined || plan.becomesTunnel) return
    const cut = (how: string): never =>
      world.fail(
        MESSAGES,
        `the answer to ${request.plan.number} was ${how} and is passed off as whole`,
      )
    if (plan.wrong !== undefined) cut(plan.wrong)
    if (plan.framing === 'until-close') {
      const { upstream } = attempt
      const came = upstream.told - attempt.answerFrom - plan.headEndsAt
      if (!upstream.toldEnded || upstream.toldBroken) cut('broken')
      if (answer.content !== came) cut('shortened')
    } else if (request.plan.method !== 'HEAD' && answer.content !== plan.content.length) cut('cut')
    for (const [name, value] of trailers) {
      if (
        !plan.trailers.some(
          (each) => each[0].toLowerCase() === name.toLowerCase() && each[1] === value,
        )
      )
        world.fail(MESSAGES, `the answer to ${request.plan.number} gets the trailer "${name}"`)
    }
  }
}

const FRAMING = 'http framing'
const MESSAGES = 'http messages'

/** What the ingress answers by itself. */
const OWN: ReadonlySet<number> = new Set([
  200, 308, 400, 403, 404, 405, 408, 411, 413, 414, 417, 421, 431, 501, 502, 503, 504, 505,
])
