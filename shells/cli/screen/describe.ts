/** The node's view as tables, and the small phrases around them. Pure. */
import type { NodeView, ReplicaView, ServiceView } from '../../../core/node/view.ts'
import { type Cell, type Column, type Style, type TableLook, tableLines } from './table.ts'
import { plainLine } from './width.ts'

/** One line for each service, with addresses that somebody on this machine can open. */
export function serviceLines(view: NodeView, look: TableLook): string[] {
  const name = serviceNames(view)
  const rows = view.services.map((service) =>
    serviceRow(name(service), service, endpointsOf(service, reachable).join(' ')),
  )
  return tableLines(SERVICE_COLUMNS, rows, look)
}

/** One line for each endpoint, with the address that is listened on. */
export function statusLines(view: NodeView, look: TableLook): string[] {
  const name = serviceNames(view)
  const rows = view.services.flatMap((service) => {
    const [first = '', ...others] = endpointsOf(service, (url) => url)
    const blank = { text: '' }
    return [
      serviceRow(name(service), service, first),
      ...others.map((text) => [blank, blank, blank, blank, { text }, blank]),
    ]
  })
  return tableLines(SERVICE_COLUMNS, rows, look)
}

const serviceRow = (name: string, service: ServiceView, endpoints: string): Cell[] => [
  { text: name },
  { text: `${service.replicas.ready}/${service.replicas.wanted}` },
  { text: service.state, style: SERVICE_STYLE[service.state] },
  { text: String(service.restarts) },
  { text: endpoints },
  { text: service.detail },
]

export function replicaLines(view: NodeView, look: TableLook): string[] {
  const name = serviceNames(view)
  const rows = view.replicas.map((replica) => [
    { text: `${name(replica)}-${replica.number}` },
    { text: replica.role === 'default' ? '' : replica.role },
    { text: replica.state },
    { text: replica.health, style: HEALTH_STYLE[replica.health] },
    { text: replica.pid === undefined ? '' : String(replica.pid) },
    { text: addressesOf(replica) },
    { text: String(replica.restarts) },
    { text: replica.ageMs === undefined ? '' : durationText(replica.ageMs) },
    { text: replica.detail },
  ])
  return tableLines(REPLICA_COLUMNS, rows, look)
}

/** The URL as somebody on this machine can open it: nobody can connect to "every address". */
export const reachable = (url: string): string =>
  url.replace('://0.0.0.0:', '://127.0.0.1:').replace('://[::]:', '://[::1]:')

/**
 * URLs for people, each once: a mapping may lead to where the endpoint is already. One without a port
 * of its own yet says so instead of `:0`.
 */
export const endpointsOf = (
  { endpoints }: Pick<ServiceView, 'endpoints'>,
  address: (url: string) => string,
): string[] => [...new Set(endpoints.map((url) => address(url).replace(/:0$/, ' (no port)')))]

/** The short name where only one deployment has it, else `deployment/service`. */
export function serviceNames(view: {
  readonly services: readonly Pick<ServiceView, 'deployment' | 'service'>[]
}): (of: { readonly deployment: string; readonly service: string }) => string {
  const owners = new Map<string, number>()
  for (const { service } of view.services) owners.set(service, (owners.get(service) ?? 0) + 1)
  return ({ deployment, service }) =>
    (owners.get(service) ?? 0) > 1 ? `${deployment}/${service}` : service
}

/** Likewise among rows that each name their service; those of no service count for nothing. */
export function namesAmong(
  rows: readonly { readonly deployment: string; readonly service: string }[],
): ReturnType<typeof serviceNames> {
  const services = new Map(
    rows.map(({ deployment, service }) => [`${deployment}/${service}`, { deployment, service }]),
  )
  return serviceNames({ services: [...services.values()] })
}

/** Who is waited for while a node stops: `web-1 (draining, at most 28s), web-2 and 3 more`. */
export function waitingFor(view: NodeView): string {
  const name = serviceNames(view)
  return namesText(view.replicas.map((replica) => replicaText(name(replica), replica)))
}

