import { mutantsOf } from '../mutant.ts'

/** What is known of backends: by their checks, and by connections that fail. */
export const checks = [
  ...mutantsOf('core/node/service/checks.ts', [
    [
      'a suspicion lasts for ever',
      "  if (verdict === 'healthy' && reason === '') return stopCheck(step, replica, name)\n",
      '',
    ],
    [
      'a suspicion ends with the first pass',
      "if (verdict === 'healthy' && reason === '') return stopCheck",
      "if (reason === '' || phase) return stopCheck",
    ],
    [
      'who is down is asked as often as who is suspected',
      'intervalMs: DOWN_INTERVAL_MS',
      'intervalMs: policy.intervalMs',
    ],
    [
      'a replica that is not up yet is suspected',
      "if (!('endpoint' in target) || !isChecked(replica.state)) return",
      "if (!('endpoint' in target)) return",
    ],
    [
      'an endpoint with a check of its own is suspected besides',
      'if (names.length > 0 || check === undefined) return',
      'if (check === undefined) return',
    ],
    [
      'a check is in no hurry when a connection fails',
      "for (const name of names) driveCheck(step, replica, name, { type: 'hurry' })",
      '',
    ],
    [
      'the connection that failed does not count',
      '    ok: false,\n    reason,\n  })\n',
      '    ok: true,\n    reason,\n  })\n',
    ],
    [
      'who is suspected is asked a quarter of a second later',
      "    reason,\n  })\n  driveCheck(step, replica, name, { type: 'hurry' })\n",
      '    reason,\n  })\n',
    ],
    [
      'a late answer counts for a new suspicion',
      'HealthMonitor.suspecting(policy, step.now, replica.checkAttempts)',
      'HealthMonitor.suspecting(policy, step.now, 0)',
    ],
    [
      'a late answer counts for a new check',
      'new HealthMonitor(policy, step.now, replica.checkAttempts)',
      'new HealthMonitor(policy, step.now, 0)',
    ],
    [
      'attempts of a check that went begin anew',
      '  replica.checkAttempts = Math.max(replica.checkAttempts, monitor.state.attempt)\n',
      '',
    ],
    [
      'a program that fails its own check is up',
      "  if (replica.state === 'unhealthy') return true\n",
      '',
    ],
    [
      'a verdict holds for one endpoint of an address',
      "'endpoint' in target && leadTogether(spec, replica, checkedEndpoint(name), target.endpoint)",
      "'endpoint' in target && checkedEndpoint(name) === target.endpoint",
    ],
    [
      'a verdict holds for every endpoint',
      'if (ports[name] === undefined || ports[name] !== ports[other]) return false',
      '',
    ],
    [
      'a verdict on udp holds for tcp',
      'a !== undefined && b !== undefined && namespaceOf(a) === namespaceOf(b)',
      'a !== undefined && b !== undefined',
    ],
    [
      'a check that left the file goes on',
      '    if (!wanted.has(name)) stopCheck(step, replica, name)\n',
      '',
    ],
    [
      'a check that the file adds begins with the next replica',
      '    if (!replica.checks.has(check.name)) startCheck(step, replica, check)\n',
      '',
    ],
    [
      'a verdict is not sent to listeners',
      '    for (const listener of service.listeners) state.toApply.add(listener)\n',
      '',
    ],
    [
      'a replica that is down at an endpoint counts as sound',
      'noteSoundness(step, replica, service, wasSound)\n  if (monitor',
      'if (monitor',
    ],
    [
      'a check outlives its replica',
      'for (const name of [...replica.checks.keys()]) stopCheck(step, replica, name)\n}\n\n/** After',
      '}\n\n/** After',
    ],
  ]),
  ...mutantsOf('core/services/endpoint-checks.ts', [
    [
      'a udp endpoint is asked by tcp when a datagram fails',
      "if (endpoint === undefined || endpoint.protocol === 'udp') return undefined",
      'if (endpoint === undefined) return undefined',
    ],
    [
      'a suspicion is pursued slowly',
      'const SUSPECT_INTERVAL_MS = 250',
      'const SUSPECT_INTERVAL_MS = 10_000',
    ],
    [
      'one failure is enough',
      'retries: balance.fall, passes: balance.rise',
      'retries: 1, passes: balance.rise',
    ],
    [
      'one pass is enough',
      'retries: balance.fall, passes: balance.rise',
      'retries: balance.fall, passes: 1',
    ],
  ]),
  ...mutantsOf('core/services/health.ts', [
    [
      'who is suspected never worked',
      "phase: 'probing', verdict: 'healthy', passed: true",
      "phase: 'probing', verdict: 'healthy'",
    ],
    [
      'who is suspected is not known to be well',
      "phase: 'probing', verdict: 'healthy', passed: true",
      "phase: 'probing', passed: true",
    ],
    [
      'an answer to an earlier probe counts',
      "if (state.phase !== 'probing' || event.attempt !== state.attempt) return",
      "if (state.phase !== 'probing') return",
    ],
  ]),
]
