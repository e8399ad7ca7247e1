/** The backends a listener was given last, for when its machine breaks and another takes its place. */
import type { ListenerFact } from '../../../core/balance/facts.ts'
import type { Backend, BackendId } from '../../../core/balance/group.ts'

export class RememberedSet {
  #version = 0
  #backends: readonly Backend[] = []
  /** Left the set, and the machine has not said yet that nothing waits for them. */
  readonly #leaving = new Set<BackendId>()

  apply(version: number, backends: readonly Backend[]): void {
    if (version <= this.#version) return
    const staying = new Set(backends.map(({ id }) => id))
    for (const { id } of this.#backends) if (!staying.has(id)) this.#leaving.add(id)
    for (const id of staying) this.#leaving.delete(id)
    this.#version = version
    this.#backends = backends
  }

  drained(backend: BackendId): void {
    this.#leaving.delete(backend)
  }

  /** Nothing waits for those that left any more: the parent is told so for each. */
  lost(tell: (fact: ListenerFact) => void): void {
    const left = [...this.#leaving]
    this.#leaving.clear()
    for (const backend of left) tell({ type: 'backend-drained', backend, version: this.#version })
  }

  /** What a new machine is to know; undefined when there was no set yet. */
  get event():
    | { type: 'apply-backends'; version: number; backends: readonly Backend[] }
    | undefined {
    if (this.#version === 0) return undefined
    return { type: 'apply-backends', version: this.#version, backends: this.#backends }
  }
}
