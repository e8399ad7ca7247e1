/** What is different for each request, and the same for the same seed. */
import type { IngressState } from '../state.ts'

/** Unique as long as seeds are. */
export function requestId(state: IngressState): string {
  state.requestLast += 1
  return `${state.idPrefix}-${state.requestLast.toString(36)}`
}

/**
 * 16 octets in base64 (RFC 6455, 4.1); the last digit of 22 has but two bits of them. It has to be a
 * new one each time, and no secret.
 */
export const webSocketKey = ({ idPrefix, requestLast }: IngressState): string =>
  `${(idPrefix + requestLast.toString(36)).padStart(21, '0').slice(-21)}A==`

export const idPrefixOf = (seed: number): string => mixed(seed, 1) + mixed(seed, 2)

/** The finisher of MurmurHash3. */
function mixed(seed: number, index: number): string {
  let bits = Math.imul(seed, 0x9e3779b1) ^ Math.imul(index, 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return ((bits ^ (bits >>> 16)) >>> 0).toString(36).padStart(7, '0')
}
