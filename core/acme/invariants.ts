/** What always holds of a planner. */
import { assert, type Instant } from '../machine.ts'
import { PAUSE_MAX_MS } from './pauses.ts'
import type { AcmePlanner } from './planner.ts'
import { dueAtOf } from './state.ts'

/** Throws `InvariantError`; `now`: of the last step. */
export function checkInvariants(planner: AcmePlanner, now: Instant): void {
  const { state } = planner
  const { names, order, config, counters, nextLookAt, pausedUntil } = state
  assert(names.size <= config.namesMax, 'names are bounded')
  assert(
    (nextLookAt === Number.POSITIVE_INFINITY) === (names.size === 0),
    'looks while there are names',
  )
  assert(pausedUntil <= now + 2 * PAUSE_MAX_MS, 'nobody waits for ever')
  if (order !== undefined) {
    assert(names.has(order.name), 'what is ordered is wanted')
    assert(order.attempt === state.attempts, 'the order under way is the last one')
    assert(order.giveUpAt <= now + config.orderTimeoutMs, 'an order ends')
  } else if (state.hasLooked && pausedUntil <= now) {
    for (const name of names.values()) {
      assert(dueAtOf(name) > now, `${name.name} is due and not ordered`)
    }
  }
  const failed = Object.values(counters.failed).reduce((sum, count) => sum + count, 0)
  const ended = counters.issued + failed - counters.failed.unused
  assert(ended <= counters.orders, 'an order ends once')
  const deadline = planner.deadline()
  assert(deadline === undefined || order === undefined || deadline <= order.giveUpAt, 'in time')
}
