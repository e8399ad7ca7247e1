/**
 * Many timers behind one deadline. A machine arms a timer for each of its lives, answers
 * `deadline()` with {@link DeadlineQueue.next} and takes what is due with
 * {@link DeadlineQueue.pop}.
 *
 * A binary heap with lazy deletion: nothing is ever searched in the heap. Each entry carries the
 * generation of the timer it was pushed for, and an entry whose generation is not the timer's
 * any more is dropped when it surfaces. Moving a timer later, which a flow does for every
 * datagram, is two stores: the entry stays where it is and moves when it surfaces.
 */
import { assert, type Instant } from '../machine.ts'

interface Timer {
  at: Instant
  /** Rises with every `set`; orders timers that are due at the same instant. */
  sequence: number
  /** The one heap entry that stands for this timer. */
  readonly generation: number
}

interface Entry<K> {
  at: Instant
  sequence: number
  readonly generation: number
  readonly key: K
}

interface QueueState<K> {
  readonly timers: Map<K, Timer>
  heap: Entry<K>[]
  sequence: number
}

export class DeadlineQueue<K extends string | number> {
  /** For {@link checkInvariants}; nobody else reads it. */
  readonly state: QueueState<K> = { timers: new Map(), heap: [], sequence: 0 }

  /** Live timers. */
  get size(): number {
    return this.state.timers.size
  }

  /**
   * Arms the timer of `key`, or moves it. Timers due at one instant fire in the order of their
   * last `set`. Throws {@link InvariantError} unless `at` is finite: "never" is {@link cancel}.
   */
  set(key: K, at: Instant): void {
    assert(Number.isFinite(at), 'a deadline must be a finite instant')
    const { state } = this
    const sequence = state.sequence++
    const timer = state.timers.get(key)
    if (timer !== undefined && timer.at <= at) {
      timer.at = at
      timer.sequence = sequence
      return
    }
    // Earlier than its entry might be: the old entry could surface too late, so it goes stale.
    state.timers.set(key, { at, sequence, generation: sequence })
    push(state.heap, { at, sequence, generation: sequence, key })
    compactIfMostlyStale(state)
  }

  /** Forgets the timer of `key`, if there is one. */
  cancel(key: K): void {
    if (this.state.timers.delete(key)) compactIfMostlyStale(this.state)
  }

  /** When the timer of `key` is due. */
  at(key: K): Instant | undefined {
    return this.state.timers.get(key)?.at
  }

  /** When the earliest timer is due. */
  next(): Instant | undefined {
    return settledTop(this.state)?.at
  }

  /** Removes the earliest timer that is due at or before `now` and returns its key. */
  pop(now: Instant): K | undefined {
    const { state } = this
    const top = settledTop(state)
    if (top === undefined || top.at > now) return undefined
    removeTop(state.heap)
    state.timers.delete(top.key)
    compactIfMostlyStale(state)
    return top.key
  }

  /** Every timer in the order in which they fire; setting them again in that order restores it. */
  entries(): [K, Instant][] {
    return [...this.state.timers]
      .sort(([, a], [, b]) => a.at - b.at || a.sequence - b.sequence)
      .map(([key, timer]) => [key, timer.at])
  }

  clear(): void {
    this.state.timers.clear()
    this.state.heap = []
  }
}

/** Throws {@link InvariantError} when the queue contradicts itself. */
export function checkInvariants<K extends string | number>(queue: DeadlineQueue<K>): void {
  const { timers, heap } = queue.state
  const standing = new Set<K>()
  for (const [index, entry] of heap.entries()) {
    const parent = heap[(index - 1) >> 1]
    assert(index === 0 || !before(entry, parent!), `entry ${index} is before its parent`)
    const timer = timers.get(entry.key)
    if (timer?.generation !== entry.generation) continue
    assert(!standing.has(entry.key), `two entries stand for timer ${entry.key}`)
    standing.add(entry.key)
    assert(!before(timer, entry), `timer ${entry.key} would surface too late`)
  }
  assert(standing.size === timers.size, 'every timer has an entry')
  assert(heap.length <= heapLengthMax(timers.size), 'stale entries pile up')
}

/** Drops and re-arms what surfaced until the top stands for a timer as it is now. */
function settledTop<K>({ timers, heap }: QueueState<K>): Entry<K> | undefined {
  for (let top = heap[0]; top !== undefined; top = heap[0]) {
    const timer = timers.get(top.key)
    if (timer === undefined || timer.generation !== top.generation) {
      removeTop(heap)
    } else if (timer.sequence !== top.sequence) {
      top.at = timer.at
      top.sequence = timer.sequence
      siftDown(heap, 0)
    } else {
      return top
    }
  }
  return undefined
}

/** Paid for by the pushes and cancels since the last one, so a `set` stays O(log n) amortised. */
function compactIfMostlyStale<K>(state: QueueState<K>): void {
  const { timers, heap } = state
  if (heap.length <= heapLengthMax(timers.size)) return
  state.heap = heap.filter((entry) => {
    const timer = timers.get(entry.key)
    if (timer === undefined || timer.generation !== entry.generation) return false
    entry.at = timer.at
    entry.sequence = timer.sequence
    return true
  })
  for (let index = (state.heap.length >> 1) - 1; index >= 0; index--) siftDown(state.heap, index)
}

function push<K>(heap: Entry<K>[], entry: Entry<K>): void {
  let index = heap.length
  heap.push(entry)
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]!
    if (!before(entry, parent)) break
    heap[index] = parent
    index = above
  }
  heap[index] = entry
}

function removeTop<K>(heap: Entry<K>[]): void {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  heap[0] = last
  siftDown(heap, 0)
}

function siftDown<K>(heap: Entry<K>[], from: number): void {
  const entry = heap[from]!
  let index = from
  for (;;) {
    const left = 2 * index + 1
    if (left >= heap.length) break
    const right = left + 1
    const least = right < heap.length && before(heap[right]!, heap[left]!) ? right : left
    if (!before(heap[least]!, entry)) break
    heap[index] = heap[least]!
    index = least
  }
  heap[index] = entry
}

interface Order {
  readonly at: Instant
  readonly sequence: number
}

const before = (a: Order, b: Order): boolean =>
  a.at < b.at || (a.at === b.at && a.sequence < b.sequence)

const heapLengthMax = (timers: number): number => 2 * timers + STALE_ALLOWANCE

/** Below this many stale entries a sweep costs more than it frees. */
const STALE_ALLOWANCE = 64
