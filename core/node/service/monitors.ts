/** The health monitors of replicas: what they ask the shell, and what their verdicts change. */
import { type HealthCommand, type HealthEvent, HealthMonitor } from '../../services/health.ts'
import { healthPolicy, probeTarget } from '../../services/probe-target.ts'
import type { Replica, Service, Step } from '../state.ts'
import { notice, replicaStep, serviceOf } from './replicas.ts'

export function startMonitor(step: Step, replica: Replica, service: Service): void {
  if (probeTarget(service.spec, replica.host, replica.ports) === undefined) {
    return onVerdict(step, replica, service, 'healthy', '')
  }
  replica.monitor = new HealthMonitor(healthPolicy(service.spec.health), step.now)
  driveMonitor(step, replica, { type: 'tick' })
}

export function driveMonitor(step: Step, replica: Replica, event: HealthEvent): void {
  const { state, now } = step
  const { monitor } = replica
  if (monitor === undefined) return
  const service = serviceOf(step, replica)
  const commands: HealthCommand[] = []
  monitor.step(event, now, commands)
  for (const command of commands) obeyMonitor(step, replica, service, command, commands)
  const deadline = monitor.deadline()
  if (deadline === undefined || replica.monitor !== monitor)
    state.timers.cancel(`health ${replica.id}`)
  else state.timers.set(`health ${replica.id}`, deadline)
}

function obeyMonitor(
  step: Step,
  replica: Replica,
  service: Service,
  command: HealthCommand,
  commands: HealthCommand[],
): void {
  switch (command.type) {
    case 'probe': {
      const { attempt, timeoutMs } = command
      const target = probeTarget(service.spec, replica.host, replica.ports)
      if (target === undefined) {
        // The file took the check away: what runs is healthy from now on.
        return replica.monitor?.step(
          { type: 'result', attempt, ok: true, reason: '' },
          step.now,
          commands,
        )
      }
      step.out.push({ type: 'probe', replica: replica.id, attempt, target, timeoutMs })
      return
    }
    case 'cancel':
      step.out.push({ type: 'cancel-probe', replica: replica.id, attempt: command.attempt })
      return
    case 'verdict':
      return onVerdict(step, replica, service, command.verdict, command.reason)
  }
}

function onVerdict(
  step: Step,
  replica: Replica,
  service: Service,
  verdict: 'healthy' | 'unhealthy',
  reason: string,
): void {
  if (verdict === 'unhealthy') service.failing.add(replica.number)
  else service.failing.delete(replica.number)
  step.state.toJudge.add(service.key)
  if (verdict === 'healthy') {
    notice(step, 'info', 'healthy', replica, 'is healthy')
    return replicaStep(step, replica, 'passed')
  }
  notice(step, 'warn', 'unhealthy', replica, `is unhealthy: ${reason}`)
  replicaStep(step, replica, 'failed')
}

export function stopMonitor(step: Step, replica: Replica): void {
  if (replica.monitor === undefined) return
  driveMonitor(step, replica, { type: 'stop' })
  replica.monitor = undefined
}
