/** What is to happen in a simulated world, ordered by instant. */
import type { Instant } from '../core/machine.ts'

export interface Task {
  readonly at: Instant
  /** Drawn: things due at one instant happen in any order. */
  readonly tie: number
  readonly sequence: number
  /** The life of the process it belongs to; 0 is outside of it. */
  readonly life: number
  readonly run: () => void
}

/** A binary heap ordered by instant, then tie-break, then order of arrival. */
export class TaskQueue {
  private readonly heap: Task[] = []

  peek(): Task | undefined {
    return this.heap[0]
  }

  push(task: Task): void {
    const { heap } = this
    let index = heap.length
    heap.push(task)
    while (index > 0) {
      const above = (index - 1) >> 1
      const parent = heap[above]!
      if (!isBefore(task, parent)) break
      heap[index] = parent
      index = above
    }
    heap[index] = task
  }

  pop(): Task | undefined {
    const { heap } = this
    const top = heap[0]
    const last = heap.pop()
    if (top === undefined || last === undefined || heap.length === 0) return top
    let index = 0
    for (;;) {
      const left = 2 * index + 1
      if (left >= heap.length) break
      const right = left + 1
      const least = right < heap.length && isBefore(heap[right]!, heap[left]!) ? right : left
      if (!isBefore(heap[least]!, last)) break
      heap[index] = heap[least]!
      index = least
    }
    heap[index] = last
    return top
  }
}

const isBefore = (a: Task, b: Task): boolean =>
  a.at !== b.at ? a.at < b.at : a.tie !== b.tie ? a.tie < b.tie : a.sequence < b.sequence
