/** What must hold among the keys of one service. */
import { namespaceOf, targetOf } from '../../services/port-mappings.ts'
import { portVariable } from '../../services/program.ts'
import type { CommandSpec, EndpointSpec, PortMappingSpec, ServiceSpec } from '../deployment.ts'
import type { Path } from '../problem.ts'
import type { Reading } from '../schema/reading.ts'
import { checkEndpointHealth } from './endpoint-health.ts'
import { checkVariables } from './variables.ts'
import { writtenAt } from './written.ts'

/** `tree` is the file as it was written. */
export function checkService(spec: ServiceSpec, tree: unknown, reading: Reading): void {
  const path = reading.pathOf(spec)
  checkSchedule(spec, path, reading)
  reportTwice(spec.endpoints, (each) => each.name, 'name', 'an endpoint', reading)
  reportTwice(spec.replicaGroups, (each) => each.role, 'role', 'a replica group', reading)
  reportTwice(spec.storage, (each) => each.target, 'target', 'a storage entry', reading)
  if (!reading.isSpoilt([...path, 'replica_groups'])) checkGroups(spec, path, reading)
  checkTargets(spec, tree, path, reading)
  checkSleep(spec, path, reading)
  checkUpdate(spec, path, reading)
  checkEndpointHealth(spec, tree, reading)
  const known = !reading.isSpoilt([...path, 'runtime']) && !reading.isSpoilt([...path, 'image'])
  if (known) checkRuntime(spec, tree, path, reading)
}

function checkSchedule({ rtype, schedule }: ServiceSpec, path: Path, reading: Reading): void {
  const at = [...path, 'schedule']
  if (reading.isSpoilt(at) || reading.isSpoilt([...path, 'rtype'])) return
  if (rtype === 'cron' && schedule === undefined) {
    reading.report(path, 'missing key schedule: a cron needs one, such as "0 30 2 * * *"')
  }
  if (rtype !== 'cron' && schedule !== undefined) {
    reading.report(at, `schedule is for rtype: cron, and this is a ${rtype}`)
  }
}

/** An endpoint may lead to the port of another one, of the same kind as far as the kernel tells. */
function checkTargets(
  { endpoints }: ServiceSpec,
  tree: unknown,
  path: Path,
  reading: Reading,
): void {
  // endpoints that could not be read included
  const written = writtenAt(tree, [...path, 'endpoints'])
  const names = Array.isArray(written)
    ? written.map((_, at) => writtenAt(written, [at, 'name']))
    : []
  for (const endpoint of endpoints) {
    const { targetEndpoint: target, targetPort, name } = endpoint
    if (target === undefined) continue
    const other = endpoints.find((each) => each.name === target)
    if (other === undefined && !names.every((name) => isText(name) && name !== target)) continue
    const fault =
      other === undefined
        ? `target ${target} is no endpoint of the service${reading.didYouMean(target, names.filter(isText))}`
        : target === name
          ? 'target must be another endpoint; remove it'
          : targetPort !== undefined
            ? 'target and target_port say two things; remove one of them'
            : other.targetEndpoint !== undefined
              ? `target ${target} leads to ${other.targetEndpoint} itself; write target: ${other.targetEndpoint}`
              : namespaceOf(other) === namespaceOf(endpoint)
                ? undefined
                : `target ${target} is ${other.protocol}, and this is ${endpoint.protocol}`
    if (fault !== undefined) reading.report([...reading.pathOf(endpoint), 'target'], fault, 'value')
  }
}

const isText = (value: unknown): value is string => typeof value === 'string'

/** What is at zero replicas is woken by those who come to its ports, but not by datagrams. */
function checkSleep(spec: ServiceSpec, path: Path, reading: Reading): void {
  const { rtype, scale, endpoints, portMappings } = spec
  if (rtype !== 'service' || scale.mode !== 'adaptive' || scale.min > 0) return
  const places = ['scale', 'endpoints', 'port_mappings']
  if (places.some((key) => reading.isSpoilt([...path, key]))) return
  if ([...endpoints, ...portMappings].some(({ protocol }) => protocol !== 'udp')) return
  const has = endpoints.length + portMappings.length === 0 ? 'no endpoint' : 'udp endpoints only'
  const advice = 'write min: 1, or add an http, https, websocket or tcp endpoint'
  const message = `min (0) needs somebody who wakes it, and it has ${has}; ${advice}`
  reading.report([...path, 'scale', 'min'], message, 'value')
}

