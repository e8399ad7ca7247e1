import { mutantsOf } from '../mutant.ts'

/** Services that sleep until somebody comes, and what else they are asked meanwhile. */
export const sleep = [
  ...mutantsOf('core/node/service/sleep.ts', [
    [
      'one that may have no replica at all sleeps',
      'scale.min === 0 && scale.max > 0',
      'scale.min === 0',
    ],
    [
      'one that must have replicas sleeps',
      'scale.min === 0 && scale.max > 0',
      'scale.min < scale.max',
    ],
    [
      'one role of all is woken',
      'replicaGroups.reduce((sum, group) => sum + group.count, 0)',
      'replicaGroups[0]!.count',
    ],
    [
      'what never sleeps says when it is idle',
      "scale.mode === 'adaptive' && scale.min === 0 ?",
      "scale.mode === 'adaptive' ?",
    ],
    [
      'what leaves holds who comes',
      "if (service?.stage !== 'running' || listener",
      'if (service === undefined || listener',
    ],
    ['datagrams are held', " || listener.endpoint.protocol === 'udp') return", ') return'],
    ['who comes while it wakes is refused', "  if (service.isWaking) return 'hold'\n", ''],
    [
      'who comes after a wake-up that failed is held',
      'isAsleep(service) && !isRefusing',
      'isAsleep(service)',
    ],
    ['what is used again is idle', 'listener.isIdle = false\n', ''],
    ['a use does not put off sleep', 'return step.state.timers.cancel(`sleep ${service.key}`)', ''],
    [
      'what is awake is woken',
      "if (service.stage !== 'running' || !isAsleep(service)) return",
      "if (service.stage !== 'running') return",
    ],
    [
      'what failed to wake is woken again at once',
      '  if (state.timers.at(`wake ${service.key}`) !== undefined) return\n  service',
      '  service',
    ],
    ['who woke it is refused meanwhile', '  service.isWaking = true\n', ''],
    [
      'it is being woken for ever',
      '  service.isWaking = false\n  service.wakeFailures = 0\n',
      '  service.wakeFailures = 0\n',
    ],
    ['a success does not make up for failures', '  service.wakeFailures = 0\n', ''],
    ['one role of several is enough for all', '  if (missing.size > 0) return\n', ''],
    [
      'who is on its way is there already',
      'replica !== undefined && takesPart(replica.state)) missing',
      'replica !== undefined) missing',
    ],
    [
      'why it was not woken is said when it was',
      "  service.wakeFailures = 0\n  service.wakeFailure = ''\n",
      '  service.wakeFailures = 0\n',
    ],
    ['why it was not woken is not said', '  service.wakeFailure = reason\n', ''],
    [
      'what people want goes to sleep when it fails',
      '  if (service.isPinned) return whenAwake(step, service) // people want it: it is started again\n',
      '',
    ],
    ['one nap is like the other', '    service.naps += 1\n', ''],
    [
      'what is put to sleep is being woken',
      '    service.naps += 1\n    service.isWaking = false\n',
      '    service.naps += 1\n',
    ],
    ['a crash puts it to sleep', '  if (!service.isWaking) return\n', ''],
    [
      'it is not tried less often each time',
      '2 ** Math.min(service.wakeFailures - 1, DOUBLINGS_MAX)',
      'Math.min(service.wakeFailures, DOUBLINGS_MAX)',
    ],
    ['it refuses for hours', 'Math.min(doubled, WAKE_AGAIN_MAX_MS)', 'doubled * 2'],
    [
      'what did not wake goes on trying',
      '  setWanted(step, service, 0)\n  const text = `could',
      '  const text = `could',
    ],
    [
      'who comes after the time of refusing is refused',
      '): void {\n  for (const listener of service.listeners) state.toApply.add(listener)\n',
      '): void {\n',
    ],
    ['what people scaled goes to sleep', '|| isPinned || isWaking) return', '|| isWaking) return'],
    [
      'what is slow to start goes to sleep',
      '|| isPinned || isWaking) return',
      '|| isPinned) return',
    ],
    ['what is stopped goes to sleep', "|| stage !== 'running' || isPinned", '|| isPinned'],
    [
      'what goes on at a place that is gone does not keep it awake',
      "each.state === 'open' ? !each.isIdle : isHeldBy(each)",
      "each.state === 'open' && !each.isIdle",
    ],
    ['one endpoint that is idle is enough', '.some(isUsed)', '.every(isUsed)'],
    [
      'it sleeps as soon as it is idle',
      'const sleepAt = service.wokenAt + idleAfterMs(spec)',
      'const sleepAt = service.wokenAt',
    ],
    [
      'what is idle when it wakes never sleeps again',
      'if (sleepAt > now) return state.timers.set(`sleep ${service.key}`, sleepAt)',
      'if (sleepAt > now) return',
    ],
    [
      'a new file keeps it awake for longer',
      '  if (service.wanted === 0) service.wokenAt = now\n',
      '  service.wokenAt = now\n',
    ],
    [
      'a new number leaves it to sleep',
      '  service.wanted = wanted\n  state.timers.cancel(`sleep ${service.key}`)\n',
      '  service.wanted = wanted\n',
    ],
    [
      'listeners do not hear that it sleeps',
      '  recount(step, service)\n  for (const listener of service.listeners) state.toApply.add(listener)\n',
      '  recount(step, service)\n',
    ],
  ]),
  ...mutantsOf('core/node/deploy.ts', [
    ['what people said holds whatever the file says', '  service.isPinned = false\n', ''],
    ['why the file before did not wake is said on', "  service.wakeFailure = ''\n", ''],
    ['what may not sleep any more is woken on', '  service.isWaking &&= canSleep(spec)\n', ''],
    ['a new file is not tried at once', '  step.state.timers.cancel(`wake ${service.key}`)\n', ''],
    [
      'what was idle before a new file stays awake',
      '  for (const service of updated) sleepIfIdle(step, service)\n',
      '',
    ],
    [
      'a new file puts to sleep what is awake',
      'before.wanted > 0 ? awakeCount(spec) : 0',
      'before.wanted < 0 ? awakeCount(spec) : 0',
    ],
    [
      'a new file wakes what sleeps',
      'before !== undefined && before.wanted > 0 ? awakeCount(spec) : 0',
      'before !== undefined ? awakeCount(spec) : 0',
    ],
    [
      'more replicas than a node may have wake',
      'awakeCount(spec) > replicasMax || wantedOf',
      'wantedOf',
    ],
  ]),
  ...mutantsOf('core/node/operator.ts', [
    ['what people put to sleep stays asleep', 'isPinned = replicas > 0', 'isPinned = true'],
    [
      'people scale beyond what the file allows',
      "spec.scale.mode === 'adaptive' && replicas > spec.scale.max",
      "spec.scale.mode === 'adaptive' && replicas < 0",
    ],
    [
      'people wait for what failed to wake, too',
      '  step.state.timers.cancel(`wake ${service.key}`)\n',
      '',
    ],
    [
      'groups that may not sleep are put to sleep',
      '(replicas === 0 && canSleep(spec))',
      'replicas === 0',
    ],
  ]),
  ...mutantsOf('core/node/service/failures.ts', [
    [
      'what people want is started again though it is to stay out',
      '(!service.isWaking || service.isPinned)) slot',
      '!service.isWaking) slot',
    ],
    [
      'what people want sleeps on',
      'const sleepsOn = service.isWaking && !service.isPinned',
      'const sleepsOn = service.isWaking',
    ],
    [
      'who waits for what does not come up waits on',
      '  failWaking(step, service, `${label} ${reason}`)\n',
      '',
    ],
  ]),
  ...mutantsOf('core/node/service/replicas.ts', [
    [
      'who came up is still waited for',
      '    if (service.isWaking && takesPart(next)) noteAwake(step, service)\n',
      '',
    ],
  ]),
  ...mutantsOf('core/node/service/standing.ts', [
    [
      'datagrams may come before their listener knows that it sleeps',
      "listener.endpoint.protocol === 'udp' &&\n  listener.sentVersion === listener.appliedVersion",
      "listener.endpoint.protocol === 'udp'",
    ],
    [
      'a deployment is not ready while one of it is woken',
      '(wasReady && isComing(service))',
      'wasReady && false',
    ],
    [
      'datagrams wait for what sleeps, and so does its deployment',
      ' || mayLack(service, each)',
      '',
    ],
    [
      'what sleeps needs nobody where it listens',
      "  listener.endpoint.protocol === 'udp' &&\n",
      '',
    ],
    ['what sleeps is not well', "new Set(['healthy', 'asleep'])", "new Set(['healthy'])"],
  ]),
  ...mutantsOf('core/node/service/listeners.ts', [
    [
      'it does not sleep when the last who came is gone',
      '  if (service !== undefined) sleepIfIdle(step, service)\n',
      '',
    ],
    ['nobody hears of another nap', '  napsOf(step, listener) === listener.naps &&\n', ''],
    [
      'nobody hears whether who comes may wait',
      '  whenEmpty(step, listener) === listener.whenEmpty &&\n',
      '',
    ],
    [
      'who may wait has nobody',
      "(listener.sent.size > 0 || listener.whenEmpty === 'hold')",
      'listener.sent.size > 0',
    ],
  ]),
  ...mutantsOf('core/node/service/plans.ts', [
    [
      'what is gone is to go to sleep',
      "of ['plan', 'wait', 'wake', 'sleep'] as const",
      "of ['plan', 'wait', 'wake'] as const",
    ],
    [
      'what is gone may be woken again later',
      "of ['plan', 'wait', 'wake', 'sleep'] as const",
      "of ['plan', 'wait', 'sleep'] as const",
    ],
  ]),
]
