/** Where a command prints, and how: decided once, from the streams and the environment. */

export interface Terminal {
  /** Colour on standard output. */
  readonly colour: boolean
  readonly errorColour: boolean
  /** Standard output can show something that is redrawn in place. */
  readonly interactive: boolean
  /** Columns of standard output; undefined when it is not a terminal. Read it anew for each frame. */
  columns(): number | undefined
  rows(): number
  /** Aborted when nobody reads standard output any more: `weir logs -f | head`. */
  readonly readerGone: AbortSignal
  out(text: string): void
  error(text: string): void
  /** Resolves when what was printed has left the process: a pipe takes 64 KiB and then its time. */
  drained(): Promise<void>
}

export function systemTerminal(): Terminal {
  const { stdout, stderr, env } = process
  const isTerminal = stdout.isTTY === true
  const gone = new AbortController()
  // a reader that has seen enough is no error
  stdout.on('error', () => gone.abort())
  stderr.on('error', () => undefined)
  return {
    colour: wantsColour(env, isTerminal),
    errorColour: wantsColour(env, stderr.isTTY === true),
    interactive: isTerminal && env.TERM !== 'dumb',
    // a terminal that does not know its size says 0
    columns: () => (isTerminal ? stdout.columns || COLUMNS_UNKNOWN : undefined),
    rows: () => (isTerminal && stdout.rows) || ROWS_UNKNOWN,
    readerGone: gone.signal,
    out: (text) => void stdout.write(text),
    error: (text) => void stderr.write(text),
    drained: async () => {
      await Promise.all([drained(stdout), drained(stderr)])
    },
  }
}

const drained = (stream: NodeJS.WriteStream): Promise<void> | undefined =>
  stream.writableLength === 0
    ? undefined
    : new Promise((resolve) => {
        stream.write('', () => resolve())
      })

/** FORCE_COLOR, then NO_COLOR (https://no-color.org), then TERM, then what the stream is. */
export function wantsColour(
  env: Readonly<Record<string, string | undefined>>,
  isTerminal: boolean,
): boolean {
  const forced = env.FORCE_COLOR
  if (forced !== undefined) return forced !== '0' && forced !== 'false'
  if (env.NO_COLOR !== undefined && env.NO_COLOR !== '') return false
  return isTerminal && env.TERM !== 'dumb'
}

const COLUMNS_UNKNOWN = 80
const ROWS_UNKNOWN = 24
