/** One pass over a tree: collects the problems, and remembers where each thing was read. */
import { type Path, type Problem, pathKey } from '../problem.ts'
import { Suggestions } from './suggest.ts'
import { showKey } from './words.ts'

export class Reading {
  readonly problems: Problem[] = []
  readonly #suggestions: Suggestions
  readonly #spoilt = new Set<string>()
  readonly #places = new Map<object, Path>()

  constructor(suggestions = new Suggestions()) {
    this.#suggestions = suggestions
  }

  /** To read something on trial: nothing is reported here, but comparing counts. */
  trial(): Reading {
    return new Reading(this.#suggestions)
  }

  report(path: Path, message: string, at: 'key' | 'value' = 'key'): void {
    this.problems.push(at === 'value' ? { path, message, at } : { path, message })
    this.spoil(path)
  }

  /** Marks a place as misunderstood without a problem of its own: a misspelt key was meant for it. */
  spoil(path: Path): void {
    for (let length = path.length; length >= 0; length--) {
      const key = pathKey(path.slice(0, length))
      if (this.#spoilt.has(key)) return
      this.#spoilt.add(key)
    }
  }

  /**
   * Whether a problem lies at this place or inside it. Rules that draw conclusions from a place ask
   * first, so that one mistake is reported once and not again by its consequences.
   */
  isSpoilt(path: Path): boolean {
    return this.#spoilt.has(pathKey(path))
  }

  nearest(word: string, candidates: Iterable<string>): string | undefined {
    return this.#suggestions.nearest(word, candidates)
  }

  /** `; did you mean http?`, or nothing. */
  didYouMean(word: string, candidates: Iterable<string>): string {
    const nearest = this.nearest(word, candidates)
    return nearest === undefined ? '' : `; did you mean ${showKey(nearest)}?`
  }

  /** Remembers where a typed thing came from: lists lose their broken items, so indexes shift. */
  placed<T extends object>(thing: T, path: Path): T {
    this.#places.set(thing, path)
    return thing
  }

  pathOf(thing: object): Path {
    return this.#places.get(thing) ?? []
  }
}
