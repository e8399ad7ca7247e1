import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  ANSWER_SLACK_MS,
  FIRST_PASS_INTERVAL_MS,
  type HealthCommand,
  type HealthEvent,
  HealthMonitor,
  type HealthPolicy,
} from '../../../core/services/health.ts'

const POLICY: HealthPolicy = {
  startGraceMs: 5_000,
  intervalMs: 10_000,
  timeoutMs: 2_000,
  retries: 3,
  passes: 1,
}

function watch(policy = POLICY) {
  const monitor = new HealthMonitor(policy, 0)
  const feed = (event: HealthEvent, now: number): HealthCommand[] => {
    const out: HealthCommand[] = []
    monitor.step(event, now, out)
    return out
  }
  const answer = (ok: boolean, now: number, attempt = monitor.state.attempt) =>
    feed({ type: 'result', attempt, ok, reason: ok ? '' : 'connection refused' }, now)
  return { monitor, feed, answer }
}

const HEALTHY: HealthCommand = { type: 'verdict', verdict: 'healthy', reason: '' }
const UNHEALTHY: HealthCommand = {
  type: 'verdict',
  verdict: 'unhealthy',
  reason: 'connection refused',
}

test('the first probe goes out at once, and the first pass makes it healthy', () => {
  const { monitor, feed, answer } = watch()
  expect(monitor.deadline()).toBe(0)
  expect(feed({ type: 'tick' }, 0)).toEqual([{ type: 'probe', attempt: 1, timeoutMs: 2_000 }])
  expect(answer(true, 3)).toEqual([HEALTHY])
  expect(monitor.deadline()).toBe(3 + POLICY.intervalMs)
})

test('until the first pass it is probed every 250 ms', () => {
  const { monitor, feed, answer } = watch()
  feed({ type: 'tick' }, 0)
  expect(answer(false, 10)).toEqual([])
  expect(monitor.deadline()).toBe(10 + FIRST_PASS_INTERVAL_MS)
})

test('in the start grace failures do not count, after it `retries` of them do', () => {
  const { feed, answer } = watch()
  let now = 0
  for (; now < POLICY.startGraceMs; now += FIRST_PASS_INTERVAL_MS) {
    feed({ type: 'tick' }, now)
    expect(answer(false, now)).toEqual([])
  }
  const verdicts = [0, 1, 2].map((count) => {
    feed({ type: 'tick' }, now + count * FIRST_PASS_INTERVAL_MS)
    return answer(false, now + count * FIRST_PASS_INTERVAL_MS)
  })
  expect(verdicts).toEqual([[], [], [UNHEALTHY]])
})

test('services W40: one lost probe of a healthy replica changes nothing, three in a row do', () => {
  const { monitor, feed, answer } = watch()
  feed({ type: 'tick' }, 0)
  answer(true, 0)
  const results = [false, true, false, false, false].map((ok, index) => {
    const now = (index + 1) * POLICY.intervalMs
    feed({ type: 'tick' }, now)
    const commands = answer(ok, now)
    expect(monitor.deadline()).toBe(now + POLICY.intervalMs) // the interval never shrinks or grows
    return commands
  })
  expect(results).toEqual([[], [], [], [], [UNHEALTHY]])
  feed({ type: 'tick' }, 60_000)
  expect(answer(true, 60_000)).toEqual([HEALTHY])
})

test('an answer that does not come counts as a failure, and a late one is stale', () => {
  const { monitor, feed, answer } = watch({ ...POLICY, retries: 1, startGraceMs: 0 })
  feed({ type: 'tick' }, 0)
  const overdue = 2_000 + ANSWER_SLACK_MS
  expect(monitor.deadline()).toBe(overdue)
  expect(feed({ type: 'tick' }, overdue)).toEqual([
    { type: 'cancel', attempt: 1 },
    { type: 'verdict', verdict: 'unhealthy', reason: 'no answer within 2000 ms' },
  ])
  feed({ type: 'tick' }, overdue + FIRST_PASS_INTERVAL_MS)
  expect(answer(true, overdue + 300, 1)).toEqual([])
  expect(answer(true, overdue + 300, 2)).toEqual([HEALTHY])
})

test('a doubled answer counts once', () => {
  const { monitor, feed, answer } = watch({ ...POLICY, startGraceMs: 0 })
  feed({ type: 'tick' }, 0)
  answer(false, 1)
  answer(false, 1, 1)
  expect(monitor.state.streak.against).toBe(1)
})

