/**
 * The operator socket: HTTP and JSON for the `weir` command and whoever else asks. Reads requests
 * and writes answers; what is asked is done by the node behind it.
 */
import fs from 'node:fs'
import http from 'node:http'
import { Effect, type Scope } from 'effect'
import type { Reply } from '../../../core/node/commands.ts'
import type { NodeView } from '../../../core/node/view.ts'
import { messageOf } from '../journal/format.ts'
import type { Listeners } from '../listener/listeners.ts'
import type { LogFilter, LogStore } from '../log/store.ts'
import { EXPOSITION_TYPE } from '../metrics/exposition.ts'
import { prepareRuntimeDirectory } from '../state/directory.ts'
import { StateUnusable } from '../state/start-error.ts'
import {
  type DeploySource,
  type ErrorAnswer,
  type ListenerRow,
  type NoticeLine,
  noLogText,
  type OperatorErrorCode,
  type SettledAnswer,
  STATUS_OF,
  type VersionAnswer,
} from './api.ts'
import { backendRows, countsSoon } from './backends.ts'
import { Door, listen } from './door.ts'
import { FLOWS_EXAMINED_MAX, flowsAnswer } from './flows.ts'
import { LineStream } from './line-stream.ts'
import { listenerRows, loadsSoon, workOf } from './listeners.ts'
import {
  type Answer,
  backendsRequestOf,
  deploySourceOf,
  flowsRequestOf,
  isInView,
  logsRequestOf,
  readBody,
  refuse,
  restartOf,
  scaleOf,
  shutdownModeOf,
} from './request.ts'
import { routeOf } from './route.ts'

/** What the server needs of a node. */
export interface OperatedNode {
  version(): VersionAnswer
  view(): NodeView
  deploy(source: DeploySource): Promise<DeployAnswer>
  /** Calls back once; undefined: there is no such deployment (any more). The answer cancels. */
  whenSettled(deployment: string, answer: (settled: SettledAnswer | undefined) => void): () => void
  remove(deployment: string): Promise<Reply>
  scale(service: string, replicas: number): Promise<Reply>
  restart(service: string, replica?: number): Promise<Reply>
  readonly logs: Pick<LogStore, 'read' | 'follow'>
  readonly listeners: Pick<Listeners, 'backendCounts' | 'flows' | 'load'>
  /** In Prometheus' text format. */
  metrics(): Promise<string>
  /** The last ones. */
  recentEvents(): readonly NoticeLine[]
  onEvent(listener: (line: NoticeLine) => void): () => void
  shutdown(mode: 'drain' | 'abort'): Promise<void>
  readonly stopped: Promise<void>
}

export type DeployAnswer =
  | {
      readonly ok: true
      readonly name: string
      readonly text: string
      readonly warnings: readonly string[]
    }
  | {
      readonly ok: false
      readonly code: 'invalid' | 'conflict' | 'stopping'
      readonly problems: readonly string[]
    }

export interface OperatorServer {
  readonly socketPath: string
  /** Before this every request but the version is answered with 503. */
  attach(node: OperatedNode): void
}

export interface OperatorServerOptions {
  /** The first that can be listened on is taken. */
  readonly socketPlaces: readonly string[]
  readonly version: () => VersionAnswer
  readonly log: (level: 'info' | 'warn' | 'error', text: string) => void
  /** How often to look whether the socket is still there; for tests. */
  readonly checkMs?: number
}

/** Listens until the scope ends; answers under way get a moment to finish. */
export const makeOperatorServer = (
  options: OperatorServerOptions,
): Effect.Effect<OperatorServer, StateUnusable, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => start(options),
      catch: (error) => error as StateUnusable, // start() throws nothing else
    }),
    ({ close }) => Effect.promise(close),
  )

interface Served {
  readonly node: OperatedNode
  /** Streams that go on until the node stops. */
  readonly followers: Set<LineStream>
}

async function start(
  options: OperatorServerOptions,
): Promise<OperatorServer & { close: () => Promise<void> }> {
  let served: Served | undefined
  const makeServer = (): http.Server =>
    serverOf((request, response) => {
      response.on('error', () => {}) // the client left
      handle(served, options, request, response).catch((error: unknown) => {
        options.log('error', `operator socket: ${messageOf(error)}`)
        fail(response, 'internal', messageOf(error))
      })
    })
  const first = makeServer()
  const socketPath = await listenOnFirst(first, options)
  const door = new Door({ ...options, socketPath, first, makeServer })
  return {
    socketPath,
    attach: (node) => {
      const followers = new Set<LineStream>()
      served = { node, followers }
      void node.stopped.then(() => {
        for (const stream of [...followers]) stream.end()
      })
    },
    close: () => door.close(),
  }
}

