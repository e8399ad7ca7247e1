/** The health of replicas: what its monitors ask the shell, and what their verdicts change. */
import { type HealthCommand, type HealthEvent, HealthMonitor } from '../../services/health.ts'
import { healthPolicy, probeTarget } from '../../services/probe-target.ts'
import type { Replica, Service, Step } from '../state.ts'
import { failsCheck, isSound, startChecks, stopChecks } from './checks.ts'
import { notice, replicaStep, serviceOf } from './replicas.ts'

export function startMonitors(step: Step, replica: Replica, service: Service): void {
  if (probeTarget(service.spec, replica.host, replica.ports) !== undefined) {
    replica.monitor = new HealthMonitor(healthPolicy(service.spec.health), step.now)
    driveMonitor(step, replica, { type: 'tick' })
  }
  startChecks(step, replica, service)
  noteHealth(step, replica, service)
}

export function stopMonitors(step: Step, replica: Replica): void {
  stopChecks(step, replica)
  if (replica.monitor === undefined) return
  driveMonitor(step, replica, { type: 'stop' })
  replica.monitor = undefined
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
      const { id } = replica
      step.out.push({ type: 'probe', replica: id, check: 'main', attempt, target, timeoutMs })
      return
    }
    case 'cancel': {
      const { attempt } = command
      step.out.push({ type: 'cancel-probe', replica: replica.id, check: 'main', attempt })
      return
    }
    case 'verdict':
      if (command.verdict === 'unhealthy') {
        notice(step, 'warn', 'unhealthy', replica, `is unhealthy: ${command.reason}`)
      }
      noteHealth(step, replica, service)
      if (command.verdict === 'unhealthy') replicaStep(step, replica, 'failed')
  }
}

/** After a verdict of any check: what the slot is known for, and whether the replica may serve. */
export function noteHealth(step: Step, replica: Replica, service: Service): void {
  const verdict = replica.monitor?.state.verdict ?? 'healthy'
  const isHealthy = verdict === 'healthy'
  const isWell = isHealthy && isSound(replica)
  if (verdict === 'unhealthy' || failsCheck(replica)) service.failing.add(replica.number)
  else if (isWell) service.failing.delete(replica.number)
  step.state.toJudge.add(service.key)
  // It begins when all have passed once; later its endpoints fail and come back one by one.
  if (replica.state === 'checking' ? !isWell : replica.state !== 'unhealthy' || !isHealthy) return
  notice(step, 'info', 'healthy', replica, 'is healthy')
  replicaStep(step, replica, 'passed')
}
