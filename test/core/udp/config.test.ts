/** Which configurations are taken. */
import { describe, expect, test } from 'vitest'
import { configProblem, defaultUdpConfig } from '../../../core/udp/config.ts'
import { benchAfter, C1, configure, F1, InvariantError, OPEN, query, up } from './rows.ts'

describe('udp W37: a configuration with a value out of range', () => {
  const NUMBERS = {
    requests: [0, 2 ** 32 - 1],
    responses: [0, 2 ** 32 - 1],
    frontTimeoutMs: [1, 2 ** 40],
    backTimeoutMs: [1, 2 ** 40],
    halfOpenTimeoutMs: [1, 60_000],
    lifetimeMaxMs: [0, 2 ** 40],
    flowsMax: [0, 2 ** 20],
    flowsPerSourceMax: [0, 2 ** 20],
    datagramBytesMax: [1, 65_507],
    heldDatagramsMax: [1, 1_024],
    heldBytesMax: [0, 2 ** 30],
    lingerMs: [0, 2 ** 40],
    idleAfterMs: [0, 2 ** 40],
  } as const
  for (const [key, [min, max]] of Object.entries(NUMBERS)) {
    test(`${key} is a whole number from ${min} to ${max}`, () => {
      const problem = (value: number) => configProblem({ ...defaultUdpConfig, [key]: value })
      expect(problem(min)).toBeUndefined()
      expect(problem(max)).toBeUndefined()
      for (const value of [min - 1, max + 1, min + 0.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        expect(problem(value)).toBe(
          `${key} must be a whole number from ${min} to ${max}, not ${value}`,
        )
      }
    })
  }

  test('is a mistake of the caller, at construction and later', () => {
    expect(() => benchAfter([], { frontTimeoutMs: 0 })).toThrow(InvariantError)
    const bench = benchAfter(OPEN)
    expect(() => bench.run(configure({ datagramBytesMax: 0 }))).toThrow(InvariantError)
    expect(bench.run(query(C1))).toEqual([up(F1)])
  })
})
