/** What others see of a ledger. */
import type { Attempt } from '../machine.ts'
import type { Claim, Owner, PortNamespace, PublishedBackend } from './claim.ts'
import type { SocketId } from './events.ts'

export type SocketState =
  | 'waiting' // for a socket of ours in its way to be closed; after a crash, for the first tick
  | 'binding'
  | 'listening'
  | 'retrying'
  | 'absent' // the machine lacks the address and nobody minds; tried again now and then
  | 'releasing'

export interface SocketView {
  readonly id: SocketId
  readonly namespace: PortNamespace
  readonly host: string
  /** What was asked for, or bound when that was 0; 0 until then. */
  readonly port: number
  readonly state: SocketState
  /** Listening, and a backend is published on what it carries. */
  readonly isServing: boolean
  readonly attempt: Attempt
  /** Failures in a row. */
  readonly failures: number
  /** What the last failure was announced as; `absent`: nobody minds. */
  readonly failedAs: 'retrying' | 'absent' | undefined
  /** Why the last bind failed, with the holder; empty when it did not. */
  readonly reason: string
  /** What it is for, the claims that decide first; empty while it is releasing. */
  readonly carries: readonly { readonly owner: Owner; readonly claim: Claim }[]
}

export interface ClaimView {
  readonly owner: Owner
  readonly claim: Claim
  /** As they were published. */
  readonly backends: readonly PublishedBackend[]
  /** Undefined: nothing is to listen for it now. */
  readonly socket: SocketId | undefined
  readonly state: 'claimed' | 'binding' | 'confirmed' | 'serving'
}

/** Everything since the ledger was made. */
export interface LedgerCounters {
  /** New ones, and those that came with another content. */
  claimsGranted: number
  claimsRefused: number
  binds: number
  bindsFailed: number
  /** Sockets that were given back, bound or not. */
  freed: number
  published: number
  withdrawn: number
  /** Of an owner or on a claim that is not there, or beyond the bound. */
  publishRefused: number
  /** Answers to attempts that are over, or to none. */
  staleAnswers: number
}

export interface LedgerConfig {
  /** Before a bind that failed is tried again, doubled each time up to the largest. */
  readonly retryFirstMs: number
  readonly retryMaxMs: number
  /** Between two tries of an address the machine lacks and may lack. */
  readonly retryAbsentMs: number
  /** More are refused. */
  readonly claimsMax: number
  readonly backendsPerClaimMax: number
}

export const defaultLedgerConfig: LedgerConfig = {
  retryFirstMs: 250,
  retryMaxMs: 10_000,
  retryAbsentMs: 30_000,
  claimsMax: 65_536,
  backendsPerClaimMax: 10_000,
}
