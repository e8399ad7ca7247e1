import { describe, expect, test } from 'vitest'
import { statusOf } from '../../../../core/http/head/fault.ts'
import { octets, said, waysToSend } from '../messages.ts'
import { CORPUS } from './corpus.ts'
import type { Payload } from './payload.ts'

describe('request smuggling is refused, or is one request as it says', () => {
  test.each(CORPUS)('$class: $name', (payload) => {
    for (const pieces of waysToSend(octets(payload.text))) {
      expect(outcomeOf(payload, pieces)).toEqual(payload.strict)
    }
  })

  test('each payload is named once', () => {
    const names = CORPUS.map((payload) => `${payload.class}: ${payload.name}`)
    expect(new Set(names).size).toBe(names.length)
    expect(CORPUS.length).toBeGreaterThan(200)
  })
})

function outcomeOf({ strict }: Payload, pieces: readonly Uint8Array[]): Payload['strict'] {
  const { messages, rest, fault } = said(pieces)
  if ('forward' in strict) {
    expect(rest).toBe('nothing')
    return { forward: messages.map((message) => message.body) }
  }
  expect(messages).toEqual([])
  const status = fault === undefined ? 0 : statusOf(fault)
  return rest === 'refused body' ? { refuseBody: status } : { refuse: status }
}
