/** The records of a ledger as others see them. */
import type { ClaimView, SocketView } from '../view.ts'
import type { ClaimRecord, SocketRecord } from './state.ts'

export function socketView(socket: SocketRecord): SocketView {
  const { id, namespace, reach, port, state, attempt, failures, failedAs, reason, carries } = socket
  return {
    id,
    namespace,
    host: reach.host,
    port,
    state,
    isServing: state === 'listening' && carries.some(({ backends }) => backends.size > 0),
    attempt,
    failures,
    failedAs,
    reason,
    carries: carries.map(({ owner, claim }) => ({ owner, claim })),
  }
}

export function claimView({ owner, claim, backends, socket }: ClaimRecord): ClaimView {
  return {
    owner,
    claim,
    backends: [...backends.values()],
    socket: socket?.id,
    state: claimState(socket, backends.size > 0),
  }
}

function claimState(socket: SocketRecord | undefined, hasBackend: boolean): ClaimView['state'] {
  if (socket === undefined) return 'claimed'
  if (socket.state !== 'listening') return 'binding'
  return hasBackend ? 'serving' : 'confirmed'
}
