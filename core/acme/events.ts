/** What the planner of certificates is told. Wall-clock times are milliseconds since 1970. */
import type { Attempt } from '../machine.ts'
import type { AcmeCause } from './causes.ts'

export type AcmeEvent =
  // all that shall have a certificate, in the place of those before; with every deploy, and first of all
  | { readonly type: 'names'; readonly names: readonly string[] }
  // answers `look`: all pairs in use, also those that nobody ordered
  | {
      readonly type: 'certificates'
      readonly wallClockMs: number
      readonly certificates: readonly CertificateSpan[]
    }
  // answers `order`: the pair lies in the directory
  | ({ readonly type: 'issued'; readonly attempt: Attempt } & Span & {
        readonly wallClockMs: number
      })
  // answers `order`: nothing was changed
  | {
      readonly type: 'failed'
      readonly attempt: Attempt
      readonly cause: AcmeCause
      /** What the server said, or the system; one line. */
      readonly text: string
      /** From now on, as the server asked for (RFC 8555, 6.6). */
      readonly retryAfterMs?: number
    }
  // the deadline may have come
  | { readonly type: 'tick' }

/** When a certificate is good, on the wall clock. */
export interface Span {
  readonly validFromMs: number
  readonly validToMs: number
}

export interface CertificateSpan extends Span {
  /** `example.com`, or `*.example.com` for one label more. */
  readonly name: string
}
