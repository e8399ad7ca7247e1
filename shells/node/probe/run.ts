/** One probe under way: its time limit, its one answer, its end. */

/** Says how it went: '' when healthy, else why not, for people. Only the first call counts. */
export type ProbeAnswer = (reason: string) => void

/**
 * Makes a probe, and resolves when nothing of it is left. Ends soon after `stop` is aborted; an
 * error it throws is its answer.
 */
export type ProbeWork = (answer: ProbeAnswer, stop: AbortSignal) => Promise<void>

export interface ProbeRun {
  /** Ends it without an answer; harmless when it is over. */
  readonly cancel: () => void
  /** Resolved when nothing of it is left. Never rejects. */
  readonly over: Promise<void>
}

/** Begins at once; `answer` is called at most once, and never before this returns. */
export function runProbe(timeoutMs: number, work: ProbeWork, answer: ProbeAnswer): ProbeRun {
  const stop = new AbortController()
  let isAnswered = false
  const settle: ProbeAnswer = (reason) => {
    if (isAnswered) return
    isAnswered = true
    answer(reason)
  }
  const timer = setTimeout(() => {
    settle(`no answer within ${inWords(timeoutMs)}`)
    stop.abort()
  }, timeoutMs)
  const over = Promise.resolve()
    .then(() => work(settle, stop.signal))
    .catch((error: unknown) => settle(error instanceof Error ? error.message : String(error)))
    .finally(() => clearTimeout(timer))
  const cancel = (): void => {
    isAnswered = true
    stop.abort()
  }
  return { cancel, over }
}

/** `2s`, `1.5s`, `250ms`: how people write it in the file. */
const inWords = (ms: number): string => (ms < 1_000 ? `${ms}ms` : `${ms / 1_000}s`)
