/**
 * Lets a model without hashes follow a machine's choices of backends: what the machine's strategy
 * was asked and chose is written down, and read back when the model asks. Every question must be
 * the same; keys must be equal exactly where the model's are.
 */
import type { BackendId, Member } from '../../../core/balance/group.ts'
import type { AffinityKey, Strategy } from '../../../core/balance/strategy.ts'

interface Choice {
  readonly exclude: readonly BackendId[]
  readonly key: AffinityKey | undefined
  readonly chosen: BackendId | undefined
  /** Who may be chosen, and how many flows each has. */
  readonly loads: string
}

export class Scribe {
  readonly #written: Choice[] = []
  readonly #hashOf = new Map<string, string>()
  readonly #labelOf = new Map<string, string>()
  #problem: string | undefined
  #followed: Strategy | undefined

  /** The strategy for the machine, and for the one that takes its place: only the newest counts. */
  record(real: Strategy): Strategy {
    this.#followed = real
    let candidates: readonly Member[] = []
    return {
      replace: (registered, replaced) => {
        candidates = replaced
        real.replace(registered, replaced)
      },
      choose: (exclude, key) => {
        const loads = loadsOf(candidates)
        const member = real.choose(exclude, key)
        if (this.#followed !== real) return member
        this.#written.push({
          exclude: exclude.map(({ backend }) => backend.id),
          key: key === undefined ? undefined : { ...key },
          chosen: member?.backend.id,
          loads,
        })
        return member
      },
      memory: () => real.memory?.() ?? [],
      recall: (memory) => real.recall?.(memory),
    }
  }

  /** The strategy for the model, which steps after the machine. */
  readBack(): Strategy {
    let candidates: readonly Member[] = []
    return {
      replace: (_registered, replaced) => {
        candidates = replaced
      },
      choose: (exclude, key) => {
        const choice = this.#written.shift()
        if (choice === undefined) {
          this.#problem ??= 'the model chooses a backend here, the machine does not'
          return candidates.find((member) => !exclude.includes(member))
        }
        this.#compareQuestions(choice, exclude, key)
        const loads = loadsOf(candidates)
        if (choice.loads !== loads) {
          this.#problem ??= `the machine chose from ${choice.loads}, the model from ${loads}`
        }
        return candidates.find(({ backend }) => backend.id === choice.chosen)
      },
    }
  }

  /** What was asked differently in the step that is done. */
  settle(): string | undefined {
    const left = this.#written.splice(0)
    const problem =
      this.#problem ??
      (left.length > 0 ? `the machine made ${left.length} choices too many` : undefined)
    this.#problem = undefined
    return problem
  }

  #compareQuestions(
    choice: Choice,
    exclude: readonly Member[],
    key: AffinityKey | undefined,
  ): void {
    const excluded = exclude.map(({ backend }) => backend.id).join(' ')
    if (choice.exclude.join(' ') !== excluded) {
      this.#problem ??= `the machine excluded ${choice.exclude.join(' ')}, the model ${excluded}`
    }
    const [hash, label] = [textOf(choice.key), textOf(key)]
    if ((choice.key === undefined) !== (key === undefined)) {
      this.#problem ??= `the machine chose with key ${hash}, the model with ${label}`
    }
    const knownHash = this.#hashOf.get(label) ?? hash
    const knownLabel = this.#labelOf.get(hash) ?? label
    this.#hashOf.set(label, knownHash)
    this.#labelOf.set(hash, knownLabel)
    if (knownHash === hash && knownLabel === label) return
    this.#problem ??= `key ${hash} of the machine was that of ${knownLabel}, now of ${label}`
  }
}

const loadsOf = (members: readonly Member[]): string =>
  members.map(({ backend, live }) => `${backend.id}:${live}`).join(' ')

const textOf = (key: AffinityKey | undefined): string =>
  key === undefined ? 'none' : `${key.high >>> 0}:${key.low >>> 0}`
