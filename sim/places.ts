/**
 * The places at which the node is to be had: what all files together ask for, what cannot be had beside
 * each other, and what there really is.
 */
import { deploymentOf, isAt, metricsWant, ownersOf } from './checkers/ports/rights.ts'
import {
  collide,
  isRequest,
  METRICS,
  sleeps,
  type Want,
  wantsOfFile,
} from './checkers/ports/wanted.ts'
import { serviceOfListener } from './checkers/told.ts'
import type { UdpDoor } from './faults/datagrams.ts'
import { covers, nameOf, OUTER_ADDRESSES } from './faults/host-ports.ts'
import type { FrontDoor } from './faults/listeners.ts'
import { listenersOf, type SimSocket, targetsOf } from './faults/sockets.ts'
import type { Asked } from './workloads/clients.ts'
import type { World } from './world.ts'

interface Places {
  readonly revision: number
  readonly internal: readonly string[]
  readonly wants: readonly Want[]
  /**
   * Another deployment wants the place, too: addresses of the internal network came after both files.
   * Who was first has it, the other waits.
   */
  readonly rivals: ReadonlyMap<Want, Want>
}

/** Looked at again and again while nothing of it changes. */
const known = new WeakMap<World, Places>()

function placesOf(world: World): Places {
  const { operator, internal, options } = world
  const before = known.get(world)
  if (before?.revision === operator.revision && before.internal === internal) return before
  const { metrics } = options.node
  const wants = [
    ...[...operator.wishes.values()].flatMap(({ deployment }) => wantsOfFile(deployment, internal)),
    ...(metrics === null ? [] : [metricsWant(metrics)]),
  ]
  const rivals = new Map<Want, Want>()
  for (const want of wants) {
    const rival = wants.find(
      (each) => collide(want, each) && deploymentOf(each.owner) !== deploymentOf(want.owner),
    )
    if (rival !== undefined) rivals.set(want, rival)
  }
  const places = { revision: operator.revision, internal, wants, rivals }
  known.set(world, places)
  return places
}

/** It is to be listened on, and nothing that the node cannot help is in the way. */
export function isDue(want: Want, wanted: number, world: World): boolean {
  if (want.bind === 'never' || (want.bind === 'published' && wanted === 0)) return false
  return world.ports.has(want.host) && !placesOf(world).rivals.has(want)
}

/** What there is behind a place, for its owner. */
export function doorsAt(want: Want, { listeners }: World): (FrontDoor | UdpDoor)[] {
  return [...listeners.sockets.bound.values()].flatMap(({ held, isEphemeral, use }) => {
    const port = isEphemeral ? 0 : held.port
    if (held.namespace !== want.namespace || port !== want.port) return []
    if (!covers(held, want.host)) return []
    return listenersOf(use).flatMap((id) => {
      if (serviceOfListener(id) !== want.owner) return []
      return listeners.doors.get(id) ?? listeners.datagrams.doors.get(id) ?? []
    })
  })
}

/** Why a deployment, or a service of it, cannot listen everywhere, whatever the node does. */
export function placeExcuse(name: string, world: World): string | undefined {
  const { wants, rivals } = placesOf(world)
  for (const want of wants) {
    const isIts = want.owner === name || deploymentOf(want.owner) === name
    if (!isIts || want.isOptional || want.bind === 'never') continue
    const rival = rivals.get(want)
    if (rival === undefined && world.ports.has(want.host)) continue
    const where = nameOf(want.namespace, want.host, want.port)
    if (rival !== undefined) return `${where} is wanted by ${rival.owner}, too`
    return `this machine lacks the address of ${where}`
  }
  return undefined
}

/** What the world still waits for at places where nobody, or nobody any more, is to be had. */
export function strayPlace(world: World): string | undefined {
  const { wants, rivals } = placesOf(world)
  const bound = [...world.listeners.sockets.bound.values()]
  for (const socket of bound) {
    const why = whyStray(socket, wants, world)
    if (why === undefined) continue
    const { namespace, host, port } = socket.held
    return `socket ${socket.id} on ${nameOf(namespace, host, port)} to be closed, ${why}`
  }
  const metrics = wants.find(({ owner }) => owner === METRICS)
  if (metrics === undefined || rivals.has(metrics)) return undefined
  const isThere = bound.some(
    ({ use, held }) => use.kind === 'metrics' && held.port === metrics.port,
  )
  return isThere ? undefined : 'metrics to be served'
}

function whyStray(
  { held, isEphemeral, use }: SimSocket,
  wants: readonly Want[],
  { operator }: World,
): string | undefined {
  const place = isEphemeral ? { ...held, port: 0 } : held
  const owners = ownersOf({ use })
  const own = wants.filter((want) => owners.includes(want.owner) && isAt(want, place))
  if (own.length === 0) return 'which nobody asks for'
  if (own.some(({ bind }) => bind === 'always')) return undefined
  return own.some(({ owner }) => operator.wanted(owner) > 0) ? undefined : 'which has no backend'
}

export interface Visit extends Pick<Want, 'owner' | 'namespace' | 'port'>, Asked {
  readonly address: string
}

/** Somebody to ask, for each place that is to be served by a service in working order. */
export function placesToVisit(world: World, isWorking: (owner: Want['owner']) => boolean): Visit[] {
  return placesOf(world).wants.flatMap((want) => {
    const { owner, namespace, host, port, route } = want
    const wanted = owner === METRICS ? 0 : world.operator.wanted(owner)
    if (wanted === 0 || !isWorking(owner) || !isDue(want, wanted, world)) return []
    const spec = world.operator.specOf(owner)
    if (namespace === 'udp' && spec !== undefined && sleeps(spec)) return [] // it wakes nobody
    const address = host === '0.0.0.0' ? OUTER_ADDRESSES[0] : host === '::' ? '::1' : host
    const request = want.request ?? (isRequest(route) ? route : undefined)
    const name = request === undefined ? route : undefined
    const serverName = name === '*' ? undefined : name?.replace('*', 'www')
    const ports = port > 0 ? [port] : pickedPorts(want, world)
    return ports.map((each) => ({ owner, namespace, address, port: each, serverName, request }))
  })
}

/** Those that the kernel picked for a place without a number. */
function pickedPorts(want: Want, { listeners }: World): number[] {
  const { namespace, host, owner, route, request } = want
  return [...listeners.sockets.bound.values()].flatMap(({ isEphemeral, held, use }) => {
    if (!isEphemeral || held.namespace !== namespace || held.host !== host) return []
    if (!ownersOf({ use }).includes(owner)) return []
    // Of several without a number, the one that speaks the same, and answers to the name.
    const isAlike =
      use.kind !== 'tcp' ||
      targetsOf(use).some(({ tls, serverName, request: asked }) =>
        asked !== undefined
          ? asked === request
          : tls === 'off'
            ? route === undefined
            : route === (serverName ?? '*'),
      )
    return isAlike ? held.port : []
  })
}
