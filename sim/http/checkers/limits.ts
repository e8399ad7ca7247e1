/** What may be refused for its size, or its form, under any limit that was in force meanwhile. */
import type { SimRequest } from '../truth.ts'
import type { AnswerPlan } from '../wire/answers.ts'
import type { HttpWorld } from '../world.ts'

export function mayRefuse({ plan, client, begunAt = 0 }: SimRequest, world: HttpWorld): boolean {
  if (plan.flaw !== undefined) return true
  const { operator } = world
  const since = Math.min(begunAt, client.acceptedAt)
  const headBytesMax = Math.min(
    ...operator.limitsSince(since).map((each) => each.headBytesMax),
    ...operator.settingsSince(since).map((each) => each.headBytesMax),
  )
  const configs = [client.config, ...operator.configsSince(since)]
  const fieldsMax = Math.min(...configs.map((each) => each.fieldsMax))
  const lineBytesMax = Math.min(...configs.map((each) => each.lineBytesMax))
  const head = plan.streamHead === undefined ? plan.head : JSON.stringify(plan.streamHead) // not less than what anybody makes of it
  if (head.length >= headBytesMax || plan.fieldCount + SPARE > fieldsMax) return true
  const isLong = plan.streamHead === undefined ? longestLine(plan.head) : head.length
  return isLong >= lineBytesMax
}

/** Not taken for an answer. */
export function mayDisbelieve(plan: AnswerPlan, world: HttpWorld): boolean {
  if (plan.wrong !== undefined || plan.becomesTunnel) return true
  const { operator } = world
  const headBytesMax = Math.min(
    ...operator.limitsSince(0).map((each) => each.headBytesMax),
    ...operator.settingsSince(0).map((each) => each.headBytesMax),
  )
  const configs = operator.configsSince(0)
  const fieldsMax = Math.min(...configs.map((each) => each.fieldsMax))
  const lineBytesMax = Math.min(...configs.map((each) => each.lineBytesMax))
  const isLarge = plan.headEndsAt >= headBytesMax || plan.fields.length + SPARE > fieldsMax
  return isLarge || longestLine(plan.text.slice(0, plan.headEndsAt)) >= lineBytesMax
}

const longestLine = (head: string): number =>
  Math.max(...head.split('\r\n').map(({ length }) => length))

/** Fields that whoever counts may count as well: pseudo-headers, trailers. */
const SPARE = 6