async function listenOnFirst(server: http.Server, options: OperatorServerOptions): Promise<string> {
  const reasons: string[] = []
  for (const place of options.socketPlaces) {
    // Only the runtime place can be missing its directory: the state directory was prepared.
    const unfit = place.endsWith('/weir.sock') ? undefined : prepareRuntimeDirectory(place)
    const reason = unfit ?? (await listen(server, place))
    if (reason === undefined) {
      fs.chmodSync(place, 0o600)
      if (reasons.length > 0) {
        options.log('warn', `operator socket: at ${place}, because ${reasons.join('; ')}`)
      }
      return place
    }
    reasons.push(reason)
  }
  const path = options.socketPlaces[0] ?? 'weir.sock'
  throw new StateUnusable({ path, reason: `no operator socket: ${reasons.join('; ')}` })
}

function serverOf(answerRequest: http.RequestListener): http.Server {
  const server = http.createServer(answerRequest)
  server.maxConnections = CONNECTIONS_MAX
  server.on('clientError', (_error, socket) => {
    if (socket.writable) socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    else socket.destroy()
  })
  return server
}

async function handle(
  served: Served | undefined,
  options: OperatorServerOptions,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<void> {
  const route = routeOf(request)
  if (route.type === 'refused') return answer(request, response, route.answer)
  if (route.path === '/v1/version') return send(response, 200, options.version())
  if (served === undefined) return fail(response, 'stopping', 'the node is still starting')
  const { node } = served
  switch (route.path) {
    case '/v1/status':
      return send(response, 200, node.view())
    case '/v1/logs':
      return sendLogs(served, route.url, request, response)
    case '/v1/listeners':
      return send(response, 200, await listeners(node))
    case '/v1/routes':
      return send(response, 200, node.view().routes)
    case '/v1/backends':
      return answer(request, response, await backends(node, route.url))
    case '/v1/flows':
      return answer(request, response, await flows(node, route.url))
    case '/v1/metrics':
      return sendText(response, EXPOSITION_TYPE, await node.metrics())
    case '/v1/events':
      return sendEvents(served, response)
    case '/v1/deployments/NAME/settled':
      return sendSettled(node, route.name, response)
    case '/v1/deployments/NAME':
      return sendReply(response, await node.remove(route.name))
    default:
      return answer(request, response, await post(node, route.path, request, response))
  }
}

/** Requests with a body. Undefined: the answer is under way already. */
async function post(
  node: OperatedNode,
  path: '/v1/deploy' | '/v1/scale' | '/v1/restart' | '/v1/shutdown',
  request: http.IncomingMessage,
  response: http.ServerResponse,
): Promise<Answer | undefined> {
  const body = await readBody(request)
  if (!body.ok) return body.answer
  switch (path) {
    case '/v1/deploy': {
      const source = deploySourceOf(body.value)
      return source.ok ? deployed(await node.deploy(source.value)) : source.answer
    }
    case '/v1/scale': {
      const scale = scaleOf(body.value)
      if (!scale.ok) return scale.answer
      return replied(await node.scale(scale.value.service, scale.value.replicas))
    }
    case '/v1/restart': {
      const restart = restartOf(body.value)
      if (!restart.ok) return restart.answer
      return replied(await node.restart(restart.value.service, restart.value.replica))
    }
    case '/v1/shutdown': {
      const mode = shutdownModeOf(body.value)
      if (!mode.ok) return mode.answer
      sendShutdown(node, mode.value, response)
      return undefined
    }
  }
}

const deployed = (answer: DeployAnswer): Answer => {
  if (answer.ok) {
    const { name, text, warnings } = answer
    return { status: 200, body: { name, text, warnings } }
  }
  const { code, problems } = answer
  const refused = refuse(code, problems[0] ?? 'the deployment was refused', problems)
  return code === 'invalid' ? { ...refused, status: 422 } : refused
}

const replied = (reply: Reply): Answer =>
  reply.ok ? { status: 200, body: { text: reply.text } } : refuse(reply.code, reply.text)

function sendReply(response: http.ServerResponse, reply: Reply): void {
  const { status, body } = replied(reply)
  send(response, status, body)
}

function sendSettled(node: OperatedNode, name: string, response: http.ServerResponse): void {
  const cancel = node.whenSettled(name, (settled) => {
    if (settled === undefined) fail(response, 'not-found', `no deployment "${name}" here`)
    else send(response, 200, settled)
  })
  response.on('close', cancel)
}

function sendLogs(
  { node, followers }: Served,
  url: URL,
  request: http.IncomingMessage,
  response: http.ServerResponse,
): void {
  const asked = logsRequestOf(url.searchParams, node.view())
  if (!asked.ok) return answer(request, response, asked.answer)
  const { filter, tail, follow } = asked.value
  const unknown = unknownLog(filter, node)
  if (unknown !== undefined) return fail(response, 'not-found', unknown)
  // Both in one turn of the event loop: no line is missed and none comes twice.
  const stream = new LineStream(response, node.logs.read({ ...filter, tail }))
  if (!follow) return stream.end()
  stream.onClose(node.logs.follow(filter, (line) => stream.send(line)))
  endWithNode(followers, stream)
}

/** Nothing of that name is here, nor was ever. */
function unknownLog(filter: LogFilter, node: OperatedNode): string | undefined {
  if (isInView(filter, node.view()) || node.logs.read({ ...filter, tail: 1 }).length > 0) {
    return undefined
  }
  return noLogText(filter)
}

async function listeners(node: OperatedNode): Promise<readonly ListenerRow[]> {
  const loads = await loadsSoon(node.listeners)
  return listenerRows(node.view(), loads)
}

async function flows(node: OperatedNode, url: URL): Promise<Answer> {
  const view = node.view()
  const asked = flowsRequestOf(url.searchParams, view)
  if (!asked.ok) return asked.answer
  const { filter, sort, limit } = asked.value
  if (!isInView(filter, view)) return noService(filter)
  const lists = await node.listeners.flows(FLOWS_EXAMINED_MAX)
  return { status: 200, body: flowsAnswer(lists, filter, sort, limit) }
}

async function backends(node: OperatedNode, url: URL): Promise<Answer> {
  const view = node.view()
  const asked = backendsRequestOf(url.searchParams, view)
  if (!asked.ok) return asked.answer
  if (!isInView(asked.value, view)) return noService(asked.value)
  const counts = await countsSoon(node.listeners)
  return { status: 200, body: backendRows(view, counts, asked.value) }
}

function noService({ deployment, service }: LogFilter): Answer {
  const name = [deployment, service].filter((part) => part !== undefined).join('/')
  return refuse('not-found', `no service "${name}" here`)
}

function sendEvents({ node, followers }: Served, response: http.ServerResponse): void {
  const stream = new LineStream(response, node.recentEvents())
  stream.onClose(node.onEvent((line) => stream.send(line)))
  endWithNode(followers, stream)
}

function endWithNode(followers: Set<LineStream>, stream: LineStream): void {
  followers.add(stream)
  stream.onClose(() => followers.delete(stream))
}

function sendShutdown(
  node: OperatedNode,
  mode: 'drain' | 'abort',
  response: http.ServerResponse,
): void {
  const stream = new LineStream(response)
  const progress = async (): Promise<void> => {
    const work = workOf(await loadsSoon(node.listeners))
    stream.offer({ type: 'progress', view: node.view(), work })
  }
  const timer = setInterval(() => void progress(), PROGRESS_MS)
  stream.onClose(() => clearInterval(timer))
  // At least one step, also of a node with nothing to stop.
  const first = progress()
  void Promise.all([node.shutdown(mode), first]).then(() => {
    clearInterval(timer)
    stream.send({ type: 'stopped' })
    stream.end()
  })
}

function answer(
  request: http.IncomingMessage,
  response: http.ServerResponse,
  given: Answer | undefined,
): void {
  if (given === undefined) return
  if (given.allow !== undefined) response.setHeader('Allow', given.allow)
  // Who sent too much may still be sending: the rest is not read.
  if (!request.complete) response.setHeader('Connection', 'close')
  send(response, given.status, given.body)
}

const fail = (response: http.ServerResponse, code: OperatorErrorCode, error: string): void =>
  send(response, STATUS_OF[code], { error, code } satisfies ErrorAnswer)

const send = (response: http.ServerResponse, status: number, body: unknown): void =>
  sendText(response, 'application/json', `${JSON.stringify(body)}\n`, status)

function sendText(response: http.ServerResponse, type: string, text: string, status = 200): void {
  if (response.headersSent || response.destroyed) return
  const bytes = Buffer.from(text, 'utf8')
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': bytes.length })
  response.end(bytes)
}

/** Of clients at once; more wait in the kernel's queue and are turned away by it. */
const CONNECTIONS_MAX = 256
const PROGRESS_MS = 1_000
