/** What is left while a node stops, as one line, and how often that line is worth saying. Pure. */
import type { NodeView } from '../../../core/node/view.ts'
import type { DrainWork } from '../../node/operator/api.ts'
import { countText, durationText, waitingFor } from './describe.ts'
import { plainLine } from './width.ts'

/**
 * `stopping for 3s: 12 connections left, cut in 27s at the latest; 2 replicas left: web-1 (draining, at
 * most 17s), web-2 (stopping)`. Endpoints may cut theirs earlier: then their replicas say so.
 */
export function drainText(view: NodeView, work: DrainWork, elapsedMs: number): string {
  const parts: string[] = []
  const live = workText(work)
  if (live !== '') {
    parts.push(`${live} left${cutText(view)}`)
  }
  const count = view.replicas.length
  if (count > 0) parts.push(`${countText(count, 'replica')} left: ${waitingFor(view)}`)
  const left = parts.length === 0 ? '' : `: ${parts.join('; ')}`
  return plainLine(`stopping for ${durationText(elapsedMs)}${left}`)
}

function cutText({ drain }: NodeView): string {
  if (drain === undefined) return ''
  return drain.remainsMs === 0
    ? ', being cut'
    : `, cut in ${durationText(drain.remainsMs)} at the latest`
}

/** `4 requests, 12 connections and 3 flows`; empty when there are none. */
export function workText({ connections, requests, flows }: DrainWork): string {
  const parts = []
  if (requests > 0) parts.push(countText(requests, 'request'))
  if (connections > 0) parts.push(countText(connections, 'connection'))
  if (flows > 0) parts.push(countText(flows, 'flow'))
  return parts.length < 3 ? parts.join(' and ') : `${parts[0]}, ${parts[1]} and ${parts[2]}`
}

/** What a stop at once does to what is left: `12 connections and 3 flows cut, 2 replicas killed`. */
export function abortText(view: NodeView, work: DrainWork): string {
  const parts: string[] = []
  const live = workText(work)
  if (live !== '') parts.push(`${live} cut`)
  const running = view.replicas.filter(({ pid }) => pid !== undefined).length
  if (running > 0) parts.push(`${countText(running, 'replica')} killed`)
  return parts.length === 0 ? 'stopping at once' : `stopping at once: ${parts.join(', ')}`
}

/** Changes when there is news: a replica is gone, the last request, connection or flow is. */
export const drainGist = (view: NodeView, work: DrainWork): string =>
  [view.replicas.length, work.requests > 0, work.connections > 0, work.flows > 0].join(' ')

/**
 * Which looks at something that goes on become a line in a file: those with news, and one every five
 * seconds. Answers whether this one does; `nowMs` on any clock that only goes forward.
 */
export function worthSaying(): (gist: string, nowMs: number) => boolean {
  let said: string | undefined
  let saidAt = Number.NEGATIVE_INFINITY
  return (gist, nowMs) => {
    if (gist === said && nowMs - saidAt < QUIET_MS) return false
    said = gist
    saidAt = nowMs
    return true
  }
}

export const NO_WORK: DrainWork = { connections: 0, requests: 0, flows: 0 }

const QUIET_MS = 5_000
