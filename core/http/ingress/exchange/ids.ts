/** What is different for each request, and the same for the same seed. */
import type { IngressState } from '../state.ts'

/** Unique as long as seeds are. */
export function requestId(state: IngressState): string {
  state.requestLast += 1
  return state.idPrefix + state.requestLast.toString(36)
}

export const idPrefixOf = (seed: number): string =>
  `${(mix(seed, 1) >>> 0).toString(36)}${(mix(seed, 2) >>> 0).toString(36)}-`

/** 16 octets in base64 (RFC 6455, 4.1). The last digit of 22 has but two bits of them. */
export function webSocketKey({ seed, requestLast }: IngressState): string {
  let key = ''
  for (let at = 0; at < 21; at++) key += BASE64[mix(seed ^ requestLast, at + 3) & 63]
  return `${key}${BASE64[mix(seed ^ requestLast, 24) & 48]}==`
}

/** The finisher of MurmurHash3. */
function mix(seed: number, index: number): number {
  let bits = Math.imul(seed, 0x9e3779b1) ^ Math.imul(index, 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 16), 0x85ebca6b)
  bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35)
  return bits ^ (bits >>> 16)
}

const BASE64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'
