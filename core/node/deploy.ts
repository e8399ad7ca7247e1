/** A deployment file arrives: what is new begins, what changed converges, what is gone leaves. */

import { canonicalJson } from '../journal/canonical-json.ts'
import type { Owner, PortConflict, Wish } from '../publish/claim.ts'
import { describeConflict } from '../publish/ledger.ts'
import { type ServiceKey, serviceKey } from '../services/identity.ts'
import { hasCheck, healthPolicy } from '../services/probe-target.ts'
import { isLeaving } from '../services/replica-life.ts'
import type { Deployment, ServiceSpec } from '../spec/deployment.ts'
import type { ReplyError } from './commands.ts'
import type { OperatorEvent } from './events.ts'
import { updateChecks } from './service/checks.ts'
import { claimPorts, fileClaims } from './service/claims.ts'
import { recount } from './service/count.ts'
import { beginService } from './service/dependencies.ts'
import { forgive } from './service/failures.ts'
import { convergeListeners } from './service/listeners.ts'
import { driveMonitor } from './service/monitors.ts'
import { listensItself, replicaIn } from './service/plans.ts'
import { sharedWith } from './service/ports.ts'
import { rolesOf } from './service/replicas.ts'
import { awakeCount, canSleep, setWanted, sleepIfIdle } from './service/sleep.ts'
import { CHALLENGES_OWNER, METRICS_OWNER } from './service/sockets.ts'
import { judge, say } from './service/standing.ts'
import type { DeploymentRecord, Service, Step } from './state.ts'

type DeployEvent = Extract<OperatorEvent, { type: 'deploy' }>

export function onDeploy(step: Step, event: DeployEvent): void {
  const { state, out } = step
  const { deployment: file, directory, request } = event
  const refusal = refuseDeploy(step, event)
  if (refusal !== undefined) {
    return void out.push({ type: 'reply', request, result: { ok: false, ...refusal } })
  }

  const record = state.deployments.get(file.name) ?? newDeployment(step, file.name)
  const before = record.services.size
  const wanted = new Set(servicesOf(file).map(([name]) => serviceKey(file.name, name)))
  for (const key of record.services) if (!wanted.has(key)) leaveService(step, key)
  const arrived: Service[] = []
  const updated: Service[] = []
  const rechecked: Service[] = []
  let changed = 0
  for (const [name, spec] of servicesOf(file)) {
    const present = state.services.get(serviceKey(file.name, name))
    if (present === undefined) {
      arrived.push(newService(step, record, name, spec, directory))
      continue
    }
    const isChecked = checksDiffer(present.spec, spec)
    sayChanges(step, present, spec, directory)
    if (updateService(step, present, spec, directory)) changed += 1
    updated.push(present)
    if (isChecked) rechecked.push(present)
  }
  // Of all at once, so that they can exchange ports; new ones listen when they begin.
  claimPorts(step, arrived)
  if (state.phase === 'running') convergeListeners(step, updated)
  else claimPorts(step, updated)
  for (const service of rechecked) updateHealth(step, service)
  for (const service of updated) sleepIfIdle(step, service)
  linkDependents(step, record)
  // Who arrives depends on what these are by the new file.
  for (const service of updated) judge(step, service)
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
  state.toSettle.add(file.name)
  const left = before + arrived.length - wanted.size
  const parts = [`${arrived.length} new`, `${changed} changed`, `${left} leaving`]
  const services = `${wanted.size} ${wanted.size === 1 ? 'service' : 'services'}`
  const text = `${file.name}: ${services} (${parts.join(', ')})`
  out.push({ type: 'notice', level: 'info', code: 'deploying', text })
  out.push({ type: 'reply', request, result: { ok: true, text } })
}

