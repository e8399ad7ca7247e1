/**
 * What is told of each exchange: once for each that was begun, in the order they came, and true.
 * How it ended is compared with what its client and its backends saw.
 */
import type {
  ExchangeOutcome,
  ExchangeRecord,
  IngressCommand,
} from '../../../core/http/commands.ts'
import type { HttpListenerConfig } from '../../../core/http/config.ts'
import { type Instant, unreachable } from '../../../core/machine.ts'
import type { ClientPeer } from '../network/client-peer.ts'
import { attemptOf, type SimRequest } from '../truth.ts'
import type { HttpWorld } from '../world.ts'
import type { HttpChecker, HttpStep } from './checker.ts'
import { mayDisbelieve, mayRefuse } from './limits.ts'

export class Exchanges implements HttpChecker {
  /** Of clients that are there: how many of their requests were told. */
  readonly #told = new Map<ClientPeer, number>()
  /** Their answers are done when their connections end, which must be now. */
  readonly #ending: ClientPeer[] = []
  #now: Instant = 0

  onCommand(command: IngressCommand, step: HttpStep, world: HttpWorld): void {
    this.#now = step.now
    if (command.type === 'exchanged') this.#exchanged(command.exchange, step, world)
    else if (command.type === 'close-client') {
      const client = world.clients.of(command.client)
      this.#checkAllTold(client, world)
      this.#told.delete(client)
    }
  }

  afterStep(_step: HttpStep, world: HttpWorld): void {
    for (const { id, wasEnded } of this.#ending.splice(0)) {
      if (!wasEnded) world.fail(NAME, `client ${id} waits for the end of what is told as done`)
    }
  }

  #exchanged(record: ExchangeRecord, step: HttpStep, world: HttpWorld): void {
    const client = world.clients.of(record.client)
    const index = this.#told.get(client) ?? 0
    this.#told.set(client, index + 1)
    const request = client.requests[index]
    if (request?.begunAt === undefined) {
      world.fail(NAME, `client ${client.id} has an exchange that it did not begin`)
    }
    request.record = record
    world.trace.mark(`http outcome ${record.outcome}`)
    const wrong = (what: string): never =>
      world.fail(NAME, `request ${request.plan.number} is told with ${what}`)
    const { plan, answer } = request
    if (record.status !== (answer?.status ?? 0)) wrong(`status ${record.status}`)
    // To what it did not understand it says all it has to say.
    const isBare = plan.method === 'HEAD' && record.method === ''
    if (!isBare && record.bytesOut !== (answer?.content ?? 0)) wrong(`${record.bytesOut} bytes out`)
    const attempt = attemptOf(request)
    const isWhole = record.outcome === 'done' && attempt?.isWhole === true
    if (isWhole && record.bytesIn !== attempt.content) wrong(`${record.bytesIn} bytes in`)
    const protocol = client.plan.isStream ? '2' : `1.${plan.minor}`
    if (record.protocol !== protocol && plan.flaw === undefined && request.headAt !== undefined) {
      if (record.method !== '') wrong(`protocol ${record.protocol}`)
    }
    if (record.target !== '' && record.target !== plan.target && plan.flaw === undefined) {
      wrong(`the target ${record.target}`)
    }
    if (answer?.attempt !== undefined) {
      if (record.backend !== answer.attempt.upstream.place.backend)
        wrong(`backend ${record.backend}`)
    }
    if (step.now - request.begunAt < record.timings.totalMs) wrong(`${record.timings.totalMs} ms`)
    this.#checkTimings(record, wrong)
    if (!this.#isTrue(record.outcome, request, step, world)) wrong(`the end "${record.outcome}"`)
  }

