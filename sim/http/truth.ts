/** What is true of each request, whatever the ingress believes. */
import type { ExchangeRecord } from '../../core/http/commands.ts'
import type { HttpListenerId } from '../../core/http/events.ts'
import type { Instant } from '../../core/machine.ts'
import type { ClientPeer } from './network/client-peer.ts'
import type { UpstreamPeer } from './network/upstream-peer.ts'
import type { AnswerPlan } from './wire/answers.ts'
import type { RequestPlan } from './wire/requests.ts'

export interface SimRequest {
  readonly plan: RequestPlan
  readonly client: ClientPeer
  /** Where it is among the bytes of its client; all 0 for a stream. */
  readonly startsAt: number
  readonly headEndsAt: number
  readonly endsAt: number
  /** When its first byte was told, the last of its head, and its last. */
  begunAt: Instant | undefined
  headAt: Instant | undefined
  wholeAt: Instant | undefined
  /** When something of it was told last. */
  movedAt: Instant
  readonly attempts: Attempt[]
  /** Its head is written, of a final answer. */
  answer: SimAnswer | undefined
  record: ExchangeRecord | undefined
}

/** A backend was asked. */
export interface Attempt {
  readonly request: SimRequest
  readonly upstream: UpstreamPeer
  readonly listener: HttpListenerId
  readonly at: Instant
  /** The connection had carried another request before. */
  readonly isReused: boolean
  /** What its connection had said before. */
  readonly toldBefore: number
  /** Bytes of the body that were written. */
  content: number
  isWhole: boolean
  plan: AnswerPlan | undefined
  /** Where its answer begins, among the bytes of its connection. */
  answerFrom: number
  /** The backend says that it did not look at it. */
  isRefused: boolean
}

export interface SimAnswer {
  readonly status: number
  readonly at: Instant
  /** Absent: the ingress answers by itself. */
  readonly attempt: Attempt | undefined
  /** Bytes of its body that were written. */
  content: number
  isWhole: boolean
}

export const newRequest = (
  plan: RequestPlan,
  client: ClientPeer,
  startsAt: number,
): SimRequest => ({
  plan,
  client,
  startsAt,
  headEndsAt: startsAt + plan.head.length,
  endsAt: startsAt + plan.head.length + plan.body.length,
  begunAt: undefined,
  headAt: undefined,
  wholeAt: undefined,
  movedAt: 0,
  attempts: [],
  answer: undefined,
  record: undefined,
})

/** The answer that is on its way to the client, or the last one that was tried. */
export const attemptOf = ({ answer, attempts }: SimRequest): Attempt | undefined =>
  answer?.attempt ?? attempts.at(-1)
