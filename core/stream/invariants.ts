import { checkInvariants as checkGroup } from '../balance/invariants.ts'
import { assert } from '../machine.ts'
import { checkInvariants as checkTimers } from '../time/deadline-queue.ts'
import type { StreamListener } from './listener.ts'
import { isOver } from './state.ts'

/** Throws {@link InvariantError} when the machine contradicts itself. After every step. */
export function checkInvariants(listener: StreamListener): void {
  const { state } = listener
  const { group, pairs, pairsOn, held, timers, counters, phase, cutting, goOnAt } = state
  checkGroup(group)
  checkTimers(timers)
  for (const [id, pair] of pairs) {
    const { link } = pair
    assert(pair.id === id, `connection ${id} is filed under its number`)
    assert(link.type !== 'choosing' && link.type !== 'closed', `${id} rests as ${link.type}`)
    assert(held.has(pair) === (link.type === 'held'), `${id} is among the held iff it is held`)
    const unread = link.type !== 'joined'
    assert((pair.toUpstream === 'held') === unread, `${id} holds the client back until joined`)
    assert((pair.toClient === 'held') === unread, `${id} holds the upstream back until joined`)
    assert(!isOver(pair.toUpstream) || !isOver(pair.toClient), `${id} is over but open`)
    assert(pair.tried.length < pair.config.connectAttemptsMax, `${id} stays within its attempts`)
    const timed = unread || pair.config.idleTimeoutMs > 0
    assert((timers.at(id) !== undefined) === timed, `${id} has a timer iff one can end it`)
    if (link.type === 'held') continue
    assert(pairsOn.get(link.member)?.has(pair) === true, `${id} is found by its backend`)
    assert(link.member.state !== 'gone', `${id} keeps its backend from being gone`)
    assert(!pair.tried.includes(link.member.backend.id), `${id} tries no backend twice`)
  }
  assert(timers.size <= pairs.size, 'no timer of a connection that is closed')
  let found = 0
  for (const [{ backend, live }, those] of pairsOn) {
    assert(those.size > 0 && those.size === live, `${backend.id} has the pairs that it counts`)
    found += those.size
  }
  const counted = group.state.members.reduce((sum, member) => sum + (member?.live ?? 0), 0)
  assert(counted === found, 'no backend counts what is not there')
  assert(found + held.size === pairs.size, 'every connection is held, or found by one backend')
  const mayWait = group.candidateCount === 0 && state.whenEmpty === 'hold'
  assert(held.size === 0 || mayWait || goOnAt !== undefined, 'nobody waits without a reason')
  assert(held.size === 0 || !mayWait || state.isWanted, 'who waits is wanted')
  assert(pairs.size === 0 || !state.use.isIdle, 'what is used is not idle')
  const ended = Object.values(counters.closed).reduce((sum, count) => sum + count, 0)
  assert(counters.accepted === pairs.size + ended, 'accepted = live + closed')
  assert(counters.connected <= listener.state.attemptLast, 'no more successes than attempts')
  assert(phase !== 'emptied' || pairs.size === 0, 'emptied means empty')
  const unfinished = cutting.size > 0 || (phase === 'aborting' && pairs.size > 0)
  assert(!unfinished || goOnAt !== undefined, 'work left over has its instant')
}
