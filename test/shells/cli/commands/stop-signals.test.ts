import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { stopSignals } from '../../../../shells/cli/commands/stop-signals.ts'

function setUp() {
  const emitter = new EventEmitter()
  const exits: unknown[] = []
  let now = 0
  const process = Object.assign(emitter, {
    exit: (code: unknown) => {
      exits.push(code)
    },
  }) as unknown as NodeJS.Process
  const signals = stopSignals(process, () => now)
  return {
    signals,
    exits,
    send: (signal: string, at: number) => {
      now = at
      emitter.emit(signal)
    },
    listeners: () => ['SIGINT', 'SIGTERM', 'SIGHUP'].map((name) => emitter.listenerCount(name)),
  }
}

describe('requests to stop', () => {
  test('are counted, whatever the signal', () => {
    const { signals, send, exits } = setUp()
    const heard: number[] = []
    signals.listen((count) => heard.push(count))
    send('SIGHUP', 0)
    send('SIGTERM', 1_000)
    expect([heard, exits]).toEqual([[1, 2], []])
    send('SIGINT', 2_000)
    expect([heard, exits]).toEqual([[1, 2, 3], [1]])
  })

  test('one Ctrl-C that comes twice (from the terminal, and through npm) is one', () => {
    const { signals, send } = setUp()
    send('SIGINT', 1_000)
    send('SIGINT', 1_003)
    expect(signals.count).toBe(1)
    send('SIGINT', 1_500)
    expect(signals.count).toBe(2)
  })

  test('who comes later hears of the earlier ones', () => {
    const { signals, send } = setUp()
    send('SIGINT', 0)
    const heard: number[] = []
    const leave = signals.listen((count) => heard.push(count))
    expect(heard).toEqual([1])
    leave()
    send('SIGINT', 1_000)
    expect(heard).toEqual([1])
  })

  test('are given back', () => {
    const { signals, listeners } = setUp()
    expect(listeners()).toEqual([1, 1, 1])
    signals.release()
    expect(listeners()).toEqual([0, 0, 0])
  })
})