/** Each name once; the later one is at fault. */
function reportTwice<T extends object>(
  items: readonly T[],
  nameOf: (item: T) => string,
  key: string,
  what: string,
  reading: Reading,
): void {
  const seen = new Set<string>()
  for (const item of items) {
    const name = nameOf(item)
    if (seen.has(name)) {
      const at = [...reading.pathOf(item), key]
      reading.report(at, `${key} ${name} is given twice; each is for ${what} of its own`, 'value')
    }
    seen.add(name)
  }
}

/** Groups say how many replicas there are, and endpoints may choose one of them (services W9). */
function checkGroups(spec: ServiceSpec, path: Path, reading: Reading): void {
  const { replicaGroups: groups, scale, endpoints } = spec
  const roles = new Set(groups.map(({ role }) => role))
  for (const endpoint of endpoints) {
    const { targetRole } = endpoint
    if (targetRole === undefined || roles.has(targetRole)) continue
    const hint =
      roles.size === 0
        ? '; the service has no replica_groups'
        : reading.didYouMean(targetRole, roles) || `; the roles are ${[...roles].join(', ')}`
    const at = [...reading.pathOf(endpoint), 'target_role']
    reading.report(at, `no replica group has the role ${targetRole}${hint}`, 'value')
  }
  if (groups.length === 0 || reading.isSpoilt([...path, 'scale'])) return
  const sum = groups.reduce((total, { count }) => total + count, 0)
  const advice = `leave scale out, or write { mode: fixed, replicas: ${sum} }`
  if (scale.mode !== 'fixed') {
    const at = [...path, 'scale', 'mode']
    reading.report(at, `replica_groups fix the number of replicas at ${sum}; ${advice}`, 'value')
  } else if (scale.replicas !== sum) {
    const at = [...path, 'scale', 'replicas']
    const counts = `replica_groups add up to ${sum}, and scale says ${scale.replicas}`
    reading.report(at, `${counts}; ${advice}`, 'value')
  }
}

function checkUpdate({ update }: ServiceSpec, path: Path, reading: Reading): void {
  const at = [...path, 'update']
  if (reading.isSpoilt(at) || update.surgeMax > 0 || update.unavailableMax > 0) return
  reading.report(
    at,
    'max_surge and max_unavailable are both 0, so no replica could ever be replaced; raise one of them',
  )
}

function checkRuntime(spec: ServiceSpec, tree: unknown, path: Path, reading: Reading): void {
  if (spec.runtime !== 'process') {
    if (spec.image !== undefined) return
    const runtime = `runtime ${spec.runtime} needs an image`
    const advice = 'add image: { name: ... }, or write runtime: process'
    reading.report([...path, 'runtime'], `${runtime}; ${advice}`, 'value')
    return
  }
  checkCommands(spec, tree, path, reading)
  checkVariables(spec, tree, path, reading)
  checkOwnPorts(spec, path, reading)
  const variables = new Map<string, string>()
  for (const { name, ...endpoint } of spec.endpoints.map(withPlace(reading))) {
    const variable = portVariable(name)
    const other = variables.get(variable)
    if (other !== undefined && other !== name) {
      const clash = `endpoints ${other} and ${name} would both be told their port in ${variable}`
      reading.report([...endpoint.at, 'name'], `${clash}; rename one`, 'value')
    }
    variables.set(variable, other ?? name)
  }
}

const withPlace =
  (reading: Reading) =>
  (endpoint: EndpointSpec): { name: string; at: Path } => ({
    name: endpoint.name,
    at: reading.pathOf(endpoint),
  })

