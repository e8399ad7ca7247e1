/**
 * The host ports of services: what becomes of what was asked of the ledger. Every socket leads to
 * listeners; which ones is decided here and told to the shell.
 */
import { canonicalJson } from '../../journal/canonical-json.ts'
import { assert, unreachable } from '../../machine.ts'
import type { Owner } from '../../publish/claim.ts'
import type { LedgerCommand } from '../../publish/commands.ts'
import type { LedgerEvent, SocketId } from '../../publish/events.ts'
import { describeConflict } from '../../publish/ledger.ts'
import type { SocketView } from '../../publish/view.ts'
import type { ServiceKey } from '../../services/identity.ts'
import { speaksHttp } from '../../services/port-mappings.ts'
import type { ServiceSpec } from '../../spec/deployment.ts'
import { redirectPortOf } from '../../spec/redirect.ts'
import type { HttpDoorway, HttpRouteUse, SocketUse, TcpRoute } from '../commands.ts'
import type { SocketEvent } from '../events.ts'
import type { Listener, Service, Step } from '../state.ts'
import { claimPorts } from './claims.ts'
import { tlsOf } from './doors.ts'
import { letGo, renewListener } from './listeners.ts'

/** Own what the node itself listens on. No service can have the names: a key has a slash. */
export const METRICS_OWNER: Owner = 'node:metrics'
export const CHALLENGES_OWNER: Owner = 'node:challenges'

/** For people. */
const OWN_SOCKETS: ReadonlyMap<Owner, string> = new Map([
  [METRICS_OWNER, 'metrics'],
  [CHALLENGES_OWNER, 'challenges of ACME'],
])

/** One event into the ledger, and all that follows. */
export function driveLedger(step: Step, event: LedgerEvent): void {
  const { state, now } = step
  const commands: LedgerCommand[] = []
  state.ledger.step(event, now, commands)
  let isFreed = false
  for (const command of commands) {
    if (command.type === 'freed') isFreed = true
    obeyLedger(step, command)
  }
  const deadline = state.ledger.deadline()
  if (deadline === undefined) state.timers.cancel('ledger')
  else state.timers.set('ledger', deadline)
  if (isFreed && state.deferred.size > 0) claimPorts(step, [])
}

function obeyLedger(step: Step, command: LedgerCommand): void {
  const { out } = step
  switch (command.type) {
    case 'bind': {
      const { socket, attempt, host, port } = command
      const use = useOf(step, socket)
      assert(use !== undefined, `socket ${socket} is bound for nobody`)
      setUse(step, socket, use)
      out.push({ type: 'bind-socket', socket, attempt, host, port, use })
      return
    }
    case 'unbind': {
      const { socket, attempt } = command
      out.push({ type: 'unbind-socket', socket, attempt })
      return renewListeners(step, socket)
    }
    case 'carries':
      return refreshUse(step, command.socket)
    case 'listening':
      return onListening(step, command.socket)
    case 'listen-failed':
      return onListenFailed(step, command.socket, command.isNews)
    case 'freed':
      return setUse(step, command.socket, undefined)
    case 'claimed':
      return
    case 'refused': {
      const text = command.isFull
        ? 'the node has as many ports as it can keep account of; fewer replicas or endpoints are needed'
        : command.conflicts.map(describeConflict).join('; ')
      out.push({ type: 'notice', level: 'error', code: 'listen-failed', text })
      return
    }
    default:
      return unreachable(command)
  }
}

export function onSocketEvent(step: Step, event: SocketEvent): void {
  const { socket, attempt } = event
  switch (event.type) {
    case 'socket-bound': {
      const port = Number(event.address.slice(event.address.lastIndexOf(':') + 1))
      return driveLedger(step, { type: 'bound', socket, attempt, port })
    }
    case 'socket-failed':
      return driveLedger(step, { ...event, type: 'bind-failed' })
    case 'socket-unbound':
      return driveLedger(step, { type: 'unbound', socket, attempt })
    default:
      return unreachable(event)
  }
}

function onListening(step: Step, id: SocketId): void {
  const socket = socketOf(step, id)
  const text = `listens on ${addressOf(socket)}`
  // One word for each pair of families.
  const isMinor = isOptional(socket)
  for (const { listener, name } of usersOf(step, socket)) {
    step.state.toJudge.add(listener.service)
    if (!isMinor) notice(step, 'info', 'listening', listener, `${name} ${text}`)
  }
  for (const what of ownUses(socket)) {
    if (isMinor) continue
    step.out.push({ type: 'notice', level: 'info', code: 'listening', text: `${what} ${text}` })
  }
}

