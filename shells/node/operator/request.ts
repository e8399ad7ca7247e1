/** Reads what came over the operator socket. Whatever it is, the outcome is a value or a refusal. */
import type http from 'node:http'
import path from 'node:path'
import type { NodeView } from '../../../core/node/view.ts'
import type { LogFilter } from '../log/store.ts'
import {
  BODY_BYTES_MAX,
  type DeploySource,
  type ErrorAnswer,
  type OperatorErrorCode,
  STATUS_OF,
  TAIL_DEFAULT,
} from './api.ts'
import type { BackendsFilter } from './backends.ts'
import {
  clientProblem,
  FLOW_SORTS,
  FLOWS_LIMIT_DEFAULT,
  FLOWS_LIMIT_MAX,
  type FlowSort,
  type FlowsFilter,
} from './flows.ts'

/** One JSON answer. */
export interface Answer {
  readonly status: number
  readonly body: unknown
  /** The method that would have been right. */
  readonly allow?: string
}

export type Read<A> =
  | { readonly ok: true; readonly value: A }
  | { readonly ok: false; readonly answer: Answer }

export interface LogsRead {
  readonly filter: LogFilter
  readonly tail: number
  readonly follow: boolean
}

export function refuse(
  code: OperatorErrorCode,
  error: string,
  problems?: readonly string[],
): Answer {
  const body: ErrorAnswer = { error, code, ...(problems === undefined ? {} : { problems }) }
  return { status: STATUS_OF[code], body }
}

/** The JSON object of a request's body. A client that leaves half-way gets a refusal it never sees. */
export async function readBody(
  request: http.IncomingMessage,
): Promise<Read<Readonly<Record<string, unknown>>>> {
  const chunks: Buffer[] = []
  let bytes = 0
  try {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      bytes += chunk.length
      if (bytes > BODY_BYTES_MAX) break
      chunks.push(chunk)
    }
  } catch {
    return refused('the body was cut off')
  }
  if (bytes > BODY_BYTES_MAX) {
    const text = `a body has at most ${BODY_BYTES_MAX} bytes`
    return { ok: false, answer: refuse('too-large', text) }
  }
  try {
    const value: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'))
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      return refused('the body must be a JSON object')
    }
    return { ok: true, value: value as Readonly<Record<string, unknown>> }
  } catch {
    return refused('the body is not JSON')
  }
}

type Body = Readonly<Record<string, unknown>>

export function deploySourceOf({ text, file, directory }: Body): Read<DeploySource> {
  if (typeof text !== 'string') return refused('"text" must be a string: the deployment file')
  if (typeof file !== 'string') return refused('"file" must be a string: its name')
  if (typeof directory !== 'string' || !path.isAbsolute(directory) || directory.includes('\0')) {
    return refused('"directory" must be an absolute path')
  }
  return { ok: true, value: { text, file, directory } }
}

export function scaleOf({ service, replicas }: Body): Read<{ service: string; replicas: number }> {
  if (typeof service !== 'string') return refused('"service" must be a string')
  if (!isCount(replicas)) return refused('"replicas" must be a whole number, 0 or more')
  return { ok: true, value: { service, replicas } }
}

export function restartOf({ service, replica }: Body): Read<{ service: string; replica?: number }> {
  if (typeof service !== 'string') return refused('"service" must be a string')
  if (replica === undefined || replica === null) return { ok: true, value: { service } }
  if (!isCount(replica) || replica === 0) return refused('"replica" must be a number, 1 or more')
  return { ok: true, value: { service, replica } }
}

export function shutdownModeOf({ mode }: Body): Read<'drain' | 'abort'> {
  if (mode === 'drain' || mode === 'abort') return { ok: true, value: mode }
  return refused('"mode" must be "drain" or "abort"')
}

