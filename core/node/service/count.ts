/** What of a service is what its file asks for, counted anew. */
import { replicaOf, type Service, type Step } from '../state.ts'
import { isSound } from './checks.ts'
import { isCurrent } from './replicas.ts'

/** After another revision or number of replicas: how many are what is asked for, how many are not. */
export function recount({ state }: Step, service: Service): void {
  service.current = 0
  service.outdated = 0
  for (const slot of service.slots.values()) {
    const replica = replicaOf(state, slot)
    if (replica?.state !== 'ready') continue
    if (isSound(replica) && isCurrent(service, replica)) service.current += 1
    if (replica.revision !== service.revision) service.outdated += 1
  }
}
