/** How long to wait after failures. */

/** After so many in a row: doubled each time, and up to a quarter more, so that nodes spread. */
export function pauseMs(failures: number, draw: number): number {
  const base = Math.min(PAUSE_MIN_MS * 2 ** Math.max(0, failures - 1), PAUSE_MAX_MS)
  return Math.floor(base * (1 + draw / 4))
}

/** From 0 up to 1; the same for the same seed and count. */
export function drawOf(seed: number, count: number): number {
  let mixed = (seed + Math.imul(count, 0x9e3779b9)) | 0 // SplitMix32
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x21f0aaad)
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97)
  mixed ^= mixed >>> 15
  return (mixed >>> 0) / 0x1_0000_0000
}

/** `about 5 minutes`, for people. */
export function aboutText(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / MINUTE_MS))
  if (minutes < 90) return `about ${some(minutes, 'minute')}`
  const hours = Math.round(minutes / 60)
  return hours < 48 ? `about ${hours} hours` : `about ${Math.round(hours / 24)} days`
}

const some = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`

const MINUTE_MS = 60_000
export const PAUSE_MIN_MS = MINUTE_MS
export const PAUSE_MAX_MS = 12 * 60 * MINUTE_MS
