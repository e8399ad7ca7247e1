/** What the parent and the worker tell each other. Plain data: it is cloned on the way. */
import type { ListenerFact } from '../../../../core/balance/facts.ts'
import type { FlowEvent } from '../../../../core/udp/events.ts'
import type { FlowList, UdpListenerOptions, UdpShellCounters } from '../udp-host.ts'
import type { DescriptorBook } from './system/descriptor-book.ts'

/** Never used again in one process. */
export type ListenerNumber = number
/** Says which call an answer belongs to. */
export type CallNumber = number

export type ToWorker =
  | {
      readonly type: 'open'
      readonly listener: ListenerNumber
      readonly config: UdpListenerOptions['config']
      readonly balance: UdpListenerOptions['balance']
    }
  // answered with the bound address, or refused
  | {
      readonly type: 'listen'
      readonly listener: ListenerNumber
      readonly call: CallNumber
      /** An IP address; its zone, if any, is the number of an interface. */
      readonly host: string
      readonly port: number
    }
  | { readonly type: 'event'; readonly listener: ListenerNumber; readonly event: ParentEvent }
  // closes what it has, without a word
  | { readonly type: 'dispose'; readonly listener: ListenerNumber }
  // answered with a FlowList
  | {
      readonly type: 'flows'
      readonly listener: ListenerNumber
      readonly call: CallNumber
      readonly limit: number
    }
  // answered with UdpShellCounters
  | { readonly type: 'counters'; readonly listener: ListenerNumber; readonly call: CallNumber }
  // answers `resolve`
  | { readonly type: 'resolved'; readonly host: string; readonly answer: ResolvedName }
  // closes everything; the worker ends
  | { readonly type: 'stop' }

/** What of a machine's events the parent may cause. */
export type ParentEvent = Extract<
  FlowEvent,
  { type: 'apply-backends' | 'cut-backend' | 'configure' | 'close' | 'abort-all' }
>

export type ResolvedName =
  | { readonly type: 'address'; readonly ip: string }
  | { readonly type: 'failed'; readonly reason: string }

export type FromWorker =
  // it takes messages; `wake` is an eventfd that the parent writes to after each, and closes
  | { readonly type: 'ready'; readonly wake: number }
  | { readonly type: 'answer'; readonly call: CallNumber; readonly answer: Answer }
  | { readonly type: 'refused'; readonly call: CallNumber; readonly error: PlainError }
  | {
      readonly type: 'fact'
      readonly listener: ListenerNumber
      readonly fact: Exclude<ListenerFact, { type: 'emptied' }>
    }
  | { readonly type: 'host-failed'; readonly listener: ListenerNumber; readonly reason: string }
  // the port is free
  | { readonly type: 'stopped-listening'; readonly listener: ListenerNumber }
  // it emptied; nothing comes from it any more
  | {
      readonly type: 'over'
      readonly listener: ListenerNumber
      readonly counters: UdpShellCounters
    }
  // its machine or its sockets broke their contract; all it had is closed
  | { readonly type: 'broken'; readonly listener: ListenerNumber; readonly reason: string }
  // the address of a backend's name is needed; once, until it is answered
  | { readonly type: 'resolve'; readonly host: string }

/** Nothing, when the listener is over. */
export type Answer = string | FlowList | UdpShellCounters | undefined

/** What of an error survives the way. */
export interface PlainError {
  readonly message: string
  readonly code: string
  readonly syscall: string
  readonly errno: number
}

/** What a worker is started with. */
export interface WorkerData {
  readonly book: DescriptorBook
}
