/** Talks to a running node over its operator socket. */
import http from 'node:http'
import type { NodeView, RouteView } from '../../../core/node/view.ts'
import type { LogLine } from '../log/store.ts'
import { askSocket } from '../state/ask-socket.ts'
import { socketPathsOf } from '../state/places.ts'
import type {
  DeployAccepted,
  DeploySource,
  Dropped,
  ErrorAnswer,
  ListenerRow,
  NoticeLine,
  OperatorErrorCode,
  SettledAnswer,
  ShutdownStep,
  TextAnswer,
  VersionAnswer,
} from './api.ts'
import type { BackendRow } from './backends.ts'
import type { FlowSort, FlowsAnswer } from './flows.ts'

export interface OperatorClient {
  readonly socketPath: string
  version(): Promise<VersionAnswer>
  status(): Promise<NodeView>
  deploy(source: DeploySource): Promise<DeployAccepted>
  /** Waits until the deployment is what its file asks for, or cannot be without help. */
  settled(deployment: string): Promise<SettledAnswer>
  /** Waits until all of it is gone. */
  remove(deployment: string): Promise<TextAnswer>
  scale(service: string, replicas: number): Promise<TextAnswer>
  restart(service: string, replica?: number): Promise<TextAnswer>
  /** Ends after the tail, or never when following; leave the loop to stop. */
  logs(request: LogsRequest): AsyncIterable<LogLine>
  /** Every socket, and what goes through its listener. */
  listeners(): Promise<readonly ListenerRow[]>
  /** Where HTTP requests go. */
  routes(): Promise<readonly RouteView[]>
  /** Of `deployment/service`, or the short name; refused with `not-found` when there is no such service. */
  backends(service?: string): Promise<readonly BackendRow[]>
  /** Refused with `not-found` when there is no such service. */
  flows(request?: FlowsRequest): Promise<FlowsAnswer>
  /** In Prometheus' text format. */
  metrics(): Promise<string>
  /** The last notices and then new ones, until the node stops. */
  events(options?: StreamOptions): AsyncIterable<NoticeLine>
  /** Ends when the node has stopped and its socket is gone. */
  shutdown(mode: 'drain' | 'abort'): AsyncIterable<ShutdownStep>
}

export interface StreamOptions {
  /** Lines the node dropped because they were not read in time. */
  readonly onDropped?: (count: number) => void
}

export interface LogsRequest extends StreamOptions {
  /** `deployment/service`, or the short name. */
  readonly service?: string
  readonly replica?: number
  readonly tail?: number
  readonly follow?: boolean
}

export interface FlowsRequest {
  /** `deployment/service`, or the short name. */
  readonly service?: string
  readonly endpoint?: string
  /** An address, `ADDRESS:PORT` or a network. */
  readonly client?: string
  /** A replica's number or label. */
  readonly backend?: string
  readonly sort?: FlowSort
  readonly limit?: number
}

/** No node answers for this state directory. */
export class NotRunning extends Error {
  override readonly name = 'NotRunning'
  readonly stateDirectory: string

  constructor(stateDirectory: string) {
    super(
      `no node runs on the state directory ${stateDirectory}: start one with \`weir up\`, ` +
        'or name its directory with --state',
    )
    this.stateDirectory = stateDirectory
  }
}

/** The node refused a request, or the answer did not arrive. */
export class OperatorError extends Error {
  override readonly name = 'OperatorError'
  readonly code: OperatorErrorCode | 'connection'
  /** Of HTTP; 0 when there was no answer. */
  readonly status: number
  readonly problems: readonly string[]

  constructor(answer: Omit<ErrorAnswer, 'code'> & { code: OperatorError['code'] }, status: number) {
    super(answer.error)
    this.code = answer.code
    this.status = status
    this.problems = answer.problems ?? []
  }
}

/** Finds the node of a state directory. Throws {@link NotRunning}. */
export async function connect(stateDirectory: string): Promise<OperatorClient> {
  for (const socketPath of socketPathsOf(stateDirectory)) {
    const answer = await askSocket(socketPath)
    if (answer.type === 'weir') return clientOf(socketPath)
    if (answer.type === 'silent') {
      const error = `the process that listens on ${socketPath} does not answer`
      throw new OperatorError({ error, code: 'connection' }, 0)
    }
  }
  throw new NotRunning(stateDirectory)
}

