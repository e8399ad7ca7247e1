import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  exceedsBudget,
  FLOWS_FALLBACK,
  flowBudget,
  flowShares,
} from '../../../core/publish/flow-budget.ts'

describe('the budget', () => {
  const ROWS: readonly [string, number | undefined, number | undefined, number][] = [
    ['0.7 of the descriptors', 1_024, 28_232, 716],
    ['udp W18: 0.9 of the local ports, where that is less', 1_048_576, 100, 90],
    ["Linux' usual local ports where the system does not say", 1_048_576, undefined, 25_408],
    ['no limit on descriptors', Number.POSITIVE_INFINITY, 28_232, 25_408],
    ['1,024 where the limit cannot be read', undefined, 28_232, FLOWS_FALLBACK],
    ['udp 8: auto max_flows is at least 1', 1, 28_232, 1],
    ['at least 1 without ports', 1_024, 0, 1],
  ]
  for (const [name, descriptors, localPorts, budget] of ROWS) {
    test(name, () => expect(flowBudget({ descriptors, localPorts })).toBe(budget))
  }

  test('an explicit number above 0.7 of the descriptors is honoured, and worth a word', () => {
    const limits = { descriptors: 1_000, localPorts: 28_232 }
    expect([700, 701].map((asked) => exceedsBudget(limits, asked))).toEqual([false, true])
    expect(exceedsBudget({ descriptors: undefined, localPorts: 1 }, 1_000_000)).toBe(false)
  })
})

describe('the shares', () => {
  const ROWS: readonly [string, number, readonly number[], readonly number[]][] = [
    ['nobody', 716, [], []],
    ['one gets all', 716, [0], [716]],
    ['udp W18: two get a half each', 717, [0, 0], [358, 358]],
    ['udp 8: explicit max_flows 42 stays 42, with headroom 0 or 10', 1, [42], [42]],
    ['udp 8: explicit max_flows 42 stays 42, with headroom 0 or 10', 10, [42], [42]],
    ['what others ask for is not shared out', 716, [16, 0, 100, 0], [16, 300, 100, 300]],
    ['udp 8: auto max_flows is at least 1', 716, [716, 0, 0], [716, 1, 1]],
    ['at least 1 when others ask for more than there is', 10, [1_000, 0], [1_000, 1]],
    ['a table holds a million', 10_000_000, [0], [1_048_576]],
  ]
  for (const [name, budget, asked, shares] of ROWS) {
    test(name, () => expect(flowShares(budget, asked)).toEqual(shares))
  }

  test('udp 8: auto max_flows with headroom 4 lies in 1-4', () => {
    for (const listeners of [1, 2, 3, 4]) {
      for (const share of flowShares(4, new Array(listeners).fill(0))) {
        expect(share).toBeGreaterThanOrEqual(1)
        expect(share).toBeLessThanOrEqual(4)
      }
    }
  })

  test('udp W18: property: listeners that share never plan more than the budget together', () => {
    const asked = fc.array(fc.oneof(fc.constant(0), fc.nat(1_000)), { maxLength: 20 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), asked, (budget, wishes) => {
        const shares = flowShares(budget, wishes)
        const explicit = wishes.reduce((sum, each) => sum + each, 0)
        const sharing = wishes.filter((each) => each === 0).length
        fc.pre(explicit + sharing <= budget)
        const planned = shares.reduce((sum, each) => sum + each, 0)
        expect(planned).toBeLessThanOrEqual(budget)
        for (const [index, wish] of wishes.entries()) {
          if (wish > 0) expect(shares[index]).toBe(wish)
          else expect(shares[index]).toBeGreaterThanOrEqual(1)
        }
      }),
    )
  })
})
