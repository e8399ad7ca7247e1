/** What operators ask for: deploy, remove, scale, restart, shut down. Each request is answered once. */

import { canonicalJson } from '../journal/canonical-json.ts'
import { describeConflict, type PortClaim } from '../publish/ledger.ts'
import { type ServiceKey, serviceKey } from '../services/identity.ts'
import { hasCheck, healthPolicy } from '../services/probe-target.ts'
import type { Deployment, ServiceSpec } from '../spec/deployment.ts'
import type { Reply, ReplyError } from './commands.ts'
import type { OperatorEvent, RequestId } from './events.ts'
import { beginService, releaseClaims, replicaIn, rolesOf } from './service/converge.ts'
import { convergeListeners, cutListener, listenersOf } from './service/listeners.ts'
import { abortReplica, driveMonitor, isCurrent, stopReplica } from './service/replicas.ts'
import { type DeploymentRecord, nextAttempt, type Service, type Slot, type Step } from './state.ts'

type Of<Type extends OperatorEvent['type']> = Extract<OperatorEvent, { type: Type }>

export function onBoot({ state, out }: Step): void {
  if (state.phase !== 'new') return
  state.phase = 'reaping'
  state.reapAttempt = nextAttempt(state)
  const { leftoverGraceMs: graceMs } = state.config
  out.push({ type: 'reap-leftovers', attempt: state.reapAttempt, graceMs })
}

export function onLeftoversReaped(
  step: Step,
  event: { attempt: number; reaped: readonly number[]; surviving: readonly number[] },
): void {
  const { state, out } = step
  if (event.attempt !== state.reapAttempt) return
  state.reapAttempt = 0
  if (event.reaped.length > 0) {
    const { length } = event.reaped
    const processes = `${length} ${length === 1 ? 'process' : 'processes'}`
    const text = `ended ${processes} of an earlier run (pid ${event.reaped.join(', ')})`
    out.push({ type: 'notice', level: 'warn', code: 'leftovers', text })
  }
  if (event.surviving.length > 0) {
    const text = `could not end processes of an earlier run: pid ${event.surviving.join(', ')}; they may hold ports`
    out.push({ type: 'notice', level: 'error', code: 'leftovers', text })
  }
  if (state.phase !== 'reaping') return
  state.phase = 'running'
  for (const service of state.services.values()) {
    if (service.stage === 'held') beginService(step, service)
  }
}

// Deploy

export function onDeploy(step: Step, event: Of<'deploy'>): void {
  const { state, out } = step
  const { deployment: file, directory, request } = event
  const refusal = refuseDeploy(step, event)
  if (refusal !== undefined) return refuse(step, request, refusal.code, refusal.text)

  const record = state.deployments.get(file.name) ?? newDeployment(step, file.name)
  const before = record.services.size
  const wanted = new Set(servicesOf(file).map(([name]) => serviceKey(file.name, name)))
  for (const key of record.services) if (!wanted.has(key)) leave(step, key)
  const arrived: Service[] = []
  let changed = 0
  for (const [name, spec] of servicesOf(file)) {
    const present = state.services.get(serviceKey(file.name, name))
    if (present === undefined) arrived.push(newService(step, record, name, spec, directory))
    else if (updateService(step, present, spec, directory)) changed += 1
  }
  linkDependents(step, record)
  for (const service of arrived) {
    if (state.phase === 'running') beginService(step, service)
    state.toJudge.add(service.key)
  }
  record.outcome = 'converging'
  for (const key of record.services) {
    const service = state.services.get(key)
    if (service !== undefined) service.standing = ''
    state.toJudge.add(key)
  }
  const left = before + arrived.length - wanted.size
  const parts = [`${arrived.length} new`, `${changed} changed`, `${left} leaving`]
  const services = `${wanted.size} ${wanted.size === 1 ? 'service' : 'services'}`
  const text = `${file.name}: ${services} (${parts.join(', ')})`
  out.push({ type: 'notice', level: 'info', code: 'deploying', text })
  reply(step, request, { ok: true, text })
}

