import { beforeEach, expect, test, vi } from 'vitest'
import {
  SeldomNotices,
  someOf,
  someWere,
  type Words,
} from '../../../../shells/node/listener/seldom-notices.ts'

let said: string[] = []
let notices: SeldomNotices

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  said = []
  notices = new SeldomNotices((text) => said.push(text))
  return () => vi.useRealTimers()
})

const timesOf =
  (what: string): Words =>
  (times) =>
    `${what} ${times}`

/** What was said since it was asked last. */
const heard = (): string[] => said.splice(0)

test('the first at once, what follows with its number when ten seconds are over', () => {
  notices.say('a', timesOf('a'))
  expect(heard()).toEqual(['a 1'])
  for (let count = 0; count < 500; count++) notices.say('a', timesOf(`a${count}`))
  vi.advanceTimersByTime(9_999)
  expect(heard()).toEqual([])
  vi.advanceTimersByTime(1)
  expect(heard()).toEqual(['a499 500']) // in the last words
  notices.say('a', timesOf('a'))
  vi.advanceTimersByTime(9_999)
  expect(heard()).toEqual([])
  vi.advanceTimersByTime(1)
  expect(heard()).toEqual(['a 1'])
  vi.advanceTimersByTime(60_000)
  expect(heard()).toEqual([])
  notices.say('a', timesOf('a'))
  expect(heard()).toEqual(['a 1'])
})

test('a noisy subject silences no other', () => {
  for (let count = 0; count < 1_000; count++) notices.say('noisy', timesOf('noisy'))
  vi.advanceTimersByTime(4_000)
  notices.say('quiet', timesOf('quiet'))
  notices.say('quiet', timesOf('quiet'))
  expect(heard()).toEqual(['noisy 1', 'quiet 1'])
  vi.advanceTimersByTime(6_000)
  expect(heard()).toEqual(['noisy 999'])
  vi.advanceTimersByTime(4_000)
  expect(heard()).toEqual(['quiet 1'])
})

test('subjects are bounded, and what has no room is counted', () => {
  for (let count = 0; count < 1_003; count++) notices.say(`s${count}`, timesOf(`s${count}`))
  expect(heard()).toHaveLength(1_000)
  notices.say('s0', timesOf('s0'))
  vi.advanceTimersByTime(10_000)
  expect(heard()).toEqual(['3 more of them, of other listeners', 's0 1'])
  notices.say('s1002', timesOf('s1002'))
  expect(heard()).toEqual(['s1002 1'])
})

test('nothing is said after the end', () => {
  notices.say('a', timesOf('a'))
  notices.say('a', timesOf('a'))
  notices.stop()
  vi.advanceTimersByTime(60_000)
  expect(heard()).toEqual(['a 1'])
  expect(vi.getTimerCount()).toBe(0)
})

test.each([
  [1, 'a connection', 'a connection was'],
  [3, '3 connections', '3 connections were'],
])('%i: %s', (times, some, were) => {
  expect([someOf(times, 'connection'), someWere(times, 'connection')]).toEqual([some, were])
})
