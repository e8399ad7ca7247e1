/** What people are told of replicas that are there, healthy maybe, and do not answer requests. */
import type { ExchangeOutcome, ExchangeRecord } from '../../../core/http/commands.ts'
import { type ReplicaId, replicaLabel } from '../../../core/services/identity.ts'
import type { SaySeldom } from './seldom-notices.ts'

export class FailingBackends {
  readonly #seldom: SaySeldom

  constructor(seldom: SaySeldom) {
    this.#seldom = seldom
  }

  /** One line a listener, about the last of them. */
  note({ outcome, listener, backend }: ExchangeRecord): void {
    if (outcome === 'done') return // nearly all of them
    const fault = FAULTS[outcome]
    if (fault === undefined || listener === undefined) return
    const replica = backend === undefined ? 'its replicas' : replicaLabel(backend as ReplicaId)
    this.#seldom(`${listener} failing`, (times) => {
      const some = times === 1 ? 'a request failed' : `${times} requests failed, the last one`
      return `${listener}: ${some} at ${replica}: ${fault}`
    })
  }
}

/** What it did, and what to look at; others are nobody's fault, or a client's, or said elsewhere. */
const FAULTS: Partial<Record<ExchangeOutcome, string>> = {
  'connect-failed': 'it took no connection; see `weir ps`',
  'upstream-closed':
    'it closed before its answer was whole; see `weir logs`, and whether it speaks what `http.backend` says',
  'bad-response':
    'what it answered is no HTTP; see `weir logs`, and whether it speaks what `http.backend` says',
  'response-timeout':
    'it was silent for too long; see `weir logs`, or raise `http.response_timeout`',
}