function onListenFailed(step: Step, id: SocketId, isNews: boolean): void {
  const socket = socketOf(step, id)
  const text = `cannot listen on ${addressOf(socket)}: ${socket.reason}; retrying`
  for (const { listener, name } of usersOf(step, socket)) {
    step.state.toJudge.add(listener.service)
    if (isNews && socket.state !== 'absent') {
      notice(step, 'error', 'listen-failed', listener, `${name} ${text}`)
    }
  }
  for (const what of ownUses(socket)) {
    if (!isNews || socket.state === 'absent') continue
    const code = 'listen-failed'
    step.out.push({ type: 'notice', level: 'error', code, text: `${what}: ${text}` })
  }
}

// Where sockets lead

/** After a change of listeners: what comes in goes where the file says now. */
export function refreshUses(step: Step, owner: Owner): void {
  for (const { id } of step.state.ledger.socketsOf(owner)) refreshUse(step, id)
}

function refreshUse(step: Step, id: SocketId): void {
  const before = step.state.uses.get(id)
  const use = useOf(step, id)
  // Not bound yet, or on its way out.
  if (before === undefined || use === undefined) return
  if (canonicalJson(before) === canonicalJson(use)) return
  const { state } = socketOf(step, id)
  // One that failed is told when it is tried again.
  const isThere = state === 'binding' || state === 'listening'
  // First: a listener that nothing leads to any more is closed at once.
  if (isThere) step.out.push({ type: 'route-socket', socket: id, use })
  setUse(step, id, use)
}

/** Undefined for a socket that nobody uses any more. */
function useOf(step: Step, id: SocketId): SocketUse | undefined {
  const { state } = step
  const socket = socketOf(step, id)
  if (socket.carries.some(({ owner }) => owner === METRICS_OWNER)) return { kind: 'metrics' }
  const users = usersOf(step, socket).map(({ listener }) => listener)
  const [first] = users
  if (first === undefined) return isForChallenges(socket) ? EMPTY_DOORWAY : undefined
  if (socket.namespace === 'udp') {
    // One that is led to stays while it is there, whichever claim the socket is for: flows belong to
    // their socket.
    const present = state.uses.get(id)
    const isThere = present?.kind === 'udp' && state.listeners.has(present.listener)
    return isThere ? present : { kind: 'udp', listener: first.id }
  }
  const routes = speaksHttp(first.endpoint) ? [doorwayOf(step, users)] : routesOf(users)
  const proxies = users.flatMap(({ endpoint }) => endpoint.stream.acceptProxyProtocol)
  const acceptProxyProtocol = [...new Set(proxies)].sort()
  const greetingsMax = Math.max(...users.map(({ endpoint }) => endpoint.stream.connectionsMax))
  return { kind: 'tcp', acceptProxyProtocol, greetingsMax, routes }
}

/** Of one host and path the first one has it all: there are two only while one takes over. */
function doorwayOf({ state }: Step, users: readonly Listener[]): HttpDoorway {
  const routes = new Map<string, HttpRouteUse>()
  for (const { id: listener, service: key, endpoint } of users) {
    const { host, path, http } = endpoint
    const place = `${host ?? '*'}${path}`
    if (!speaksHttp(endpoint) || routes.has(place)) continue
    const service = state.services.get(key)
    const redirectTo =
      http?.redirectHttps === true && service !== undefined
        ? redirectPortOf(specsOf(state, service), service.name, endpoint)
        : undefined
    routes.set(place, {
      listener,
      path,
      ...(host === undefined ? {} : { host }),
      ...(redirectTo === undefined ? {} : { redirectTo }),
    })
  }
  const http = [...routes].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, route]) => route)
  const specs = users.flatMap(({ endpoint }) => endpoint.http ?? [])
  return {
    tls: users[0]!.endpoint.protocol === 'https' ? 'terminate' : 'off',
    http,
    headTimeoutMs: Math.max(...specs.map((each) => each.headTimeoutMs)),
    headBytesMax: Math.max(...specs.map((each) => each.headBytesMax)),
    idleTimeoutMs: Math.max(...specs.map((each) => each.idleTimeoutMs)),
  }
}

/** What else is deployed with it. */
function specsOf(
  { deployments, services }: Step['state'],
  { deployment }: Service,
): Readonly<Record<string, ServiceSpec>> {
  const keys = [...(deployments.get(deployment)?.services ?? [])].sort()
  return Object.fromEntries(
    keys.flatMap((key) => {
      const service = services.get(key)
      return service === undefined ? [] : [[service.name, service.spec]]
    }),
  )
}