/** `?service=&replica=&tail=&follow=`, each may be left out; a service also by its short name. */
export function logsRequestOf(query: URLSearchParams, view: NodeView): Read<LogsRead> {
  const replica = numberOf(query.get('replica'))
  const tail = numberOf(query.get('tail')) ?? TAIL_DEFAULT
  if (Number.isNaN(replica)) return refused('"replica" must be a whole number')
  if (Number.isNaN(tail)) return refused('"tail" must be a whole number')
  const service = serviceOf(query.get('service') ?? '', view)
  if (!service.ok) return service
  const filter = { ...service.value, ...(replica === undefined ? {} : { replica }) }
  const follow = FOLLOW_WORDS.has(query.get('follow') ?? 'false')
  return { ok: true, value: { filter, tail, follow } }
}

/** `?service=`, which may be left out. */
export const backendsRequestOf = (query: URLSearchParams, view: NodeView): Read<BackendsFilter> =>
  serviceOf(query.get('service') ?? '', view)

export interface FlowsRead {
  readonly filter: FlowsFilter
  readonly sort: FlowSort
  readonly limit: number
}

/** `?service=&endpoint=&client=&backend=&sort=&limit=`, each may be left out. */
export function flowsRequestOf(query: URLSearchParams, view: NodeView): Read<FlowsRead> {
  const limit = numberOf(query.get('limit')) ?? FLOWS_LIMIT_DEFAULT
  if (!(limit <= FLOWS_LIMIT_MAX)) {
    return refused(`"limit" must be a whole number, ${FLOWS_LIMIT_MAX} at most`)
  }
  const written = query.get('sort') || 'age'
  const sort = FLOW_SORTS.find((each) => each === written)
  if (sort === undefined) return refused(`"sort" must be one of ${FLOW_SORTS.join(', ')}`)
  const client = query.get('client') ?? ''
  const problem = client === '' ? undefined : clientProblem(client)
  if (problem !== undefined) return refused(problem)
  const service = serviceOf(query.get('service') ?? '', view)
  if (!service.ok) return service
  const others = {
    endpoint: query.get('endpoint') ?? '',
    client,
    backend: query.get('backend') ?? '',
  }
  const given = Object.entries(others).filter(([, value]) => value !== '')
  return {
    ok: true,
    value: { filter: { ...service.value, ...Object.fromEntries(given) }, sort, limit },
  }
}

/** A service that is gone keeps its log: only a name that means two of them is refused. */
function serviceOf(name: string, { services }: NodeView): Read<LogFilter> {
  if (name === '') return { ok: true, value: {} }
  const slash = name.indexOf('/')
  if (slash !== -1) {
    const value = { deployment: name.slice(0, slash), service: name.slice(slash + 1) }
    return { ok: true, value }
  }
  const [first, ...others] = services.filter(({ service }) => service === name)
  if (first === undefined) return { ok: true, value: { service: name } }
  if (others.length === 0) {
    return { ok: true, value: { deployment: first.deployment, service: name } }
  }
  const which = [first, ...others].map(({ deployment }) => `${deployment}/${name}`).join(' or ')
  const text = `"${name}" is in several deployments: say ${which}`
  return { ok: false, answer: refuse('conflict', text) }
}

/** Whether what a filter names is here now; all is when it names nothing. */
export function isInView(filter: LogFilter, { services, replicas }: NodeView): boolean {
  const { deployment, service, replica } = filter
  if (service === undefined && replica === undefined) return true
  const fits = (each: { readonly deployment: string; readonly service: string }): boolean =>
    (deployment ?? each.deployment) === each.deployment &&
    (service ?? each.service) === each.service
  if (replica === undefined) return services.some(fits)
  return replicas.some((each) => each.number === replica && fits(each))
}

const refused = (text: string): { ok: false; answer: Answer } => ({
  ok: false,
  answer: refuse('invalid', text),
})

const isCount = (value: unknown): value is number =>
  typeof value === 'number' && Number.isSafeInteger(value) && value >= 0

/** NaN when it is there and no whole number. */
function numberOf(text: string | null): number | undefined {
  if (text === null || text === '') return undefined
  return /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
}

const FOLLOW_WORDS: ReadonlySet<string> = new Set(['', '1', 'true', 'yes'])
