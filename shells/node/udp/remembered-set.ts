/** The backends a listener was given last, for when its machine breaks and another takes its place. */
import type { ListenerFact } from '../../../core/balance/facts.ts'
import type { Backend, BackendId } from '../../../core/balance/group.ts'

export class RememberedSet {
  #version = 0
  #backends: readonly Backend[] = []
  /** Left the set, and the machine has not said yet that nothing waits for them. */
  readonly #leaving = new Set<BackendId>()
  #isIdle = false

  apply(version: number, backends: readonly Backend[]): void {
    if (version <= this.#version) return
    const staying = new Set(backends.map(({ id }) => id))
    for (const { id } of this.#backends) if (!staying.has(id)) this.#leaving.add(id)
    for (const id of staying) this.#leaving.delete(id)
    this.#version = version
    this.#backends = backends
  }

  /** What the machine tells its parent. */
  told(fact: ListenerFact): void {
    if (fact.type === 'backend-drained') this.#leaving.delete(fact.backend)
    if (fact.type === 'idle') this.#isIdle = true
    if (fact.type === 'busy') this.#isIdle = false
  }

  /**
   * Nothing waits for those that left any more: the parent is told so for each. The next machine does
   * not know that this one was idle, and says so itself.
   */
  lost(tell: (fact: ListenerFact) => void): void {
    const left = [...this.#leaving]
    this.#leaving.clear()
    if (this.#isIdle) tell({ type: 'busy' })
    this.#isIdle = false
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
