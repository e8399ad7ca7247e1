/** Waiting for other services: each dependency with its own deadline, all side by side. */
import { serviceKey } from '../../services/identity.ts'
import type { Dependency, Service, Step } from '../state.ts'
import { convergeListeners } from './listeners.ts'
import { isFailing, isServed, say } from './standing.ts'

/** Lets a service begin: once its dependencies are there, or their time is over. */
export function beginService(step: Step, service: Service): void {
  const { state, now } = step
  convergeListeners(step, [service])
  service.stage = 'waiting'
  service.haltReason = ''
  service.dependencies = service.spec.depends.map((spec) => ({
    spec,
    on: serviceKey(service.deployment, spec.service),
    giveUpAt: now + spec.timeoutMs,
    state: 'pending',
  }))
  if (service.dependencies.length > 0) {
    const names = service.dependencies.map(
      (each) => `${each.spec.service} (${each.spec.condition})`,
    )
    say(step, service, 'info', 'waiting', `waits for ${names.join(', ')}`)
  }
  checkDependencies(step, service)
  state.toJudge.add(service.key)
}

export function checkDependencies(step: Step, service: Service): void {
  const { state, now } = step
  if (service.stage !== 'waiting') return
  for (const dependency of service.dependencies) {
    if (dependency.state !== 'pending') continue
    if (isMet(step, dependency)) dependency.state = 'met'
    else if (dependency.giveUpAt <= now) giveUp(step, service, dependency)
  }
  // giveUp may have halted it
  if ((service.stage as Service['stage']) === 'halted') return
  const pending = service.dependencies.filter((each) => each.state === 'pending')
  if (pending.length > 0) {
    state.timers.set(`wait ${service.key}`, Math.min(...pending.map((each) => each.giveUpAt)))
    return
  }
  state.timers.cancel(`wait ${service.key}`)
  service.stage = 'running'
  if (service.wanted > 0) {
    const what = service.wanted === 1 ? 'its replica' : `${service.wanted} replicas`
    say(step, service, 'info', 'starting', `starts ${what}`)
  }
  state.toPlan.add(service.key)
  state.toJudge.add(service.key)
}

function isMet(step: Step, { on, spec }: Dependency): boolean {
  const service = step.state.services.get(on)
  if (service === undefined) return false
  // Whoever uses one that sleeps wakes it.
  const isThere = service.state === 'healthy' || service.state === 'asleep'
  switch (spec.condition) {
    case 'started':
      return service.running > 0 || service.state === 'asleep'
    case 'healthy':
      // A failed bind is a fault of the way to it, not of the service itself.
      return isThere && isServed(step, service, isFailing)
    case 'ready':
      return isThere && isServed(step, service)
  }
}

function giveUp(step: Step, service: Service, dependency: Dependency): void {
  const { spec } = dependency
  dependency.state = 'given-up'
  const text = `${spec.service} was not ${spec.condition} within ${spec.timeoutMs / 1000} s`
  if (spec.onTimeout === 'fail') return halt(step, service, 'dependency-timeout', text)
  if (spec.onTimeout === 'warn') {
    say(step, service, 'warn', 'dependency-timeout', `${text}; starting anyway`)
  }
}

function halt(step: Step, service: Service, code: 'dependency-timeout', reason: string): void {
  service.stage = 'halted'
  service.haltReason = reason
  step.state.timers.cancel(`wait ${service.key}`)
  step.state.toPlan.add(service.key)
  step.state.toJudge.add(service.key)
  const text = `is not started: ${reason}; \`weir restart ${service.key}\` tries again`
  say(step, service, 'error', code, text)
}