function refuseDeploy(
  step: Step,
  { deployment: file }: Of<'deploy'>,
): { code: ReplyError; text: string } | undefined {
  const { state } = step
  if (isStopping(step)) return { code: 'stopping', text: 'this node is shutting down' }
  const present = state.deployments.get(file.name)
  if (present?.outcome === 'removing') {
    const text = `${file.name} is being removed; deploy it again when it is gone`
    return { code: 'conflict', text }
  }
  const services = servicesOf(file)
  const { servicesMax, replicasMax } = state.config
  if (state.services.size + services.length > servicesMax + (present?.services.size ?? 0)) {
    return { code: 'invalid', text: `a node runs at most ${servicesMax} services` }
  }
  const large = services.find(([, spec]) => wantedOf(spec, 0) > replicasMax)
  if (large !== undefined) {
    return { code: 'invalid', text: `${large[0]}: a service has at most ${replicasMax} replicas` }
  }
  const claims = services.flatMap(([name, spec]) => claimsOf(serviceKey(file.name, name), spec))
  const dropped = new Set(present?.services)
  for (const [name] of services) dropped.delete(serviceKey(file.name, name))
  const conflicts = state.ledger.conflicts(claims, dropped)
  if (conflicts.length > 0) {
    return { code: 'conflict', text: conflicts.map(describeConflict).join('; ') }
  }
  for (const claim of claims) {
    const holder = state.ports.leased.get(claim.port)
    if (holder === undefined) continue
    const text = `port-conflict: port ${claim.port} is used by replica ${holder}, so ${claim.owner} cannot have it`
    return { code: 'conflict', text }
  }
  return undefined
}

/** By name: the order of keys gets lost in the journal, and must not decide anything. */
const servicesOf = (file: Deployment): [string, ServiceSpec][] =>
  Object.entries(file.services).sort(([a], [b]) => (a < b ? -1 : 1))

/** The host ports a service must own: where its endpoints listen, and where its program does. */
function claimsOf(owner: ServiceKey, spec: ServiceSpec): PortClaim[] {
  if (spec.rtype !== 'service') return []
  return spec.endpoints.flatMap(({ name, protocol, port, targetPort }) => {
    const namespace = protocol === 'udp' ? 'udp' : 'tcp'
    const listens: PortClaim = { namespace, port, owner, purpose: `endpoint ${name}` }
    if (targetPort === undefined) return [listens]
    return [listens, { namespace, port: targetPort, owner, purpose: `target_port of ${name}` }]
  })
}

function newDeployment({ state }: Step, name: string): DeploymentRecord {
  const record: DeploymentRecord = {
    name,
    outcome: 'converging',
    services: new Set(),
    removeRequests: [],
  }
  state.deployments.set(name, record)
  return record
}

function newService(
  step: Step,
  deployment: DeploymentRecord,
  name: string,
  spec: ServiceSpec,
  directory: string,
): Service {
  const key = serviceKey(deployment.name, name)
  const service: Service = {
    key,
    deployment: deployment.name,
    name,
    spec,
    directory,
    revision: 1,
    wanted: wantedOf(spec, 1),
    stage: 'held',
    haltReason: '',
    dependencies: [],
    slots: new Map(),
    listeners: new Set(),
    claims: [],
    dependents: new Set(),
    state: 'waiting',
    standing: '',
    updating: false,
    running: 0,
    ready: 0,
    current: 0,
    failing: new Set(),
    restarts: 0,
  }
  step.state.services.set(key, service)
  deployment.services.add(key)
  claimPorts(step, service)
  return service
}

function claimPorts({ state }: Step, service: Service): void {
  const claims = claimsOf(service.key, service.spec)
  for (const claim of claims) state.ledger.claim(claim)
  const isKept = (old: PortClaim) =>
    !claims.some((each) => each.port === old.port && each.namespace === old.namespace)
  service.claims = [...service.claims.filter(isKept), ...claims]
}

/** Converges a service on a new version of its file; true when anything about it differs. */
function updateService(
  step: Step,
  service: Service,
  spec: ServiceSpec,
  directory: string,
): boolean {
  const { state } = step
  const same =
    canonicalJson(service.spec) === canonicalJson(spec) && service.directory === directory
  const before = runsAs(service.spec, service.directory)
  const health = canonicalJson(service.spec.health ?? null)
  const depends = canonicalJson(service.spec.depends)
  service.spec = spec
  service.directory = directory
  service.wanted = wantedOf(spec, spec.scale.mode === 'manual' ? service.wanted : 1)
  if (runsAs(spec, directory) !== before) {
    service.revision += 1
    for (const slot of service.slots.values()) forgive(step, slot)
    service.failing.clear()
  }
  recount(step, service)
  const waitsForOthers = service.stage === 'waiting' && canonicalJson(spec.depends) !== depends
  if (service.stage === 'leaving' || service.stage === 'halted' || waitsForOthers) {
    begin(step, service)
  }
  claimPorts(step, service)
  if (state.phase === 'running') {
    convergeListeners(step, service, spec.rtype === 'service' ? spec.endpoints : [])
  }
  releaseClaims(step, service)
  if (canonicalJson(spec.health ?? null) !== health) {
    const policy = healthPolicy(spec.health)
    for (const { number } of service.slots.values()) {
      const replica = replicaIn(step, service, number)
      if (replica !== undefined) driveMonitor(step, replica, { type: 'policy', policy })
    }
  }
  state.toPlan.add(service.key)
  return !same
}

