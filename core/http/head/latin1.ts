/** Bytes as text, one character a byte (ISO 8859-1). `to` is the index after the last. */
export type Latin1 = (bytes: Uint8Array, from: number, to: number) => string

/** For hosts without a faster one. */
export function latin1Of(bytes: Uint8Array, from: number, to: number): string {
  let text = ''
  for (let at = from; at < to; at += SLICE) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(to, at + SLICE)))
  }
  return text
}

/** Arguments of one call; engines take many more. */
const SLICE = 4096
