/**
 * Connections to backends: new ones go to who may be chosen, at its address; only clean ones are used
 * again, and none that is too old for what is asked.
 */

import type { Attempt } from '../truth.ts'
import { IDEMPOTENT } from '../wire/requests.ts'
import type { HttpWorld } from '../world.ts'

export class Pool {
  /** A connection is asked something, by what was just written to it. */
  asked(attempt: Attempt, world: HttpWorld): void {
    const { upstream, request, isReused } = attempt
    const { listener, backend, host, port } = upstream.place
    const truth = world.operator.listeners.get(listener)
    const member = truth?.set.get(backend)
    if (member === undefined || member.host !== host || member.port !== port) {
      // What was connecting, or waits for its turn on the wire, may have been overtaken by a set.
      if (isReused) world.fail(NAME, `${backend} of ${listener} left, and gets something new`)
    }
    if (!isReused) return
    world.trace.mark('http reused')
    const last = upstream.current!
    const dirty = whyDirty(last, world)
    const { number } = request.plan
    if (dirty !== undefined) {
      world.fail(NAME, `request ${number} goes on upstream ${upstream.id}, which ${dirty}`)
    }
    const idleMs = world.machineNow() - upstream.idleSince
    const configs = [request.client.config, last.request.client.config]
    configs.push(...world.operator.configsSince(upstream.openedAt))
    const idleUpstreamMs = Math.max(...configs.map((each) => each.idleUpstreamMs))
    const freshUpstreamMs = Math.max(...configs.map((each) => each.freshUpstreamMs))
    if (idleMs > idleUpstreamMs + SLACK_MS) {
      world.fail(NAME, `upstream ${upstream.id} was idle for ${idleMs} ms and is used`)
    }
    const keepAliveS = last.plan?.keepAliveS
    if (keepAliveS !== undefined && idleMs > Math.max(0, keepAliveS - 1) * 1_000 + SLACK_MS) {
      world.fail(NAME, `upstream ${upstream.id} was kept for longer than its backend said`)
    }
    if (!IDEMPOTENT.has(request.plan.method) && idleMs > freshUpstreamMs + SLACK_MS) {
      world.fail(
        NAME,
        `request ${number} cannot be repeated and takes a connection idle for ${idleMs} ms`,
      )
    }
  }
}

/** Why a connection cannot be used again. */
function whyDirty(last: Attempt, world: HttpWorld): string | undefined {
  const { upstream, plan, request } = last
  if (upstream.toldBroken) return 'is broken'
  if (upstream.toldEnded) return 'has ended'
  if (plan === undefined) return 'owes an answer'
  if (!last.isWhole) return 'was not sent all of the request before'
  const { answer } = request
  const isCounted = answer?.isWhole === true || !request.client.isHeld || answer?.attempt !== last
  if (!isCounted) return 'is not done with the answer before'
  if (plan.wrong !== undefined) return `had ${plan.wrong}`
  if (plan.becomesTunnel) return 'became a tunnel'
  if (plan.framing === 'until-close') return 'ends with its answer'
  if (plan.fields.some(([name, value]) => name === 'Connection' && value === 'close')) {
    return 'said that it closes'
  }
  const endsAt = last.answerFrom + plan.text.length
  if (upstream.told < endsAt) return 'is not done with its answer'
  if (upstream.told > endsAt) return 'said what nobody asked for'
  void world
  return undefined
}

const NAME = 'http pool'
const SLACK_MS = 1