/** All of a spec that a running program was started with: when it differs, replicas are replaced. */
function runsAs(spec: ServiceSpec, directory: string): string {
  const { runtime, image, command, env, envInherit, logs } = spec
  const endpoints = spec.endpoints.map(({ name, protocol, targetPort }) => [
    name,
    protocol,
    targetPort ?? 0,
  ])
  const groups = spec.replicaGroups.map((each) => [each.role, each.env, each.command ?? null])
  // A replica that was never checked must not pass for one that was.
  return canonicalJson([
    hasCheck(spec),
    runtime,
    image ?? null,
    command,
    env,
    envInherit,
    logs,
    endpoints,
    groups,
    directory,
  ])
}

/** How many replicas the file asks for; `manual` keeps what there is. */
function wantedOf(spec: ServiceSpec, present: number): number {
  if (spec.rtype !== 'service') return 0 // registered, not scaled (services W53)
  if (spec.replicaGroups.length > 0) return rolesOf(spec, Number.MAX_SAFE_INTEGER).length
  switch (spec.scale.mode) {
    case 'fixed':
      return spec.scale.replicas
    case 'adaptive':
      return spec.scale.min
    case 'manual':
      return present
  }
}

function linkDependents({ state }: Step, deployment: DeploymentRecord): void {
  for (const key of deployment.services) state.services.get(key)?.dependents.clear()
  for (const key of deployment.services) {
    for (const { service: name } of state.services.get(key)?.spec.depends ?? []) {
      state.services.get(serviceKey(deployment.name, name))?.dependents.add(key)
    }
  }
}

// Remove, scale, restart

export function onRemove(step: Step, { request, deployment: name }: Of<'remove'>): void {
  const record = step.state.deployments.get(name)
  if (record === undefined) {
    const known = [...step.state.deployments.keys()].join(', ') || 'none'
    return refuse(step, request, 'not-found', `no deployment "${name}" here (there are: ${known})`)
  }
  record.removeRequests.push(request)
  removeDeployment(step, record)
}

function removeDeployment(step: Step, record: DeploymentRecord): void {
  record.outcome = 'removing'
  for (const key of record.services) leave(step, key)
  if (record.services.size > 0) return
  step.state.deployments.delete(record.name)
  for (const request of record.removeRequests) {
    reply(step, request, { ok: true, text: `${record.name} is removed` })
  }
}

function leave({ state }: Step, key: ServiceKey): void {
  const service = state.services.get(key)
  if (service === undefined) return
  service.stage = 'leaving'
  state.timers.cancel(`wait ${key}`)
  state.toPlan.add(key)
  state.toJudge.add(key)
}

export function onScale(step: Step, event: Of<'scale'>): void {
  const { request, replicas } = event
  const service = findService(step, request, event.service)
  if (service === undefined) return
  const { spec } = service
  const { replicasMax } = step.state.config
  const refusal =
    spec.rtype !== 'service'
      ? `${service.key} is a ${spec.rtype}, which is not scaled`
      : !Number.isInteger(replicas) || replicas < 0 || replicas > replicasMax
        ? `${replicas} is not a number of replicas; use 0 to ${replicasMax}`
        : spec.replicaGroups.length > 0 && replicas !== wantedOf(spec, 0)
          ? `${service.key} has replica groups; change their counts in the file and deploy it`
          : replicas > 1 && spec.endpoints.some((each) => each.targetPort !== undefined)
            ? `${service.key} listens on a target_port of its own, so it has one replica at most`
            : undefined
  if (refusal !== undefined) return refuse(step, request, 'invalid', refusal)
  const text = `${service.key}: ${service.wanted} -> ${replicas} replicas`
  service.wanted = replicas
  recount(step, service)
  unsettle(step, service)
  step.out.push({ type: 'notice', level: 'info', code: 'scaled', service: service.key, text })
  reply(step, request, { ok: true, text })
}

