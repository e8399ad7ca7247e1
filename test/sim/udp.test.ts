import { describe, expect, test } from 'vitest'
import { simulate } from '../../sim/simulate.ts'
import { answerBytes, MARKED_BYTES, markOf, requestBytes } from '../../sim/udp/network/wire.ts'
import { plant } from './planted.ts'
import { plantInTables } from './udp-planted.ts'

const STEPS = 300

describe('a run has three worlds', () => {
  test('which are run one after the other, and alone on request', () => {
    for (const seed of [3, 14, 15]) {
      const all = simulate(seed, STEPS)
      const node = simulate(seed, STEPS, { only: 'node' })
      const udp = simulate(seed, STEPS, { only: 'udp' })
      const http = simulate(seed, STEPS, { only: 'http' })
      expect(all.failure).toBeUndefined()
      expect(all.steps).toBe(node.steps + udp.steps + http.steps)
      expect([...all.seen.keys()].sort()).toEqual(
        [...new Set([...node.seen.keys(), ...udp.seen.keys(), ...http.seen.keys()])].sort(),
      )
      expect(new Set([all.hash, node.hash, udp.hash, http.hash]).size).toBe(4)
    }
  })

  test('the same seed gives the same trace', () => {
    for (let seed = 0; seed < 25; seed++) {
      const { hash, steps } = simulate(seed, STEPS, { only: 'udp' })
      expect(simulate(seed, STEPS, { only: 'udp' })).toMatchObject({ hash, steps })
    }
  })

  test('the trace of the second is one of lines', () => {
    const lines: string[] = []
    simulate(7, STEPS, { only: 'udp', sink: (line) => lines.push(line) })
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      kind: 'udp',
      at: 1_000_000,
      what: 'process 1 begins',
    })
    expect(lines.some((line) => line.includes('command open-upstream '))).toBe(true)
  })

  test('what fails in the first keeps the others from being run', () => {
    const breed = plant(() => ({ deadline: (real, now) => (real === undefined ? real : now) }))
    const { failure, seen } = simulate(0, STEPS, { breed })
    expect(failure?.checker).toBe('universal')
    expect([...seen.keys()].filter((mark) => /^(udp|http) /.test(mark))).toEqual([])
  })
})

describe("the node's own UDP listeners run the real table", () => {
  test('a table that never lets go of its socket keeps the node waiting', () => {
    const breed = plantInTables(() => ({
      order: (commands) => commands.filter(({ type }) => type !== 'stop-listening'),
    }))
    const failures = seedsUpTo(20).map((seed) => simulate(seed, STEPS, { breed, only: 'node' }))
    expect(failures.some(({ failure }) => failure?.checker === 'liveness')).toBe(true)
  })

  test('a table that sends to whoever it likes is caught', () => {
    const breed = plantInTables(() => {
      let first: { backend: string; host: string; port: number } | undefined
      return {
        order: (commands) =>
          commands.map((each) => {
            if (each.type !== 'open-upstream') return each
            first ??= { backend: each.backend, host: each.host, port: each.port }
            return { ...each, ...first }
          }),
      }
    })
    const isCaught = (seed: number): boolean =>
      simulate(seed, STEPS, { breed, only: 'node' }).failure?.checker === 'listeners'
    expect(seedsUpTo(400).some(isCaught)).toBe(true)
  }, 120_000)
})

describe('datagrams say whose they are', () => {
  test.each([MARKED_BYTES, 40, 1_500])('in %i bytes', (length) => {
    expect(markOf(requestBytes(4_000_000_000, length))).toEqual({ number: 4_000_000_000, part: 0 })
    expect(markOf(answerBytes(7, 3, length))).toEqual({ number: 7, part: 3 })
  })

  test('unless they are too short, or begin with something else', () => {
    expect(markOf(requestBytes(1, MARKED_BYTES - 1))).toBeUndefined()
    expect(markOf(new Uint8Array(0))).toBeUndefined()
    expect(markOf(Uint8Array.of(13, ...requestBytes(1, 40)))).toBeUndefined()
  })

  test('and one byte that is not theirs is seen', () => {
    const bytes = requestBytes(77, 40)
    for (let at = 1; at < bytes.length; at++) {
      expect(markOf(bytes.with(at, bytes[at]! ^ 1)), `byte ${at}`).not.toEqual(markOf(bytes))
    }
    expect(markOf(bytes.with(39, 0))).toBe('spoilt')
  })
})

const seedsUpTo = (count: number): number[] => Array.from({ length: count }, (_, seed) => seed)
