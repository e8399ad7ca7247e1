import { describe, expect, test } from 'vitest'
import {
  type Binding,
  bindingsOf,
  isPublishedOnLoopback,
  isSingleMember,
} from '../../../core/publish/bindings.ts'

const shown = ({ host, purpose, bind, isOptional }: Binding): string =>
  [host, purpose, bind, ...(isOptional ? ['optional'] : [])].join(' ')

// The table of docs/publish.md.
describe('proxy W32: the binding matrix, with IPv6', () => {
  const PUBLIC = ['0.0.0.0 public always', ':: public always optional']
  const LOCAL = ['127.0.0.1 internal always', '::1 internal always optional']
  const LOOPBACK = ['127.0.0.1 loopback published', '::1 loopback published optional']
  test.each([
    ['public', false, [], PUBLIC],
    ['public', true, [], PUBLIC],
    ['public', false, ['10.200.0.1'], PUBLIC],
    ['public', true, ['10.200.0.1'], PUBLIC],
    ['internal', false, [], LOCAL],
    ['internal', true, [], LOCAL],
    ['internal', false, ['10.200.0.1'], ['10.200.0.1 internal always']],
    ['internal', true, ['10.200.0.1'], ['10.200.0.1 internal always', ...LOOPBACK]],
    [
      'internal',
      true,
      ['10.200.0.1', 'fd00::1'],
      ['10.200.0.1 internal always', 'fd00::1 internal always', ...LOOPBACK],
    ],
  ] as const)('%s, on loopback: %s, internal addresses: %j', (expose, isOnLoopback, own, then) => {
    expect(bindingsOf({ expose, isOnLoopback }, own).map(shown)).toEqual(then)
  })
})

describe('whether a service is published on loopback', () => {
  test.each([
    ['auto', true, true],
    ['auto', false, false],
    ['always', true, true],
    ['always', false, true],
    ['never', true, false],
    ['never', false, false],
  ] as const)('%s, single member: %s', (policy, isSingle, is) => {
    expect(isPublishedOnLoopback({ policy, isSingleMember: isSingle })).toBe(is)
  })

  const ADAPTIVE = (max: number) => ({ mode: 'adaptive', max }) as const
  const FIXED = (replicas: number) => ({ mode: 'fixed', replicas }) as const
  test.each([
    [[], FIXED(0), true],
    [[], FIXED(1), true],
    [[], FIXED(2), false],
    [[], ADAPTIVE(1), true],
    [[], ADAPTIVE(10), false],
    [[], { mode: 'manual' } as const, true],
    // Groups override the scale, whatever it says.
    [[1], FIXED(5), true],
    [[0], FIXED(5), true],
    [[2], FIXED(1), false],
    [[1, 0], FIXED(1), false],
    [[1, 1], { mode: 'manual' } as const, false],
  ])('groups %j, scale %j: single member: %s', (groups, scale, is) => {
    expect(isSingleMember({ groups, scale })).toBe(is)
  })
})
