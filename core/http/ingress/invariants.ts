import { checkInvariants as checkGroup } from '../../balance/invariants.ts'
import { assert } from '../../machine.ts'
import { checkInvariants as checkTimers } from '../../time/deadline-queue.ts'
import { queued } from './clients/queue.ts'
import type { HttpIngress } from './ingress.ts'
import { type Client, type IngressState, type Listener, STAGE, type Upstream } from './state.ts'

/** Throws {@link InvariantError} when the machine contradicts itself. After every step. */
export function checkInvariants(ingress: HttpIngress): void {
  const { state } = ingress
  const { clients, upstreams, listeners, timers, counters } = state
  checkTimers(timers)
  for (const listener of listeners.values()) checkListener(state, listener)
  for (const client of clients.values()) checkClient(state, client)
  for (const upstream of upstreams.values()) checkUpstream(state, upstream)
  let timed = 0
  for (const owner of [...clients.values(), ...upstreams.values(), ...listeners.values()]) {
    if (owner.timerAt !== Number.POSITIVE_INFINITY) timed += 1
  }
  assert(timers.size === timed, 'every timer has its owner')
  const all = [...clients.values()]
  const held = all.filter(({ stage }) => stage === STAGE.held)
  assert(held.length === state.heldCount, 'held requests are counted')
  const heldBytes = held.reduce((sum, client) => sum + client.heldBytes, 0)
  assert(heldBytes === state.heldBytes, 'their bytes are counted')
  const ended = Object.values(counters.outcomes).reduce((sum, count) => sum + count, 0)
  const live = all.filter(isExchanging).length
  assert(counters.begun === ended + live, 'a request has one outcome')
  assert(state.chores.length === 0 || state.goOnAt !== undefined, 'work left over has its instant')
}

function checkClient(
  { clients, timers, upstreams, listeners }: IngressState,
  client: Client,
): void {
  const { id, stage, upstream, target, listener } = client
  assert(clients.get(id) === client, `client ${id} is filed under its number`)
  assert(stage !== STAGE.gone, `${id} is not gone`)
  const isTimed = client.timerAt !== Number.POSITIVE_INFINITY
  assert(isTimed === (timers.at(id) !== undefined), `${id} knows its timer`)
  assert(!isTimed || timers.at(id) === client.timerAt, `${id} knows when its timer fires`)
  assert(client.timerAt <= client.dueAt, `${id} is woken in time`)
  assert(client.dueAt < Infinity || stage === STAGE.tunnel, `${id} does not stay for ever`)
  const isWired =
    stage === STAGE.connecting ||
    stage === STAGE.asking ||
    stage === STAGE.answering ||
    stage === STAGE.tunnel
  assert((upstream !== undefined) === isWired, `${id} has an upstream iff it is used`)
  assert((target !== undefined) === isWired, `${id} has a life on a backend iff it uses one`)
  assert(upstream === undefined || upstream.client === client, `${id} is its upstream's client`)
  assert(upstream === undefined || upstreams.get(upstream.id) === upstream, `${id}: it is known`)
  assert(target === upstream?.target, `${id}: where its life is, its upstream is`)
  assert(listener === undefined || isExchanging(client), `${id} leaves its listener in time`)
  assert(listener === undefined || listeners.get(listener.id) === listener, `${id}: it is known`)
  assert((listener?.held.has(client) === true) === (stage === STAGE.held), `${id} is held once`)
  assert(stage !== STAGE.closing || !client.isPaused, `${id} is read to its end`)
  assert(queued(client) > 0 === (client.queue !== undefined), `${id} keeps no empty queue`)
  if (stage === STAGE.connecting) assert(!upstream!.isConnected, `${id} waits to be connected`)
  if (stage === STAGE.asking || stage === STAGE.answering || stage === STAGE.tunnel) {
    assert(upstream!.isConnected, `${id} is connected`)
    assert(upstream!.isPaused === client.isBlocked || upstream!.hasEnded, `${id}: back-pressure`)
  }
}

function checkUpstream({ upstreams, timers }: IngressState, upstream: Upstream): void {
  const { id, client, target } = upstream
  assert(upstreams.get(id) === upstream, `upstream ${id} is filed under its number`)
  const at = timers.at(-id)
  assert((at ?? Number.POSITIVE_INFINITY) === upstream.timerAt, `${id} knows its timer`)
  if (client !== undefined) {
    assert(client.upstream === upstream, `${id} is its client's upstream`)
    return
  }
  assert(upstream.timerAt <= upstream.dueAt, `${id} is not idle for ever`)
  assert(!upstream.isPaused && upstream.isConnected, `${id} is clean`)
  assert(!upstream.hasEnded && upstream.left === 0, `${id} has ended no answer early`)
  let idle = target.newest
  while (idle !== undefined && idle !== upstream) idle = idle.older
  assert(idle === upstream, `${id} is in the pool of its backend`)
}

function checkListener(state: IngressState, listener: Listener): void {
  const { id, group, targets, live, tunnels, idle, timerAt } = listener
  checkGroup(group)
  assert(state.listeners.get(id) === listener, `listener ${id} is filed under its name`)
  assert((state.timers.at(id) ?? Number.POSITIVE_INFINITY) === timerAt, `${id} knows its timer`)
  const own = [...state.clients.values()].filter((client) => client.listener === listener)
  assert(own.length === live, `${id} counts its exchanges`)
  const inTunnel = own.filter(({ stage }) => stage === STAGE.tunnel).length
  assert(inTunnel === tunnels, `${id} counts its tunnels`)
  const pooled = [...state.upstreams.values()].filter(
    (upstream) => upstream.listener === listener && upstream.client === undefined,
  )
  assert(pooled.length === idle, `${id} counts its idle connections`)
  for (const target of targets) {
    if (target === undefined) continue
    const { member, idle: kept } = target
    assert(
      pooled.filter((upstream) => upstream.target === target).length === kept,
      `${id} counts those of ${member.backend.id}`,
    )
    let lives = 0
    for (let client = target.first; client !== undefined; client = client.after) {
      assert(client.target === target, `${id}: who is in the list of a backend has a life there`)
      assert(client.after === undefined || client.after.before === client, `${id}: both ways`)
      lives += 1
    }
    if (group.state.members[member.index] !== member) assert(lives === 0, `${id}: none is lost`)
    else assert(lives === member.live, `${id}: lives on ${member.backend.id} are counted`)
  }
}

const isExchanging = ({ stage }: Client): boolean =>
  stage !== STAGE.ready && stage !== STAGE.closing && stage !== STAGE.gone
