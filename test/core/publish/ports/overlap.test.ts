import { describe, expect, test } from 'vitest'
import { coverKeys, covers, overlaps, reachOf } from '../../../../core/publish/ports/overlap.ts'

const V4 = reachOf('0.0.0.0')
const V6 = reachOf('::')
const BOTH = reachOf('::', false)
const LOCAL = reachOf('127.0.0.1')
const LOCAL6 = reachOf('::1')
const TEN = reachOf('10.0.0.1')

describe('what the kernel does not let stand beside each other', () => {
  test.each([
    ['an address and itself', LOCAL, LOCAL, true],
    ['two addresses', LOCAL, TEN, false],
    ['0.0.0.0 and an IPv4 address', V4, TEN, true],
    ['0.0.0.0 and an IPv6 address', V4, LOCAL6, false],
    [':: without IPv4 and 0.0.0.0', V6, V4, false],
    [':: without IPv4 and an IPv6 address', V6, LOCAL6, true],
    [':: without IPv4 and an IPv4 address', V6, LOCAL, false],
    [':: with IPv4 and 0.0.0.0', BOTH, V4, true],
    [':: with IPv4 and an IPv4 address', BOTH, TEN, true],
    [':: with and without IPv4', BOTH, V6, true],
    ['an IPv4-mapped address and what it maps', reachOf('::ffff:10.0.0.1'), TEN, true],
    ['an IPv4-mapped address and ::', reachOf('::ffff:10.0.0.1'), V6, false],
    ['the IPv4-mapped 0.0.0.0 and an IPv4 address', reachOf('::ffff:0.0.0.0'), TEN, true],
    ['two spellings', reachOf('0:0:0:0:0:0:0:1'), LOCAL6, true],
    ['the same address of two interfaces', reachOf('fe80::1%a'), reachOf('fe80::1%b'), false],
    ['an address of an interface and ::', reachOf('fe80::1%a'), V6, true],
    ['what is no address and everything', reachOf('localhost'), BOTH, false],
    ['what is no address and itself', reachOf('localhost'), reachOf('localhost'), true],
  ])('%s', (_, a, b, is) => {
    expect([overlaps(a, b), overlaps(b, a)]).toEqual([is, is])
  })

  test('of two that overlap, one covers the other; coverKeys names who covers, widest first', () => {
    const all = [V4, V6, BOTH, LOCAL, LOCAL6, TEN, reachOf('localhost')]
    for (const a of all) {
      for (const b of all) {
        expect(coverKeys(b).includes(a.key)).toBe(covers(a, b))
        expect(covers(a, b) && covers(b, a)).toBe(a.key === b.key)
      }
    }
    expect(coverKeys(TEN)).toEqual([BOTH.key, V4.key, TEN.key])
  })

  test('whether IPv4 is left out matters to :: alone', () => {
    expect(reachOf('::1', false)).toEqual(LOCAL6)
    expect(reachOf('0.0.0.0', false)).toEqual(V4)
  })
})