export function onRestart(step: Step, event: Of<'restart'>): void {
  const { request, replica: number } = event
  const service = findService(step, request, event.service)
  if (service === undefined) return
  if (service.spec.rtype !== 'service') {
    return refuse(step, request, 'invalid', `${service.key} is a ${service.spec.rtype}`)
  }
  if (number !== undefined && !service.slots.has(number)) {
    const known = [...service.slots.keys()].sort((a, b) => a - b).join(', ') || 'none'
    return refuse(
      step,
      request,
      'not-found',
      `${service.key} has no replica ${number} (there are: ${known})`,
    )
  }
  for (const slot of service.slots.values()) {
    if (number !== undefined && slot.number !== number) continue
    forgive(step, slot)
    if (slot.replica === '') service.failing.delete(slot.number)
  }
  const single = number === undefined ? undefined : replicaIn(step, service, number)
  if (single !== undefined) stopReplica(step, single, 'restarted by the operator')
  if (number === undefined) service.revision += 1
  recount(step, service)
  if (service.stage === 'halted') begin(step, service)
  unsettle(step, service)
  const what = number === undefined ? 'its replicas one after the other' : `replica ${number}`
  reply(step, request, { ok: true, text: `${service.key}: restarting ${what}` })
}

/** What failed before is not held against what runs from now on. */
function forgive({ now }: Step, slot: Slot): void {
  slot.crashesAt = []
  slot.startAt = now
  slot.isolated = false
}

/** After another revision or number of replicas: how many are what is asked for now. */
function recount(step: Step, service: Service): void {
  service.current = 0
  for (const { number } of service.slots.values()) {
    const replica = replicaIn(step, service, number)
    if (replica?.state === 'ready' && isCurrent(service, replica)) service.current += 1
  }
}

function begin(step: Step, service: Service): void {
  service.stage = 'held'
  if (step.state.phase === 'running') beginService(step, service)
}

function unsettle({ state }: Step, service: Service): void {
  const deployment = state.deployments.get(service.deployment)
  if (deployment !== undefined && deployment.outcome !== 'removing')
    deployment.outcome = 'converging'
  service.standing = ''
  state.toPlan.add(service.key)
  state.toJudge.add(service.key)
}

/** By `deployment/service`, or by the short name where it is unique; answers the request if not. */
function findService(step: Step, request: RequestId, name: string): Service | undefined {
  const { services } = step.state
  if (isStopping(step)) {
    refuse(step, request, 'stopping', 'this node is shutting down')
    return undefined
  }
  const exact = services.get(name as ServiceKey)
  const found =
    exact === undefined ? [...services.values()].filter((each) => each.name === name) : [exact]
  const [first, ...others] = found
  if (first === undefined) {
    const known = [...services.keys()].join(', ') || 'none'
    refuse(step, request, 'not-found', `no service "${name}" here (there are: ${known})`)
  } else if (others.length > 0) {
    const which = found.map((each) => each.key).join(' or ')
    refuse(step, request, 'conflict', `"${name}" is in several deployments: say ${which}`)
  } else if (first.stage === 'leaving') {
    refuse(step, request, 'conflict', `${first.key} is being removed`)
  } else {
    return first
  }
  return undefined
}

// Shutdown

export function onShutdown(step: Step, event: Of<'shutdown'>): void {
  const { state, out } = step
  if (event.request !== undefined) state.shutdownRequests.push(event.request)
  if (!isStopping(step)) {
    state.phase = 'draining'
    const text =
      event.mode === 'abort' ? 'stopping at once' : 'stopping: old work is finished first'
    out.push({ type: 'notice', level: 'info', code: 'shutdown', text })
    for (const record of [...state.deployments.values()]) removeDeployment(step, record)
  }
  if (event.mode === 'abort') {
    for (const replica of [...state.replicas.values()]) abortReplica(step, replica)
    for (const service of state.services.values()) {
      for (const listener of listenersOf(step, service)) cutListener(step, listener)
    }
  }
}

/** Says that the node has stopped once nothing is left. */
export function stopIfEmpty({ state, out }: Step): void {
  if (state.phase === 'stopped') {
    for (const request of state.shutdownRequests.splice(0)) {
      out.push({ type: 'reply', request, result: { ok: true, text: 'stopped' } })
    }
    return
  }
  if (state.phase !== 'draining' || state.deployments.size > 0) return
  state.phase = 'stopped'
  for (const request of state.shutdownRequests.splice(0)) {
    out.push({ type: 'reply', request, result: { ok: true, text: 'stopped' } })
  }
  out.push({ type: 'stopped' })
}

const isStopping = ({ state }: Step): boolean =>
  state.phase === 'draining' || state.phase === 'stopped'

function reply({ out }: Step, request: RequestId, result: Reply): void {
  out.push({ type: 'reply', request, result })
}

const refuse = (step: Step, request: RequestId, code: ReplyError, text: string): void =>
  reply(step, request, { ok: false, code, text })
