/**
 * What goes over the operator socket: HTTP/1.1 with JSON bodies under `/v1`, streams as one JSON
 * value per line. Shared by the server and the client.
 *
 * | request | answer |
 * | --- | --- |
 * | `GET /v1/version` | {@link VersionAnswer} |
 * | `GET /v1/status` | `NodeView` |
 * | `POST /v1/deploy` {@link DeploySource} | {@link DeployAccepted}, or 409, 422 with problems |
 * | `GET /v1/deployments/NAME/settled` | waits; {@link SettledAnswer} |
 * | `DELETE /v1/deployments/NAME` | when all of it is gone; {@link TextAnswer} |
 * | `POST /v1/scale` `{ service, replicas }` | {@link TextAnswer} |
 * | `POST /v1/restart` `{ service, replica? }` | {@link TextAnswer} |
 * | `GET /v1/logs?service=&replica=&tail=&follow=` | lines of `LogLine` |
 * | `GET /v1/listeners` | all of {@link ListenerRow} |
 * | `GET /v1/routes` | all of `RouteView` |
 * | `GET /v1/backends?service=` | those of `BackendRow` |
 * | `GET /v1/flows?service=&endpoint=&client=&backend=&sort=&limit=` | `FlowsAnswer` |
 * | `GET /v1/metrics` | Prometheus' text format |
 * | `GET /v1/events` | lines of {@link NoticeLine}, the last ones and then new ones |
 * | `POST /v1/shutdown` `{ mode }` | lines of {@link ShutdownStep} |
 *
 * Everything else is an {@link ErrorAnswer}.
 */
import type { NodeCommand, NoticeCode, ReplyError } from '../../../core/node/commands.ts'
import type { ListenerView, NodeView } from '../../../core/node/view.ts'
import type { ListenerId } from '../../../core/services/identity.ts'

export interface VersionAnswer {
  readonly name: 'weir'
  readonly version: string
  readonly pid: number
  /** The node's id. */
  readonly node: string
  /** The state directory. */
  readonly state: string
  /** When the node started, ISO 8601. */
  readonly since: string
}

export interface DeploySource {
  readonly text: string
  /** For positions in messages. */
  readonly file: string
  /** Absolute; where the programs run. */
  readonly directory: string
}

export interface DeployAccepted {
  readonly name: string
  readonly text: string
  readonly warnings: readonly string[]
}

export interface SettledAnswer {
  readonly outcome: 'ready' | 'failed'
  readonly problems: readonly string[]
}

export interface TextAnswer {
  readonly text: string
}

type Notice = Extract<NodeCommand, { type: 'notice' }>

/** A notice of the machine, or (code `shell`) what the shell itself has to say. */
export type NoticeLine = Omit<Notice, 'type' | 'code'> & {
  /** ISO 8601. */
  readonly at: string
  readonly code: NoticeCode | 'shell'
}

/** What goes through listeners now. */
export interface DrainWork {
  /** Of TCP. */
  readonly connections: number
  /** Of HTTP, and tunnels; its connections matter only while something is asked on them. */
  readonly requests: number
  readonly flows: number
}

/**
 * One socket: of an endpoint or a mapping, with what its listener has live through all of its
 * sockets; or, at the end, of the node itself, which has no listener and names no service.
 */
export type ListenerRow = Omit<ListenerView, 'listener' | 'purpose' | 'strategy'> & {
  readonly strategy?: ListenerView['strategy']
  readonly listener?: ListenerId
  readonly purpose: ListenerView['purpose'] | NodeView['node'][number]['purpose']
} & DrainWork

export type ShutdownStep =
  // `work`: all there is
  | { readonly type: 'progress'; readonly view: NodeView; readonly work: DrainWork }
  | { readonly type: 'stopped' }

/** In a stream in the place of lines that a slow reader did not take in time. */
export interface Dropped {
  readonly type: 'dropped'
  readonly count: number
}

export type OperatorErrorCode =
  | ReplyError
  | 'too-large'
  | 'not-allowed' // the path is right, the method is not
  | 'internal'

export interface ErrorAnswer {
  readonly error: string
  readonly code: OperatorErrorCode
  /** One line each, `FILE:LINE:COLUMN: message` where they are about a file. */
  readonly problems?: readonly string[]
}

export const STATUS_OF: Record<OperatorErrorCode, number> = {
  invalid: 400,
  'not-found': 404,
  'not-allowed': 405,
  conflict: 409,
  'too-large': 413,
  internal: 500,
  stopping: 503,
}

/** Who asks for a log that is not there: `no service "web" here, and no log of it`. */
export function noLogText(filter: LogName): string {
  const { deployment, service, replica } = filter
  const name = [deployment, service].filter((part) => part !== undefined).join('/')
  const what = name === '' ? 'any service' : `"${name}"`
  if (replica === undefined) return `no service ${what} here, and no log of it`
  return `no replica ${replica} of ${what} here, and no log of it`
}

type LogName = {
  readonly deployment?: string
  readonly service?: string
  readonly replica?: number
}

/** Of a request, in bytes. */
export const BODY_BYTES_MAX = 2 * 1024 * 1024
/** Lines of a log when the request does not say. */
export const TAIL_DEFAULT = 100
