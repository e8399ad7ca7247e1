/** The node's view as tables, and the small phrases around them. Pure. */
import type { ListenerView, NodeView, ReplicaView, ServiceView } from '../../../core/node/view.ts'
import { type Column, type Style, type TableLook, tableLines } from './table.ts'

export function serviceLines(view: NodeView, look: TableLook): string[] {
  const name = serviceNames(view)
  const rows = view.services.map((service) => [
    { text: name(service) },
    { text: `${service.replicas.ready}/${service.replicas.wanted}` },
    { text: service.state, style: SERVICE_STYLE[service.state] },
    { text: String(service.restarts) },
    { text: service.endpoints.map(reachable).join(' ') },
    { text: service.detail },
  ])
  return tableLines(SERVICE_COLUMNS, rows, look)
}

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

export function listenerLines(view: NodeView, look: TableLook): string[] {
  const name = serviceNames(view)
  const rows = view.listeners.map((listener) => [
    { text: listener.address },
    { text: listener.protocol },
    { text: name(listener) },
    { text: listener.endpoint },
    { text: listener.state, style: LISTENER_STYLE[listener.state] },
    { text: backendsText(listener) },
    { text: listener.detail },
  ])
  return tableLines(LISTENER_COLUMNS, rows, look)
}

/** The URL as somebody on this machine can open it: nobody can connect to "every address". */
export const reachable = (url: string): string => url.replace('://0.0.0.0:', '://127.0.0.1:')

/** The short name where only one deployment has it, else `deployment/service`. */
export function serviceNames(view: {
  readonly services: readonly Pick<ServiceView, 'deployment' | 'service'>[]
}): (of: { readonly deployment: string; readonly service: string }) => string {
  const owners = new Map<string, number>()
  for (const { service } of view.services) owners.set(service, (owners.get(service) ?? 0) + 1)
  return ({ deployment, service }) =>
    (owners.get(service) ?? 0) > 1 ? `${deployment}/${service}` : service
}

/** Who is waited for while a node stops: `web-1 (draining, at most 28s), web-2 and 3 more`. */
export function waitingFor(view: NodeView, namesMax: number = 4): string {
  const name = serviceNames(view)
  const shown = view.replicas.slice(0, namesMax).map((replica) => {
    const limit = replica.limitMs === undefined ? '' : `, at most ${durationText(replica.limitMs)}`
    return `${name(replica)}-${replica.number} (${replica.state}${limit})`
  })
  const more = view.replicas.length - shown.length
  return more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ')
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

const twoDigits = (value: number): string => String(value).padStart(2, '0')

function addressesOf(replica: ReplicaView): string {
  const entries = Object.entries(replica.addresses)
  if (entries.length === 1) return entries[0]![1]
  return entries.map(([endpoint, address]) => `${endpoint}=${address}`).join(' ')
}

/** `3`, or `2/3` when not all take traffic. */
function backendsText({ backends, members }: ListenerView): string {
  const up = members.filter(({ isUp }) => isUp).length
  return up === backends ? String(backends) : `${up}/${backends}`
}

const SERVICE_STYLE: Record<ServiceView['state'], Style> = {
  waiting: 'yellow',
  starting: 'yellow',
  updating: 'yellow',
  healthy: 'green',
  degraded: 'yellow',
  unhealthy: 'red',
  idle: 'dim',
  failed: 'red',
  stopping: 'dim',
}

const HEALTH_STYLE: Record<ReplicaView['health'], Style> = {
  unknown: 'yellow',
  healthy: 'green',
  unhealthy: 'red',
}

const LISTENER_STYLE: Record<ListenerView['state'], Style> = {
  opening: 'yellow',
  listening: 'green',
  retrying: 'red',
  closing: 'dim',
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

const LISTENER_COLUMNS: readonly Column[] = [
  { title: 'ADDRESS' },
  { title: 'PROTOCOL' },
  { title: 'SERVICE', flexible: true },
  { title: 'ENDPOINT', flexible: true },
  { title: 'STATE' },
  { title: 'BACKENDS', align: 'right' },
  { title: 'DETAIL', flexible: true },
]
