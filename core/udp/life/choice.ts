/** Which backend a flow gets. */
import type { BackendId, Member } from '../../balance/group.ts'
import type { Instant } from '../../machine.ts'
import type { PackedAddress } from '../../net/packed-address.ts'
import type { UdpConfig } from '../config.ts'
import { affinityKey, type FlowState, waits } from '../state.ts'
import { ANNOUNCED, CONFIG, FLAGS, KEY, KEY_LAST_SHIFT, SOURCE } from '../storage/flow-records.ts'
import { NONE, PAGE_BITS } from '../storage/records.ts'

/** Gives one more flow of `client` to a backend. The caller's key, if there is one, is built. */
export function choose(
  state: FlowState,
  config: UdpConfig,
  client: PackedAddress,
  source: number,
  exclude: readonly BackendId[],
): Member | undefined {
  const { group, key } = state
  if (state.keyOf !== undefined) {
    return group.choose(exclude, affinityKey(state, key.words, 0, key.last))
  }
  return chooseByAddress(state, config, client, source, exclude)
}

/** Another backend for a flow that is there. */
export function chooseAgain(
  state: FlowState,
  slot: number,
  exclude: readonly BackendId[],
): Member | undefined {
  const { group, records } = state
  const words = records.words[slot >> PAGE_BITS]!
  const at = records.offset(slot)
  const { config } = state.configs[words[at + CONFIG]!]!
  if (state.keyOf !== undefined) {
    const last = (words[at + FLAGS]! >> KEY_LAST_SHIFT) & 7
    return group.choose(exclude, affinityKey(state, words, at + KEY, last))
  }
  return chooseByAddress(state, config, clientOf(state, slot), words[at + SOURCE]! - 1, exclude)
}

/** Not with `datagram`: there a flow's backend was chosen before it, and is never another. */
function chooseByAddress(
  state: FlowState,
  config: UdpConfig,
  client: PackedAddress,
  source: number,
  exclude: readonly BackendId[],
): Member | undefined {
  const { group, affinity, sources } = state
  if (config.affinity === 'source-ip') {
    const usual = source === NONE ? undefined : sources.memberOf(source)
    if (usual?.isCandidate === true && !exclude.includes(usual.backend.id)) {
      group.take(usual)
      return usual
    }
  }
  affinity.setAddress(client, config.affinity === 'source-ip-port')
  return group.choose(exclude, affinityKey(state, affinity.words, 0, affinity.last))
}

/** Who the flow is for: behind a trusted proxy, whom the proxy announced. */
export function clientOf(state: FlowState, slot: number): PackedAddress {
  const { records } = state
  const flags = records.words[slot >> PAGE_BITS]![records.offset(slot) + FLAGS]!
  const announced = (flags & ANNOUNCED) === 0 ? undefined : state.announced.get(slot)
  return announced?.source ?? records.peer(slot)
}

/** Whether a flow goes on with its backend: also for a while with one that left and owes an answer. */
export function isUsable(state: FlowState, member: Member, slot: number, now: Instant): boolean {
  if (member.isCandidate) return true
  const until = state.lingering.get(member)
  return until !== undefined && now < until && waits(state, slot)
}