  #checkTimings({ timings }: ExchangeRecord, wrong: (what: string) => never): void {
    const { headMs, chosenMs, sentMs, firstByteMs, totalMs } = timings
    let last = 0
    for (const each of [headMs, chosenMs, sentMs, firstByteMs, totalMs]) {
      if (each === undefined) continue
      if (each < last) wrong(`times that do not rise: ${JSON.stringify(timings)}`)
      last = each
    }
  }

  #isTrue(
    outcome: ExchangeOutcome,
    request: SimRequest,
    { event, now }: HttpStep,
    world: HttpWorld,
  ): boolean {
    const { plan, client, answer, begunAt = now, headAt } = request
    // Told when the client took the answer, where it did not at once.
    const isLate = event.type === 'client-writable'
    const isOwn = answer !== undefined && answer.attempt === undefined
    const status = answer?.status ?? 0
    const attempt = attemptOf(request)
    const upstream = attempt?.upstream
    const configs = world.operator.settingsSince(begunAt)
    const someMs = (key: 'holdTimeoutMs' | 'connectTimeoutMs' | 'totalTimeoutMs'): number =>
      Math.min(...configs.map((each) => each[key]).filter((ms) => ms > 0))
    switch (outcome) {
      case 'done':
        if (client.endsWithClose) this.#ending.push(client)
        else if (answer?.isWhole !== true && !client.becameTunnel) return false
        return answer?.attempt !== undefined
      case 'redirected':
        return isOwn && status === 308
      case 'challenge':
        return isOwn && plan.target.startsWith('/.well-known/acme-challenge/')
      case 'bad-request':
        return (isOwn || status === 0 || answer !== undefined) && mayRefuse(request, world)
      case 'no-route':
        return isOwn && status === 404
      case 'forbidden':
        return isOwn && status === 403 && configs.some(({ access }) => access.length > 0)
      case 'no-backend':
        return isOwn && status === 503
      case 'backends-full':
        return isOwn && status === 503 && configs.some((each) => each.requestsPerBackendMax > 0)
      case 'held-max':
        return isOwn && status === 503
      case 'hold-timeout':
        return isOwn && status === 503 && now - (headAt ?? now) >= someMs('holdTimeoutMs')
      case 'connect-failed':
        return isOwn && status === 502 && (isLate || event.type === 'upstream-failed')
      case 'host-limit':
        if (isLate) return isOwn && status === 503
        return isOwn && event.type === 'upstream-failed' && event.blame === 'host'
      case 'bad-response':
        if (attempt?.plan === undefined) return false
        // To a stream every success is the tunnel that it asked for.
        if (client.plan.isStream && plan.upgrade !== '' && attempt.plan.status < 300) return true
        return mayDisbelieve(attempt.plan, world)
      case 'upstream-closed':
        if (attempt?.isRefused === true) return true
        return upstream !== undefined && (upstream.toldBroken || upstream.toldEnded)
      case 'request-timeout':
        return isLate || (event.type === 'tick' && this.#isSlow(request, now, world))
      case 'connect-timeout':
        return (
          isOwn && status === 504 && world.backends.abandonedAfterMs >= someMs('connectTimeoutMs')
        )
      case 'response-timeout':
        if (!isLate && event.type !== 'tick') return false
        return attempt !== undefined && now - attempt.at >= leastOf(configs, ANSWER_TIMES)
      case 'total-timeout':
        return (isLate || event.type === 'tick') && now - begunAt >= someMs('totalTimeoutMs')
      case 'idle':
        return event.type === 'tick' && client.becameTunnel
      case 'client-gone':
        return client.toldGone || client.toldEnded
      case 'cut':
        return isLate || world.operator.cutAt + 1_000 > now
      case 'aborted':
        return isLate || world.operator.abortedAt + 1_000 > now
      default:
        return unreachable(outcome)
    }
  }

  /** It did not move, or was not read from, for as long as one may. */
  #isSlow(request: SimRequest, now: Instant, world: HttpWorld): boolean {
    const { client, begunAt = now, headAt, movedAt, answer } = request
    const limits = world.operator.limitsSince(client.acceptedAt)
    const headMs = Math.min(...limits.map(({ headTimeoutMs }) => headTimeoutMs))
    if (headAt === undefined) return now - begunAt >= headMs
    const configs = world.operator.settingsSince(begunAt)
    // It may say what it likes: it takes nothing.
    const takenAt = client.isBlockedTold ? Math.max(client.blockedAt, answer?.at ?? 0) : now
    return now - Math.min(movedAt, takenAt) >= Math.min(headMs, leastOf(configs, ['bodyTimeoutMs']))
  }

  /** Whoever got anything of an answer, or whose request went anywhere, has been told. */
  #checkAllTold(client: ClientPeer, world: HttpWorld): void {
    for (const { attempts, answer, record, plan } of client.requests) {
      if (record === undefined && (attempts.length > 0 || answer !== undefined)) {
        world.fail(NAME, `request ${plan.number} is over at ${this.#now}, and nobody is told`)
      }
    }
    const first = client.requests[this.#told.get(client) ?? 0]
    const isFirst = (this.#told.get(client) ?? 0) === 0 && !client.plan.isStream
    if (isFirst && first?.begunAt !== undefined) {
      world.fail(NAME, `request ${first.plan.number} was begun, and nobody is told how it ended`)
    }
  }
}

type TimeKey = 'bodyTimeoutMs' | 'responseTimeoutMs'

const leastOf = (configs: readonly HttpListenerConfig[], keys: readonly TimeKey[]): number =>
  Math.min(...configs.flatMap((each) => keys.map((key) => each[key])))

const NAME = 'http exchanges'
const ANSWER_TIMES: readonly TimeKey[] = ['bodyTimeoutMs', 'responseTimeoutMs']
