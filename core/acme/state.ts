/** What the planner of certificates knows. */
import type { Attempt, Instant } from '../machine.ts'
import type { AcmeCause } from './causes.ts'
import { CAUSES } from './causes.ts'

export interface AcmeConfig {
  /** Before the end of a certificate; never more than half of the time it is good for. */
  readonly renewBeforeMs: number
  /** Spreads what many nodes do at one time. */
  readonly seed: number
  /** Of one order, from beginning to end. */
  readonly orderTimeoutMs: number
  /** Between two looks at what is in use. */
  readonly lookEveryMs: number
  /** More are left out, the last in the alphabet first. */
  readonly namesMax: number
}

export const defaultAcmeConfig: AcmeConfig = {
  renewBeforeMs: 30 * 24 * 60 * 60_000,
  seed: 0,
  orderTimeoutMs: 120_000,
  lookEveryMs: 12 * 60 * 60_000,
  namesMax: 10_000,
}

export interface AcmeState {
  readonly config: AcmeConfig
  /** That shall have a certificate. */
  readonly names: Map<string, WantedName>
  attempts: Attempt
  /** The one under way. */
  order: CurrentOrder | undefined
  /** What is in use is known. */
  hasLooked: boolean
  nextLookAt: Instant
  /** What concerns all names: no order before. */
  pausedUntil: Instant
  /** In a row, of what concerns all. */
  failures: number
  /** Said of what concerns all. */
  said: AcmeCause | undefined
  hasSaidLeftOut: boolean
  readonly counters: AcmeCounters
}

/** They only rise. */
export interface AcmeCounters {
  orders: number
  issued: number
  readonly failed: Record<AcmeCause, number>
}

export interface CurrentOrder {
  readonly attempt: Attempt
  readonly name: string
  readonly giveUpAt: Instant
}

export interface WantedName {
  readonly name: string
  /** When what is in use for it ends, and when it is to be renewed; undefined: there is nothing. */
  span: { readonly renewAt: Instant; readonly endsAt: Instant } | undefined
  /** One was got then and is not yet seen in use. */
  issuedAt: Instant | undefined
  /** In a row. */
  failures: number
  /** Not to be ordered before. */
  retryAt: Instant
  /** Said since it last had a good one. */
  said: AcmeCause | undefined
}

export const newAcmeState = (config: AcmeConfig): AcmeState => ({
  config,
  names: new Map(),
  attempts: 0,
  order: undefined,
  hasLooked: false,
  nextLookAt: Number.POSITIVE_INFINITY,
  pausedUntil: 0,
  failures: 0,
  said: undefined,
  hasSaidLeftOut: false,
  counters: {
    orders: 0,
    issued: 0,
    failed: Object.fromEntries(Object.keys(CAUSES).map((cause) => [cause, 0])) as Record<
      AcmeCause,
      number
    >,
  },
})

/** When it is to be ordered, if nothing else is in the way. */
export const dueAtOf = ({ span, retryAt }: WantedName): Instant =>
  Math.max(span?.renewAt ?? 0, retryAt)
