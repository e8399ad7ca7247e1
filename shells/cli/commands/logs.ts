/** `weir logs`: what services print, each line with the replica it came from. */
import type { ReplicaView, ServiceView } from '../../../core/node/view.ts'
import type { LogLine } from '../../node/log/store.ts'
import { connect, NotRunning, type OperatorClient } from '../../node/operator/client.ts'
import { stateOfNode } from '../arguments.ts'
import { DONE } from '../failure.ts'
import type { NodeOptions } from '../program.ts'
import { countText, serviceNames } from '../screen/describe.ts'
import { type Style, styled } from '../screen/table.ts'
import type { Terminal } from '../screen/terminal.ts'
import { padToWidth, widthOf } from '../screen/width.ts'

export interface LogsOptions extends NodeOptions {
  readonly tail: number
  readonly follow?: boolean
  readonly replica?: number
  readonly timestamps?: boolean
}

export async function logs(
  terminal: Terminal,
  service: string | undefined,
  options: LogsOptions,
): Promise<number> {
  const state = stateOfNode(options.state)
  let client: OperatorClient
  try {
    client = await connect(state)
  } catch (error) {
    if (!(error instanceof NotRunning) || options.follow) throw error
    // rare, and it loads what only a node needs
    const { leftLogs } = await import('./left-logs.ts')
    const left = await leftLogs(state, service, options)
    if (left === undefined) throw error
    return printLeft(terminal, left, options)
  }
  const lines = client.logs({
    tail: options.tail,
    follow: options.follow === true,
    onDropped: (count) =>
      terminal.error(`weir: ${countText(count, 'line')} dropped: they were not read in time\n`),
    ...(service === undefined ? {} : { service }),
    ...(options.replica === undefined ? {} : { replica: options.replica }),
  })
  const reading = lines[Symbol.asyncIterator]()
  const enough = enoughOf(terminal, options.follow === true)
  const print = options.json
    ? (line: LogLine) => JSON.stringify(line)
    : printerOf(await client.status(), terminal, options)
  for (;;) {
    const next = await Promise.race([reading.next(), enough])
    if (next === undefined || next.done === true) return DONE
    terminal.out(`${print(next.value)}\n`)
    await Promise.race([terminal.drained(), enough])
  }
}

async function printLeft(
  terminal: Terminal,
  left: readonly LogLine[],
  options: LogsOptions,
): Promise<number> {
  terminal.error('weir: no node runs; this is what the last one left\n')
  const print = options.json
    ? (line: LogLine) => JSON.stringify(line)
    : printerOf(namesIn(left), terminal, options)
  for (const line of left) {
    if (terminal.readerGone.aborted) break
    terminal.out(`${print(line)}\n`)
    await terminal.drained()
  }
  return DONE
}

/** As a view has them: each replica, and each service, once. */
function namesIn(lines: readonly LogLine[]): LoggedNames {
  const replicas = new Map<string, LoggedNames['replicas'][number]>()
  const services = new Map<string, LoggedNames['services'][number]>()
  for (const { deployment, service, replica } of lines) {
    services.set(`${deployment}/${service}`, { deployment, service })
    replicas.set(`${deployment}/${service}/${replica}`, { deployment, service, number: replica })
  }
  return { services: [...services.values()], replicas: [...replicas.values()] }
}

/** Resolves when the reader of our output left, or when Ctrl-C ends a follow as it should. */
function enoughOf(terminal: Terminal, follow: boolean): Promise<undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>()
  terminal.readerGone.addEventListener('abort', () => resolve(undefined))
  if (follow) {
    process.once('SIGINT', () => resolve(undefined))
    process.once('SIGTERM', () => resolve(undefined))
  }
  return promise
}

/** What is needed of a `NodeView`. */
interface LoggedNames {
  readonly services: readonly Pick<ServiceView, 'deployment' | 'service'>[]
  readonly replicas: readonly Pick<ReplicaView, 'deployment' | 'service' | 'number'>[]
}

/** `web-1 | text`, the names padded to the longest one that can come. */
export function printerOf(
  view: LoggedNames,
  look: Pick<Terminal, 'colour' | 'interactive'>,
  options: Pick<LogsOptions, 'timestamps'> = {},
): (line: LogLine) => string {
  const name = serviceNames(view)
  const labelOf = (of: { deployment: string; service: string }, number: number) =>
    `${name(of)}-${number}`
  let width = 0
  for (const replica of view.replicas) {
    width = Math.max(width, widthOf(labelOf(replica, replica.number)))
  }
  const styles = new Map<string, Style>()
  return (line) => {
    const label = labelOf(line, line.replica)
    let style = styles.get(label)
    if (style === undefined) {
      style = LABEL_STYLES[styles.size % LABEL_STYLES.length]!
      if (styles.size < LABELS_MAX) styles.set(label, style)
    }
    const at = options.timestamps ? `${line.at} ` : ''
    const head = styled(`${at}${padToWidth(label, width)} |`, style, look.colour)
    return `${head} ${look.interactive ? harmless(line.text) : line.text}`
  }
}

/**
 * A program's line as a terminal may show it: its colours stay, while sequences that move the
 * cursor, rename the window or answer back do not.
 */
export function harmless(text: string): string {
  let coloured = false
  const shown = text.replace(SEQUENCE, (sequence) => {
    if (!COLOUR.test(sequence)) return sequence === '\t' ? sequence : ''
    coloured = true
    return sequence
  })
  return coloured ? `${shown}\x1b[0m` : shown
}

// control sequences (CSI), strings that end with BEL or ST (OSC, DCS...), two-byte escapes, lone controls
const SEQUENCE =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what it looks for
  /(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|\x1b[ -/]*[0-~]?|[\x00-\x1f\x7f-\x9f]/g
// biome-ignore lint/suspicious/noControlCharactersInRegex: the escape that begins a colour
const COLOUR = /^(?:\x1b\[)[0-9;:]*m$/

const LABEL_STYLES: readonly Style[] = ['cyan', 'yellow', 'green', 'magenta', 'blue', 'red']
// replicas come and go while a follow goes on for weeks
const LABELS_MAX = 10_000