test('proxy W19: what traffic saw fail is probed at once', () => {
  const { feed, answer } = watch()
  feed({ type: 'tick' }, 0)
  answer(true, 0)
  expect(feed({ type: 'hurry' }, 100)).toEqual([{ type: 'probe', attempt: 2, timeoutMs: 2_000 }])
  expect(feed({ type: 'hurry' }, 101)).toEqual([]) // one is under way
})

test('a stricter policy judges the failures that are already there', () => {
  const { feed, answer } = watch({ ...POLICY, retries: 5 })
  feed({ type: 'tick' }, 0)
  answer(true, 0)
  for (let now = 10_000; now <= 30_000; now += 10_000) {
    feed({ type: 'tick' }, now)
    expect(answer(false, now)).toEqual([])
  }
  expect(feed({ type: 'policy', policy: POLICY }, 30_001)).toEqual([UNHEALTHY])
})

test('udp 8: `passes` in a row bring it back; the first pass ever is enough', () => {
  const { feed, answer } = watch({ ...POLICY, startGraceMs: 0, passes: 2 })
  let now = 0
  const next = (ok: boolean): HealthCommand[] => {
    now += 10_000
    feed({ type: 'tick' }, now)
    return answer(ok, now)
  }
  expect(next(true)).toEqual([HEALTHY])
  expect([next(false), next(false), next(false)]).toEqual([[], [], [UNHEALTHY]])
  expect([next(true), next(false), next(true), next(true)]).toEqual([[], [], [], [HEALTHY]])
})

test('attempts go on where those of an earlier monitor ended', () => {
  const monitor = new HealthMonitor(POLICY, 0, 7)
  const out: HealthCommand[] = []
  monitor.step({ type: 'tick' }, 0, out)
  expect(out).toEqual([{ type: 'probe', attempt: 8, timeoutMs: 2_000 }])
})

test('stopped, it says nothing any more and cancels what is under way', () => {
  const { monitor, feed, answer } = watch()
  feed({ type: 'tick' }, 0)
  expect(feed({ type: 'stop' }, 1)).toEqual([{ type: 'cancel', attempt: 1 }])
  expect(answer(true, 2)).toEqual([])
  expect(feed({ type: 'tick' }, 99_999)).toEqual([])
  expect(monitor.deadline()).toBeUndefined()
})

test('property: whatever happens, verdicts alternate, one probe at a time, the deadline is ahead', () => {
  const steps = fc.oneof(
    fc.record({ do: fc.constant('answer' as const), ok: fc.boolean(), stale: fc.boolean() }),
    fc.record({ do: fc.constant('tick' as const), after: fc.integer({ min: 0, max: 20_000 }) }),
    fc.record({ do: fc.constant('hurry' as const) }),
  )
  const policies = fc.record({
    startGraceMs: fc.integer({ min: 0, max: 10_000 }),
    intervalMs: fc.integer({ min: 1, max: 20_000 }),
    timeoutMs: fc.integer({ min: 1, max: 5_000 }),
    retries: fc.integer({ min: 1, max: 4 }),
    passes: fc.integer({ min: 1, max: 3 }),
  })
  fc.assert(
    fc.property(policies, fc.array(steps, { maxLength: 60 }), (policy, script) => {
      const { monitor, feed, answer } = watch(policy)
      let now = 0
      let open = 0
      let said = 'unknown'
      let inARow = 0
      let passed = 0
      for (const each of script) {
        let commands: HealthCommand[]
        if (each.do === 'tick') {
          now += each.after
          commands = feed({ type: 'tick' }, now)
          expect(monitor.deadline()).toBeGreaterThan(now)
        } else if (each.do === 'hurry') {
          commands = feed({ type: 'hurry' }, now)
        } else {
          const counts = open === 1 && !each.stale
          commands = answer(each.ok, now, monitor.state.attempt - Number(each.stale))
          if (counts) open = 0
          if (counts) inARow = each.ok ? 0 : inARow + 1
          if (counts) passed = each.ok ? passed + 1 : 0
        }
        for (const command of commands) {
          if (command.type === 'probe') open += 1
          if (command.type === 'cancel') {
            open -= 1
            inARow += 1
            passed = 0
          }
          if (command.type !== 'verdict') continue
          expect(command.verdict).not.toBe(said)
          if (said === 'unhealthy') expect(passed).toBeGreaterThanOrEqual(policy.passes)
          said = command.verdict
          if (said === 'unhealthy') expect(inARow).toBeGreaterThanOrEqual(policy.retries)
        }
        expect(open).toBeLessThanOrEqual(1)
        expect(open).toBeGreaterThanOrEqual(0)
      }
    }),
  )
})
