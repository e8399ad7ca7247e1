/** Requests to stop, as signals: the first one drains, the second one aborts, the third one exits. */

export interface StopSignals {
  /** Requests so far. */
  readonly count: number
  /** Called for the requests already made, and for each new one. Returns the way to leave. */
  listen(listener: (count: number) => void): () => void
  /** Gives the signals their usual meaning back. */
  release(): void
}

type Process = Pick<NodeJS.Process, 'on' | 'off' | 'exit'>

/** SIGHUP, from a terminal that closed, drains too. `clock` is in milliseconds. */
export function stopSignals(
  process: Process,
  clock: () => number = () => performance.now(),
): StopSignals {
  const listeners = new Set<(count: number) => void>()
  let count = 0
  let lastAt = Number.NEGATIVE_INFINITY
  const received = () => {
    // one Ctrl-C can come twice: from the terminal, and passed on by npm that runs us
    const now = clock()
    if (now - lastAt < SAME_REQUEST_MS) return
    lastAt = now
    count += 1
    if (count > 2) process.exit(ABANDONED)
    for (const listener of [...listeners]) listener(count)
  }
  for (const signal of SIGNALS) process.on(signal, received)
  return {
    get count() {
      return count
    },
    listen: (listener) => {
      listeners.add(listener)
      for (let earlier = 1; earlier <= count; earlier++) listener(earlier)
      return () => listeners.delete(listener)
    },
    release: () => {
      for (const signal of SIGNALS) process.off(signal, received)
    },
  }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const
const SAME_REQUEST_MS = 400
const ABANDONED = 1
