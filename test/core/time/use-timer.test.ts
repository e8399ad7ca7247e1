import fc from 'fast-check'
import { expect, test } from 'vitest'
import { UseTimer } from '../../../core/time/use-timer.ts'

type Act =
  | { readonly type: 'begin' | 'end' | 'tick'; readonly ms: number }
  | { readonly type: 'configure'; readonly ms: number; readonly afterMs: number }

const ms = fc.nat(40)
const act: fc.Arbitrary<Act> = fc.oneof(
  fc.record({ type: fc.constantFrom('begin', 'end', 'tick'), ms }),
  fc.record({ type: fc.constant('configure'), ms, afterMs: fc.constantFrom(0, 10, 50) }),
)

test('idle is said after that time without use, never else; its end with the next use', () => {
  fc.assert(
    fc.property(fc.constantFrom(0, 30), fc.array(act), (first, acts) => {
      const timer = new UseTimer(first)
      let now = 0
      let afterMs: number = first
      let isIdle = false
      let unusedSince: number | undefined
      for (const each of acts) {
        now += each.ms
        switch (each.type) {
          case 'begin':
            expect(timer.begin()).toBe(isIdle)
            isIdle = false
            unusedSince = undefined
            break
          case 'end':
            if (!isIdle) unusedSince ??= now
            timer.end(now)
            break
          case 'configure':
            // Nobody counted before.
            if (afterMs === 0 && unusedSince !== undefined) unusedSince = now
            afterMs = each.afterMs
            timer.configure(afterMs, now)
            break
          case 'tick': {
            const isOver = unusedSince !== undefined && now - unusedSince >= afterMs
            const says = afterMs > 0 && isOver
            expect(timer.tick(now)).toBe(says)
            isIdle ||= says
            if (says) unusedSince = undefined
          }
        }
        const at = afterMs > 0 && unusedSince !== undefined ? unusedSince + afterMs : undefined
        expect(timer.next()).toBe(at)
        expect(timer.isIdle).toBe(isIdle)
      }
    }),
  )
})
