/** Sets of backends: who left, and how long flows wait for them. */
import type { Instant } from '../../machine.ts'
import { checkedConfig } from '../config.ts'
import type { FlowEvent } from '../events.ts'
import { drained, type FlowState, type Out } from '../state.ts'

type Event<Type> = Extract<FlowEvent, { type: Type }>

export function onApplyBackends(
  state: FlowState,
  { version, backends }: Event<'apply-backends'>,
  now: Instant,
  out: Out,
): void {
  const { group, lingering, records, use } = state
  const left = group.apply(version, backends)
  const inForce = group.version
  if (records.live === 0) use.end(now)
  out.push({ type: 'backends-applied', version: inForce })
  for (const member of lingering.keys()) if (member.state !== 'draining') lingering.delete(member)
  for (const member of left) {
    if (member.state === 'gone') {
      out.push({ type: 'backend-drained', backend: member.backend.id, version: inForce })
    } else if ((state.waitingOn[member.index] ?? 0) === 0) {
      drained(state, member, out)
    } else {
      lingering.set(member, now + state.config.lingerMs)
    }
  }
}

/** Its flows are found one by one, when their clients send again. */
export function onCutBackend(state: FlowState, { backend }: Event<'cut-backend'>, out: Out): void {
  const member = state.group.find(backend)
  if (member?.state === 'draining') drained(state, member, out)
}

/** Answers of backends that left some time ago are not waited for any longer. */
export function endLingering(state: FlowState, now: Instant, out: Out): void {
  for (const [member, until] of state.lingering) if (until <= now) drained(state, member, out)
}

/** Flows keep the configuration they were admitted under; it is kept as long as they live. */
export function onConfigure(state: FlowState, { config }: Event<'configure'>, now: Instant): void {
  const { configs, configNumber, records, use } = state
  state.config = checkedConfig(config)
  if (records.live === 0) use.end(now)
  use.configure(config.idleAfterMs, now)
  if (configs[configNumber]!.flows > 0) {
    const free = configs.indexOf(undefined)
    state.configNumber = free < 0 ? configs.length : free
  }
  configs[state.configNumber] = { config, flows: 0 }
}