/**
 * What a deployment is not done with: `waiting for hello: web-1 (draining, at most 28s), db (waiting)`.
 * Replicas that come, go or are not well, and services for which no replica says it.
 */
export function waitingText(view: NodeView, deployment: string): string {
  const name = serviceNames(view)
  const isOurs = (each: { readonly deployment: string }) => each.deployment === deployment
  const restless = view.replicas.filter((each) => isOurs(each) && !isAtRest(each))
  const spokenFor = new Set(restless.map(({ service }) => service))
  const behind = view.services.filter(
    (each) => isOurs(each) && !isSettled(each) && !spokenFor.has(each.service),
  )
  const names = namesText([
    ...restless.map((each) => replicaText(name(each), each)),
    ...behind.map((each) => `${name(each)} (${each.state})`),
  ])
  return plainLine(`waiting for ${deployment}${names === '' ? '' : `: ${names}`}`)
}

/** Nothing is waited for. */
export const isSettled = ({ state }: Pick<ServiceView, 'state'>): boolean =>
  state === 'healthy' || state === 'idle' || state === 'asleep'

const isAtRest = ({ state, health }: ReplicaView): boolean =>
  state === 'ready' && health === 'healthy'

function replicaText(name: string, { number, state, health, limitMs }: ReplicaView): string {
  const limit = limitMs === undefined ? '' : `, at most ${durationText(limitMs)}`
  const ails = state === 'ready' && health === 'unhealthy' ? ', unhealthy' : ''
  return `${name}-${number} (${state}${ails}${limit})`
}

function namesText(names: readonly string[]): string {
  const more = names.length - NAMES_MAX
  const shown = names.slice(0, NAMES_MAX).join(', ')
  return more > 0 ? `${shown} and ${more} more` : shown
}

/** `0s`, `59s`, `3m12s`, `2h05m`, `4d03h`: the two largest units. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1_000))
  if (seconds < 60) return `${seconds}s`
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m${twoDigits(seconds % 60)}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours}h${twoDigits(minutes % 60)}m`
  return `${Math.floor(hours / 24)}d${twoDigits(hours % 24)}h`
}

/** `1 replica`, `3 replicas`. */
export const countText = (count: number, noun: string): string =>
  `${count} ${noun}${count === 1 ? '' : 's'}`

const NAMES_MAX = 4

const twoDigits = (value: number): string => String(value).padStart(2, '0')

function addressesOf(replica: ReplicaView): string {
  const entries = Object.entries(replica.addresses)
  if (entries.length === 1) return entries[0]![1]
  return entries.map(([endpoint, address]) => `${endpoint}=${address}`).join(' ')
}

const SERVICE_STYLE: Record<ServiceView['state'], Style> = {
  waiting: 'yellow',
  starting: 'yellow',
  updating: 'yellow',
  healthy: 'green',
  degraded: 'yellow',
  unhealthy: 'red',
  idle: 'dim',
  asleep: 'dim',
  failed: 'red',
  stopping: 'dim',
}

const HEALTH_STYLE: Record<ReplicaView['health'], Style> = {
  unknown: 'yellow',
  healthy: 'green',
  unhealthy: 'red',
}

const SERVICE_COLUMNS: readonly Column[] = [
  { title: 'SERVICE', flexible: true },
  { title: 'READY', align: 'right' },
  { title: 'STATE' },
  { title: 'RESTARTS', align: 'right' },
  { title: 'ENDPOINTS', flexible: true },
  { title: 'DETAIL', flexible: true },
]

const REPLICA_COLUMNS: readonly Column[] = [
  { title: 'REPLICA', flexible: true },
  { title: 'ROLE' },
  { title: 'STATE' },
  { title: 'HEALTH' },
  { title: 'PID', align: 'right' },
  { title: 'ADDRESS', flexible: true },
  { title: 'RESTARTS', align: 'right' },
  { title: 'AGE', align: 'right' },
  { title: 'DETAIL', flexible: true },
]
