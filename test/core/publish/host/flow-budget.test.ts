import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  FLOWS_FALLBACK,
  flowBudget,
  flowShares,
  flowStrain,
  type HostLimits,
} from '../../../../core/publish/host/flow-budget.ts'

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
})

const many = (listeners: number, flows = 0): readonly number[] => new Array(listeners).fill(flows)

describe('the shares', () => {
  const ROWS: readonly [string, number, readonly number[], readonly number[]][] = [
    ['nobody', 716, [], []],
    ['one gets all', 716, [0], [716]],
    ['udp W18: two get a half each', 717, [0, 0], [358, 358]],
    ['udp 8: explicit max_flows 42 stays 42, with headroom 0 or 10', 1, [42], [42]],
    ['udp 8: explicit max_flows 42 stays 42, with headroom 0 or 10', 10, [42], [42]],
    ['what others ask for is not shared out', 716, [16, 0, 100, 0], [16, 300, 100, 300]],
    ['udp 8: auto max_flows is at least 1', 1, [716, 0, 0], [716, 1, 1]],
    ['half of an even share is the least', 716, [716, 0, 0], [716, 119, 119]],
    ['what others leave, where that is more', 716, [478, 0, 0], [478, 119, 119]],
    ['what others leave, where that is more', 716, [476, 0, 0], [476, 120, 120]],
    ['1,024 are enough, whatever others ask for', 25_408, [30_000, 0, 0], [30_000, 1_024, 1_024]],
    [
      'the least is less where many share',
      25_408,
      [30_000, ...many(99)],
      [30_000, ...many(99, 127)],
    ],
    ['a table holds a million', 10_000_000, [0], [1_048_576]],
  ]
  for (const [name, budget, asked, shares] of ROWS) {
    test(name, () => expect(flowShares(budget, asked)).toEqual(shares))
  }

  test('udp 8: auto max_flows with headroom 4 lies in 1-4', () => {
    for (const listeners of [1, 2, 3, 4]) {
      for (const share of flowShares(4, many(listeners))) {
        expect(share).toBeGreaterThanOrEqual(1)
        expect(share).toBeLessThanOrEqual(4)
      }
    }
  })

  test('udp W18: property: shares never plan more than the budget together, or are the least', () => {
    const asked = fc.array(fc.oneof(fc.constant(0), fc.nat(1_000)), { minLength: 1, maxLength: 20 })
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), asked, (budget, wishes) => {
        const shares = flowShares(budget, wishes)
        const planned = shares.reduce((sum, each) => sum + each, 0)
        const least = Math.max(1, Math.min(1_024, Math.floor(budget / (2 * wishes.length))))
        for (const [index, wish] of wishes.entries()) {
          if (wish > 0) expect(shares[index]).toBe(wish)
          else if (planned > budget) expect(shares[index]).toBe(least)
          else expect(shares[index]).toBeGreaterThanOrEqual(least)
        }
      }),
    )
  })
})

describe('udp 8: what explicit numbers do to the plan', () => {
  const NONE = { exceedsBudget: false, squeezedTo: undefined }
  const BY_DESCRIPTORS = { descriptors: 1_000, localPorts: 28_232 }
  const BY_PORTS = { descriptors: Number.POSITIVE_INFINITY, localPorts: 1_000 }
  const UNKNOWN = { descriptors: undefined, localPorts: 1 }
  type Strain = ReturnType<typeof flowStrain>
  const ROWS: readonly [string, HostLimits, readonly number[], Strain][] = [
    ['nobody', BY_DESCRIPTORS, [], { explicit: 0, ...NONE }],
    ['shares alone', { descriptors: 1, localPorts: 1 }, [0, 0, 0], { explicit: 0, ...NONE }],
    ['0.7 of the descriptors', BY_DESCRIPTORS, [700], { explicit: 700, ...NONE }],
    [
      'one more',
      BY_DESCRIPTORS,
      [701],
      { explicit: 701, exceedsBudget: true, squeezedTo: undefined },
    ],
    [
      'of all together',
      BY_DESCRIPTORS,
      [400, 301],
      { explicit: 701, exceedsBudget: true, squeezedTo: undefined },
    ],
    ['0.9 of the ports', BY_PORTS, [900], { explicit: 900, ...NONE }],
    ['one more', BY_PORTS, [901], { explicit: 901, exceedsBudget: true, squeezedTo: undefined }],
    ['the least is left', BY_DESCRIPTORS, [0, 525], { explicit: 525, ...NONE }],
    [
      'one less',
      BY_DESCRIPTORS,
      [0, 526],
      { explicit: 526, exceedsBudget: false, squeezedTo: 175 },
    ],
    [
      'more than all',
      BY_DESCRIPTORS,
      [0, 701],
      { explicit: 701, exceedsBudget: true, squeezedTo: 175 },
    ],
    ['no limit is known', UNKNOWN, [1_000_000], { explicit: 1_000_000, ...NONE }],
    [
      'no limit is known, and others share',
      UNKNOWN,
      [1_000_000, 0],
      { explicit: 1_000_000, exceedsBudget: false, squeezedTo: 256 },
    ],
  ]
  for (const [name, limits, asked, strain] of ROWS) {
    test(`${name}: ${asked.join()}`, () => expect(flowStrain(limits, asked)).toEqual(strain))
  }
})
