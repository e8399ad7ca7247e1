import { assert } from '../../machine.ts'
import { checkInvariants as checkTimers } from '../../time/deadline-queue.ts'
import { HELLO_BYTES_MAX, HELLO_RECORDS_MAX } from './client-hello.ts'
import type { StreamEntrance } from './entrance.ts'
import { PROXY_HEADER_BYTES_MAX } from './greeting.ts'
import type { Greeting } from './state.ts'

/** Throws {@link InvariantError} when the machine contradicts itself. After every step. */
export function checkInvariants(entrance: StreamEntrance): void {
  const { greetings, timers, counters, phase, goOnAt } = entrance.state
  checkTimers(timers)
  for (const [id, greeting] of greetings) {
    const { type } = greeting.stage
    assert(greeting.id === id, `connection ${id} is filed under its number`)
    assert(type === 'header' || type === 'hello' || type === 'handshake', `${id} rests as ${type}`)
    assert(greeting.length <= greeting.bytes.length, `${id} has the bytes that it counts`)
    assert(greeting.length <= bytesMax(greeting), `${id} keeps no more than it may`)
    assert(timers.at(id) !== undefined, `${id} does not stay for ever`)
  }
  assert(timers.size === greetings.size, 'no timer of a connection that is through')
  const refused = Object.values(counters.refused).reduce((sum, count) => sum + count, 0)
  assert(
    counters.accepted === greetings.size + counters.admitted + refused,
    'accepted = on their way in + admitted + refused',
  )
  assert(counters.secured <= counters.admitted, 'who is secured is let in')
  const unfinished = phase === 'closed' && greetings.size > 0
  assert(!unfinished || goOnAt !== undefined, 'work left over has its instant')
}

/** Of a connection that still waits for more. */
function bytesMax({ stage }: Greeting): number {
  if (stage.type === 'header') return PROXY_HEADER_BYTES_MAX
  if (stage.type === 'handshake') return 0
  return PROXY_HEADER_BYTES_MAX + 4 + HELLO_BYTES_MAX + 5 * HELLO_RECORDS_MAX
}