function refuseDeploy(
  step: Step,
  { deployment: file }: DeployEvent,
): { code: ReplyError; text: string } | undefined {
  const { state } = step
  if (state.phase === 'draining' || state.phase === 'stopped') {
    return { code: 'stopping', text: 'this node is shutting down' }
  }
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
  const large = services.find(
    ([, spec]) => awakeCount(spec) > replicasMax || wantedOf(spec, undefined) > replicasMax,
  )
  if (large !== undefined) {
    return { code: 'invalid', text: `${large[0]}: a service has at most ${replicasMax} replicas` }
  }
  const wishes = services.map(([name, spec]) =>
    fileClaims(serviceKey(file.name, name), spec, state.internal),
  )
  // Within one deployment ports move freely: who is to have one waits until the other let go.
  const wanted = new Set(wishes.map(({ owner }) => owner))
  const left = [...(present?.services ?? [])].filter((key) => !wanted.has(key))
  const leaving = left.map((owner): Wish => ({ owner, claims: [] }))
  const conflicts = state.ledger.conflicts([...leaving, ...wishes])
  if (conflicts.length > 0) {
    return { code: 'conflict', text: conflictText(step, conflicts) }
  }
  if (!state.ledger.hasRoomFor([...leaving, ...wishes])) {
    const text = 'the node has no room for so many ports; fewer endpoints or deployments are needed'
    return { code: 'invalid', text }
  }
  for (const { owner, claims } of wishes) {
    for (const { port } of claims) {
      const holder = state.ports.leased.get(port)
      if (holder === undefined) continue
      const text = `port-conflict: port ${port} is used by replica ${holder}, so ${owner} cannot have it`
      return { code: 'conflict', text }
    }
  }
  return undefined
}

/** One line for each port, whatever number of its addresses is asked for. */
function conflictText({ state }: Step, conflicts: readonly PortConflict[]): string {
  const texts = new Map<string, string>()
  for (const conflict of conflicts) {
    const { namespace, port, owner, requester } = conflict
    const isLeaving =
      conflict.isLeaving || state.services.get(owner as ServiceKey)?.stage === 'leaving'
    const key = `${namespace} ${port} ${owner} ${requester}`
    if (!texts.has(key)) texts.set(key, textOf({ ...conflict, isLeaving }))
  }
  return [...texts.values()].join('; ')
}

const textOf = (conflict: PortConflict): string => {
  const { namespace, port, owner, requester } = conflict
  const own = OWN_PORTS.get(owner)
  if (own === undefined) return describeConflict(conflict)
  return (
    `port-conflict: ${namespace} port ${port} is the node's own, for ${own.what}, so ${requester} ` +
    `cannot have it; ${own.advice}`
  )
}

const OWN_PORTS: ReadonlyMap<Owner, { readonly what: string; readonly advice: string }> = new Map([
  [
    METRICS_OWNER,
    {
      what: 'metrics',
      advice: 'choose another port here, or for `metrics` in the node file',
    },
  ],
  [
    CHALLENGES_OWNER,
    {
      what: 'challenges of ACME',
      advice: 'only public http endpoints without accept_proxy_protocol can share it',
    },
  ],
])

/** By name: the order of keys gets lost in the journal, and must not decide anything. */
const servicesOf = (file: Deployment): [string, ServiceSpec][] =>
  Object.entries(file.services).sort(([a], [b]) => (a < b ? -1 : 1))

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
    wanted: wantedOf(spec, undefined),
    stage: 'held',
    haltReason: '',
    dependencies: [],
    slots: new Map(),
    listeners: new Set(),
    conflicts: [],
    dependents: new Set(),
    state: 'waiting',
    standing: '',
    isWaking: false,
    wakeFailures: 0,
    wakeFailure: '',
    naps: 0,
    wokenAt: step.now,
    isPinned: false,
    updating: false,
    running: 0,
    ready: 0,
    sound: 0,
    current: 0,
    outdated: 0,
    failing: new Set(),
    restarts: 0,
  }
  step.state.services.set(key, service)
  deployment.services.add(key)
  return service
}

/**
 * Lets a service begin, or go on: one that was only waiting for its turn to leave still has its
 * replicas, and they need not wait for anybody.
 */
export function begin(step: Step, service: Service): void {
  const { state } = step
  const replicas = [...service.slots.keys()].flatMap(
    (number) => replicaIn(step, service, number) ?? [],
  )
  const isLive = replicas.some((each) => each.leaving === '' && !isLeaving(each.state))
  if (service.stage === 'leaving' && isLive) {
    service.stage = 'running'
    state.toPlan.add(service.key)
    state.toJudge.add(service.key)
    return
  }
  service.stage = 'held'
  if (state.phase === 'running') beginService(step, service)
}

