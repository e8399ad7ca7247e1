/** What must hold of a group between two calls. For tests and the simulator: it walks everything. */
import { assert } from '../machine.ts'
import type { BackendGroup } from './group.ts'

/** Throws {@link InvariantError} when the group contradicts itself. */
export function checkInvariants(group: BackendGroup): void {
  const { serving, draining, members, freeIndexes, candidates, isFailingOpen } = group.state
  const { livesMax: max, fullCount } = group.state
  for (const [id, member] of serving) {
    assert(member.state === 'serving', `${id} is in the set but ${member.state}`)
    assert(member.backend.id === id, `${id} is filed under its id`)
    assert(!draining.has(id), `${id} serves and drains`)
    assert(members[member.index] === member, `${id} is found by its index`)
    assert(member.isCandidate === candidates.includes(member), `${id} knows if it may be chosen`)
  }
  for (const [id, member] of draining) {
    assert(member.state === 'draining', `${id} drains but is ${member.state}`)
    assert(member.backend.id === id, `${id} is filed under its id`)
    assert(member.live > 0, `${id} drains with nothing on it`)
    assert(!member.isCandidate, `${id} drains and may be chosen`)
    assert(members[member.index] === member, `${id} is found by its index`)
  }
  for (const [index, member] of members.entries()) {
    assert((member === undefined) === freeIndexes.includes(index), `${index} is free or taken`)
    if (member === undefined) continue
    assert(member.index === index, `${member.backend.id} knows its index`)
    assert(
      member.isFull === (max > 0 && member.live >= max),
      `${member.backend.id} knows if it is full`,
    )
    if (member.state !== 'gone') continue
    assert(member.live > 0 && !member.isCandidate, 'a forgotten member only carries something')
  }
  const full = candidates.filter(({ isFull }) => isFull)
  assert(fullCount === full.length, 'the full ones are counted')
  assert(freeIndexes.length === new Set(freeIndexes).size, 'an index is free once')
  for (const { backend, isCandidate } of serving.values()) {
    const isLast = candidates.every((other) => other.backend.down || other.backend.backup)
    if (isFailingOpen) assert(backend.down === true && isCandidate, 'all are down, and used')
    else if (isCandidate) assert(backend.down !== true, `${backend.id} is down, and another is not`)
    else if (!backend.down) assert(backend.backup === true && !isLast, `${backend.id} is left out`)
  }
}