/** Without TLS there is nothing to tell listeners apart by: the first one has it all. */
function routesOf(users: readonly Listener[]): readonly TcpRoute[] {
  const routes = new Map<string, TcpRoute>()
  for (const { id: listener, endpoint } of users) {
    const tls = tlsOf(endpoint)
    if (tls === 'off' && routes.size > 0) continue
    const { host } = endpoint
    const serverName = tls === 'off' ? undefined : host
    if (routes.has(serverName ?? '')) continue
    routes.set(serverName ?? '', {
      listener,
      tls,
      ...(serverName === undefined ? {} : { serverName }),
    })
    if (tls === 'off') break
  }
  return [...routes.values()]
}

/** Who is reached at the same place again, or at another one, is another listener. */
function renewListeners(step: Step, id: SocketId): void {
  const use = step.state.uses.get(id)
  const listener = use?.kind === 'udp' ? step.state.listeners.get(use.listener) : undefined
  if (listener !== undefined) renewListener(step, listener)
}

/** A listener lets go when the last socket that led to it does. */
function setUse(step: Step, id: SocketId, use: SocketUse | undefined): void {
  const { state } = step
  const before = listenersIn(state.uses.get(id))
  if (use === undefined) state.uses.delete(id)
  else state.uses.set(id, use)
  const now = listenersIn(use)
  for (const listener of now) state.listeners.get(listener)?.sockets.add(id)
  for (const gone of before) {
    const listener = now.includes(gone) ? undefined : state.listeners.get(gone)
    if (listener === undefined) continue
    listener.sockets.delete(id)
    letGo(step, listener)
  }
}

export function listenersIn(use: SocketUse | undefined): readonly Listener['id'][] {
  if (use?.kind === 'udp') return [use.listener]
  if (use?.kind !== 'tcp') return []
  const ids = use.routes.flatMap((route) =>
    'http' in route ? route.http.map(({ listener }) => listener) : [route.listener],
  )
  return [...new Set(ids)]
}

const isForChallenges = ({ carries }: SocketView): boolean =>
  carries.some(({ owner }) => owner === CHALLENGES_OWNER)

/** Nobody is behind it but the node, which answers challenges at every doorway. */
const EMPTY_DOORWAY: SocketUse = {
  kind: 'tcp',
  acceptProxyProtocol: [],
  greetingsMax: 10_000,
  routes: [
    { tls: 'off', http: [], headTimeoutMs: 10_000, headBytesMax: 32_768, idleTimeoutMs: 10_000 },
  ],
}

// What others ask

/** What of the node itself a socket is for. */
const ownUses = ({ carries }: SocketView): readonly string[] =>
  carries.flatMap(({ owner }) => OWN_SOCKETS.get(owner) ?? [])

/** The listeners that a socket is for, those that decide first. */
function usersOf(
  { state }: Pick<Step, 'state'>,
  { carries }: SocketView,
): readonly { readonly listener: Listener; readonly name: string }[] {
  return carries.flatMap(({ owner, claim }) => {
    for (const id of state.services.get(owner as ServiceKey)?.listeners ?? []) {
      const listener = state.listeners.get(id)
      if (listener?.claims.has(claim.id) !== true) continue
      return [{ listener, name: `${listener.service}/${listener.endpoint.name}` }]
    }
    return []
  })
}

function socketOf({ state }: Pick<Step, 'state'>, id: SocketId): SocketView {
  const socket = state.ledger.socket(id)
  assert(socket !== undefined, `the ledger spoke of socket ${id}, which is not there`)
  return socket
}

export const addressOf = ({ host, port }: Pick<SocketView, 'host' | 'port'>): string =>
  `${host.includes(':') ? `[${host}]` : host}:${port}`

export const isOptional = ({ carries }: SocketView): boolean =>
  carries.every(({ claim }) => claim.isOptional === true)

/** The machine lacks the address, as far as is known, and nobody minds. */
export const isMissed = ({ state, failedAs }: SocketView): boolean =>
  failedAs === 'absent' && (state === 'absent' || state === 'binding' || state === 'waiting')

/** `cannot listen on 0.0.0.0:80: address in use, held by nginx (pid 71)`; empty when it does. */
export const problemOfSocket = (socket: SocketView): string =>
  !isMissed(socket) &&
  (socket.state === 'retrying' || (socket.state === 'binding' && socket.failures > 0))
    ? `cannot listen on ${addressOf(socket)}: ${socket.reason}`
    : ''

function notice(
  { out }: Step,
  level: 'info' | 'error',
  code: 'listening' | 'listen-failed',
  { service }: Listener,
  text: string,
): void {
  out.push({ type: 'notice', level, code, service, text })
}