/** Converges a service on a new version of its file; true when anything about it differs. */
function updateService(
  step: Step,
  service: Service,
  spec: ServiceSpec,
  directory: string,
): boolean {
  const { state } = step
  const before = service.spec
  const differs = (part: (spec: ServiceSpec) => unknown): boolean =>
    canonicalJson(part(before) ?? null) !== canonicalJson(part(spec) ?? null)
  const isSame = !differs((each) => each) && service.directory === directory
  const replaces = runsAs(before, service.directory) !== runsAs(spec, directory)
  service.spec = spec
  service.directory = directory
  setWanted(step, service, wantedOf(spec, service))
  service.isPinned = false
  service.isWaking &&= canSleep(spec)
  service.wakeFailure = ''
  step.state.timers.cancel(`wake ${service.key}`)
  if (replaces) {
    service.revision += 1
    service.failing.clear()
    service.updating = service.slots.size > 0
  }
  if (replaces || differs((each) => each.errors)) {
    for (const slot of service.slots.values()) forgive(step, slot)
  }
  recount(step, service)
  const waitsForOthers = service.stage === 'waiting' && differs((each) => each.depends)
  if (service.stage === 'leaving' || service.stage === 'halted' || waitsForOthers) {
    begin(step, service)
  }
  state.toPlan.add(service.key)
  return !isSame
}

/** What a new file changes, and whether it costs what runs anything. */
function sayChanges(step: Step, service: Service, spec: ServiceSpec, directory: string): void {
  const before: Readonly<Record<string, unknown>> = {
    ...service.spec,
    directory: service.directory,
  }
  const after: Readonly<Record<string, unknown>> = { ...spec, directory }
  const changed = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
    (key) => canonicalJson([before[key] ?? null]) !== canonicalJson([after[key] ?? null]),
  )
  if (changed.length === 0) return
  const cost = costOf(service, spec, directory)
  say(step, service, 'info', 'deploying', `has changed (${changed.sort().join(', ')})${cost}`)
}

function costOf(service: Service, spec: ServiceSpec, directory: string): string {
  if (service.slots.size === 0) return ''
  const replaces = runsAs(service.spec, service.directory) !== runsAs(spec, directory)
  if (replaces) return '; its replicas are replaced'
  const wanted = wantedOf(spec, service)
  const roles = rolesOf(spec, wanted)
  const isSame = rolesOf(service.spec, service.wanted).every((role, at) => roles[at] === role)
  return isSame ? '; no replica is restarted' : ''
}

const checksDiffer = (before: ServiceSpec, after: ServiceSpec): boolean =>
  canonicalJson([before.health ?? null, before.endpoints]) !==
  canonicalJson([after.health ?? null, after.endpoints])

/** Checks go by the file as it is now. */
function updateHealth(step: Step, service: Service): void {
  const policy = healthPolicy(service.spec.health)
  for (const { number } of service.slots.values()) {
    const replica = replicaIn(step, service, number)
    if (replica === undefined) continue
    driveMonitor(step, replica, { type: 'policy', policy })
    updateChecks(step, replica, service)
  }
}

/** All of a spec that a running program was started with: when it differs, replicas are replaced. */
function runsAs(spec: ServiceSpec, directory: string): string {
  const { runtime, image, command, env, envInherit, logs } = spec
  const endpoints = spec.endpoints.map((endpoint) => [
    endpoint.name,
    endpoint.protocol,
    endpoint.targetPort ?? 0,
    sharedWith(endpoint, spec.endpoints) ?? '',
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

/** How many replicas the file asks for; `manual` keeps what there is, and what is awake stays so. */
export function wantedOf(spec: ServiceSpec, before: Service | undefined): number {
  if (spec.rtype !== 'service') return 0 // registered, not scaled (services W53)
  if (canSleep(spec)) {
    return before !== undefined && before.wanted > 0 ? awakeCount(spec) : 0
  }
  if (spec.replicaGroups.length > 0) {
    return spec.replicaGroups.reduce((sum, group) => sum + group.count, 0)
  }
  switch (spec.scale.mode) {
    case 'fixed':
      return spec.scale.replicas
    case 'adaptive':
      return spec.scale.min
    case 'manual':
      return listensItself(spec) ? Math.min(1, before?.wanted ?? 1) : (before?.wanted ?? 1)
  }
}

/** To be stopped for good, once nobody uses it any more. */
export function leaveService({ state }: Step, key: ServiceKey): void {
  const service = state.services.get(key)
  if (service === undefined) return
  service.stage = 'leaving'
  state.timers.cancel(`wait ${key}`)
  state.toPlan.add(key)
  state.toJudge.add(key)
}

function linkDependents({ state }: Step, deployment: DeploymentRecord): void {
  for (const key of deployment.services) {
    const service = state.services.get(key)
    // One that leaves waits for those that used it by the older file.
    if (service?.stage !== 'leaving') service?.dependents.clear()
  }
  for (const key of deployment.services) {
    for (const { service: name } of state.services.get(key)?.spec.depends ?? []) {
      state.services.get(serviceKey(deployment.name, name))?.dependents.add(key)
    }
  }
}
