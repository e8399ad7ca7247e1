import type { Socket } from 'node:net'
import { beforeEach, expect, test, vi } from 'vitest'
import { PausedSockets } from '../../../../../shells/node/listener/stream/paused-sockets.ts'

let paused: PausedSockets
let told: string[] = []

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  paused = new PausedSockets()
  told = []
  return () => vi.useRealTimers()
})

/** As far as a look goes. */
const socketThat = (isGone: boolean): Socket => ({ destroyed: isGone }) as Socket

const add = (name: string, socket: Socket): void => paused.add(socket, () => told.push(name))

test('who is gone is told of once, at the next look', () => {
  const late = { destroyed: false }
  add('gone', socketThat(true))
  add('there', socketThat(false))
  add('late', late as Socket)
  vi.advanceTimersByTime(1_999)
  expect(told).toEqual([])
  vi.advanceTimersByTime(1)
  expect(told).toEqual(['gone'])
  late.destroyed = true
  vi.advanceTimersByTime(2_000)
  expect(told).toEqual(['gone', 'late'])
  vi.advanceTimersByTime(60_000)
  expect(told).toEqual(['gone', 'late'])
})

test('who is read again is not looked at, and without anybody there is no timer', () => {
  const socket = socketThat(true)
  expect(vi.getTimerCount()).toBe(0)
  add('again', socket)
  paused.delete(socket)
  vi.advanceTimersByTime(2_000)
  expect([told, vi.getTimerCount()]).toEqual([[], 0])
  add('once more', socket)
  vi.advanceTimersByTime(2_000)
  expect([told, vi.getTimerCount()]).toEqual([['once more'], 0])
})

test('a thousand in one go, the others a millisecond later', () => {
  const others = Array.from({ length: 3_000 }, () => socketThat(true))
  for (const socket of others) add('gone', socket)
  vi.advanceTimersByTime(2_000)
  expect(told).toHaveLength(1_024)
  for (const socket of others) paused.delete(socket) // meanwhile
  add('new', socketThat(true))
  vi.advanceTimersByTime(2)
  expect(told).toHaveLength(1_024)
  vi.advanceTimersByTime(2_000)
  expect(told.slice(1_024)).toEqual(['new'])
})

test('what is paused because another one is gone is looked at next time', () => {
  paused.add(socketThat(true), () => add('second', socketThat(true)))
  vi.advanceTimersByTime(2_000)
  expect(told).toEqual([])
  vi.advanceTimersByTime(2_000)
  expect(told).toEqual(['second'])
})

test('nothing is told after the end', () => {
  add('gone', socketThat(true))
  paused.clear()
  vi.advanceTimersByTime(60_000)
  expect([told, vi.getTimerCount()]).toEqual([[], 0])
})
