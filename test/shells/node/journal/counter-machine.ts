/** The smallest machine with a total, a timer and a snapshot, to try journals and pumps on. */
import type { Instant, Machine } from '../../../../core/machine.ts'
import type { JsonValue } from '../../../../core/spec/deployment.ts'
import type { ReplaySubject } from '../../../../shells/node/journal/replay.ts'

export type CounterEvent =
  | { readonly type: 'add'; readonly by: number; readonly note?: string }
  | { readonly type: 'remind'; readonly inMs: number } // ask for a tick
  | { readonly type: 'break' } // throws
  | { readonly type: 'tick' }

export type CounterCommand =
  | { readonly type: 'total'; readonly total: number }
  | { readonly type: 'reminder'; readonly lateMs: number }

interface CounterSnapshot {
  readonly total: number
  readonly remainsMs: number | null
  readonly padding?: string
}

export class Counter implements Machine<CounterEvent, CounterCommand> {
  total: number
  remindAt: Instant | undefined
  /** Makes snapshots large. */
  padding = ''
  /** A change in the code: from this total on it counts differently. */
  readonly wrongFrom: number

  constructor(total = 0, remindAt?: Instant, wrongFrom = Number.POSITIVE_INFINITY) {
    this.total = total
    this.remindAt = remindAt
    this.wrongFrom = wrongFrom
  }

  step(event: CounterEvent, now: Instant, out: CounterCommand[]): void {
    switch (event.type) {
      case 'add':
        this.total += event.by
        out.push({ type: 'total', total: this.total + (this.total >= this.wrongFrom ? 1 : 0) })
        return
      case 'remind':
        this.remindAt = now + event.inMs
        return
      case 'break':
        throw new Error('the counter broke')
      case 'tick':
        if (this.remindAt === undefined || this.remindAt > now) return
        out.push({ type: 'reminder', lateMs: now - this.remindAt })
        this.remindAt = undefined
    }
  }

  deadline(): Instant | undefined {
    return this.remindAt
  }

  snapshot(now: Instant): JsonValue {
    const remainsMs = this.remindAt === undefined ? null : this.remindAt - now
    return {
      total: this.total,
      remainsMs,
      ...(this.padding === '' ? {} : { padding: this.padding }),
    }
  }

  static restore(snapshot: JsonValue, now: Instant, wrongFrom?: number): Counter {
    const { total, remainsMs, padding } = snapshot as unknown as CounterSnapshot
    if (typeof total !== 'number') throw new Error('not a snapshot of a counter')
    const remindAt = remainsMs === null ? undefined : now + remainsMs
    const counter = new Counter(total, remindAt, wrongFrom)
    counter.padding = padding ?? ''
    return counter
  }
}

export const counterSubject = (
  wrongFrom?: number,
): ReplaySubject<CounterEvent, CounterCommand> => ({
  restore: (snapshot, now) => Counter.restore(snapshot, now, wrongFrom),
  snapshot: (machine, now) => (machine as Counter).snapshot(now),
})