function clientOf(socketPath: string): OperatorClient {
  const get = <A>(path: string): Promise<A> => ask<A>(socketPath, 'GET', path)
  const post = <A>(path: string, body: unknown): Promise<A> =>
    ask<A>(socketPath, 'POST', path, body)
  return {
    socketPath,
    version: () => get('/v1/version'),
    status: () => get('/v1/status'),
    deploy: (source) => post('/v1/deploy', source),
    settled: (name) => get(`/v1/deployments/${encodeURIComponent(name)}/settled`),
    remove: (name) => ask(socketPath, 'DELETE', `/v1/deployments/${encodeURIComponent(name)}`),
    scale: (service, replicas) => post('/v1/scale', { service, replicas }),
    restart: (service, replica) =>
      post('/v1/restart', { service, ...(replica === undefined ? {} : { replica }) }),
    logs: ({ onDropped, ...query }) =>
      withoutDropped(stream<LogLine>(socketPath, 'GET', `/v1/logs?${queryOf(query)}`), onDropped),
    listeners: () => get('/v1/listeners'),
    routes: () => get('/v1/routes'),
    backends: (service) => get(`/v1/backends?${queryOf(service === undefined ? {} : { service })}`),
    flows: (request = {}) => get(`/v1/flows?${queryOf(request)}`),
    metrics: async () => textOf(await open(socketPath, 'GET', '/v1/metrics', undefined)),
    events: (options) =>
      withoutDropped(stream<NoticeLine>(socketPath, 'GET', '/v1/events'), options?.onDropped),
    shutdown: (mode) => shutdown(socketPath, mode),
  }
}

async function* shutdown(socketPath: string, mode: string): AsyncGenerator<ShutdownStep> {
  const steps = withoutDropped(
    stream<ShutdownStep>(socketPath, 'POST', '/v1/shutdown', { mode }),
    undefined,
  )
  for await (const step of steps) {
    // Said only when the next node could start: the socket goes last.
    if (step.type === 'stopped') await untilGone(socketPath)
    yield step
  }
}

async function untilGone(socketPath: string): Promise<void> {
  const giveUpAt = performance.now() + GONE_MS_MAX
  while (performance.now() < giveUpAt) {
    if ((await askSocket(socketPath)).type === 'dead') return
    await new Promise((resolve) => setTimeout(resolve, GONE_POLL_MS))
  }
}

const queryOf = (query: Omit<LogsRequest, 'onDropped'> | FlowsRequest): URLSearchParams =>
  new URLSearchParams(
    Object.entries(query)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]): [string, string] => [name, String(value)]),
  )

async function ask<A>(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): Promise<A> {
  const response = await open(socketPath, method, path, body)
  return parse(await textOf(response)) as A
}

/** One value per line, as they come; leaving the loop closes the connection. */
async function* stream<A>(
  socketPath: string,
  method: string,
  path: string,
  body?: unknown,
): AsyncGenerator<A | Dropped> {
  const response = await open(socketPath, method, path, body)
  try {
    let rest = ''
    for await (const data of response) {
      const lines = (rest + data).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '') yield parse(line) as A | Dropped
    }
    if (rest !== '') yield parse(rest) as A | Dropped
  } catch (error) {
    throw error instanceof OperatorError ? error : brokenConnection(error)
  } finally {
    response.destroy()
  }
}

async function* withoutDropped<A extends object>(
  lines: AsyncGenerator<A | Dropped>,
  onDropped: StreamOptions['onDropped'],
): AsyncGenerator<A> {
  for await (const line of lines) {
    if ('type' in line && line.type === 'dropped') onDropped?.((line as Dropped).count)
    else yield line as A
  }
}

/** Resolves with a response whose status is 200; throws what the node says otherwise. */
async function open(
  socketPath: string,
  method: string,
  path: string,
  body: unknown,
): Promise<http.IncomingMessage> {
  const response = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const request = http.request({ socketPath, method, path, agent: false }, resolve)
    request.on('error', (error) => reject(brokenConnection(error)))
    if (body === undefined) return request.end()
    const bytes = Buffer.from(JSON.stringify(body), 'utf8')
    request.setHeader('Content-Type', 'application/json')
    request.setHeader('Content-Length', bytes.length)
    request.end(bytes)
  })
  response.setEncoding('utf8')
  if (response.statusCode === 200) return response
  throw refusal(await textOf(response), response.statusCode ?? 0)
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  let text = ''
  try {
    for await (const data of response) text += data
  } catch (error) {
    throw brokenConnection(error)
  }
  return text
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    const error = `the node answered with something else than JSON: ${text.slice(0, 80)}`
    throw new OperatorError({ error, code: 'connection' }, 200)
  }
}

function refusal(text: string, status: number): OperatorError {
  const value = parse(text) as Partial<ErrorAnswer> | null
  const error = typeof value?.error === 'string' ? value.error : `the node answered ${status}`
  const problems = Array.isArray(value?.problems) ? value.problems.map(String) : []
  return new OperatorError({ error, code: value?.code ?? 'internal', problems }, status)
}

function brokenConnection(error: unknown): OperatorError {
  const reason = error instanceof Error ? error.message : String(error)
  return new OperatorError(
    { error: `the connection to the node broke (${reason})`, code: 'connection' },
    0,
  )
}

const GONE_MS_MAX = 5_000
const GONE_POLL_MS = 20