/** Every replica needs something to run: the service's command, or its group's. */
function checkCommands(spec: ServiceSpec, tree: unknown, path: Path, reading: Reading): void {
  const at = [...path, 'command']
  if (reading.isSpoilt(at)) return
  const advice = 'say what to run, such as command: [node, server.mjs], or give an image'
  const empty = 'command is empty, it names no program'
  const isGiven = writtenAt(tree, at) !== undefined
  if (spec.replicaGroups.length === 0) {
    if (!isEmpty(spec.command) || reading.isSpoilt([...path, 'replica_groups'])) return
    if (isGiven) reading.report(at, `${empty}; ${advice}`)
    else reading.report(path, `missing key command: without an image this is a process; ${advice}`)
    return
  }
  for (const group of spec.replicaGroups) {
    const own = reading.pathOf(group)
    if (reading.isSpoilt([...own, 'command'])) continue
    if (group.command !== undefined) {
      if (isEmpty(group.command)) reading.report([...own, 'command'], `${empty}; ${advice}`)
    } else if (isEmpty(spec.command) && isGiven) {
      reading.report(at, `${empty}, and role ${group.role} has no other; ${advice}`)
      return
    } else if (isEmpty(spec.command)) {
      const neither = `role ${group.role} has no command, and neither has the service`
      reading.report(own, `${neither}; ${advice}`)
    }
  }
}

const isEmpty = ({ entrypoint, args }: CommandSpec): boolean =>
  entrypoint.length + args.length === 0

/** A program that chooses its own port can run once only. */
function checkOwnPorts(spec: ServiceSpec, path: Path, reading: Reading): void {
  // whether a mapping leads to an endpoint cannot be told while one of them is not understood
  const endpointsKnown = !reading.isSpoilt([...path, 'endpoints'])
  const scaleKnown = !reading.isSpoilt([...path, 'scale'])
  const own = spec.endpoints.filter(({ targetPort }) => targetPort !== undefined)
  for (const endpoint of own) {
    const count = replicasMost(spec, endpoint.targetRole)
    if (count <= 1 || !scaleKnown) continue
    const at = [...reading.pathOf(endpoint), 'target_port']
    const why = `${count} replicas of a process cannot all listen on port ${endpoint.targetPort}`
    reading.report(at, `${why}; remove target_port and let the program listen on $PORT`, 'value')
  }
  const besides = spec.portMappings.filter(
    (each) => endpointsKnown && 'port' in targetOf(each, spec.endpoints),
  )
  const count = replicasMost(spec, undefined)
  for (const mapping of besides) {
    if (count <= 1 || !scaleKnown) continue
    const at = [...reading.pathOf(mapping), 'container_port']
    const why = `${count} replicas of a process cannot all listen on port ${mapping.containerPort}`
    reading.report(at, `${why}; ${endpointAdvice(mapping, spec.endpoints)}`, 'value')
  }
  const at = [...path, 'update', 'max_surge']
  if (spec.update.surgeMax === 0 || reading.isSpoilt(at)) return
  const [key, cure] =
    own.length > 0 ? ['target_port', 'remove the target_port'] : ['container_port', MAPPED_CURE]
  if (own.length === 0 && besides.length === 0) return
  const why = `${key} lets one replica run at a time, so an update cannot add one`
  reading.report(at, `${why}; write max_surge: 0 or ${cure}`, 'value')
}

const MAPPED_CURE = "map an endpoint's port"

function endpointAdvice(mapping: PortMappingSpec, endpoints: readonly EndpointSpec[]): string {
  const first = endpoints.find((each) => namespaceOf(each) === mapping.protocol)
  return first === undefined
    ? `add a ${mapping.protocol} endpoint with this port, and let the program listen on $PORT`
    : `write an endpoint's port, such as ${first.port} for ${first.name}`
}

/** The most replicas, of a role or of all, that can run without anybody scaling by hand. */
function replicasMost(spec: ServiceSpec, role: string | undefined): number {
  const group = spec.replicaGroups.find((each) => each.role === role)
  if (group !== undefined) return group.count
  const { scale } = spec
  if (scale.mode === 'fixed') return scale.replicas
  if (scale.mode === 'manual') return 1
  return Object.keys(scale.targets).length === 0 ? scale.min : scale.max
}
