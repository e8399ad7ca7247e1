import { METHODS } from 'node:http'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { anyCuts, anyRequests, anyResponses, cut } from './any-message.ts'
import { type Message, octets, said } from './messages.ts'
import { requestsSeenByNode, responseSeenByNode } from './node-parser.ts'
import { oracle } from './oracle.ts'
import { CORPUS } from './smuggling/corpus.ts'

const RUNS = 20_000
/** Node makes a server and a stream of each. */
const NODE_RUNS = 1500

describe('what we take is what the grammar says', () => {
  test('requests, however they are cut', () => {
    fc.assert(
      fc.property(anyRequests, anyCuts, (text, cuts) => {
        expect(said(cut(octets(text), cuts)).messages).toEqual(oracle(text))
      }),
      { numRuns: RUNS },
    )
  })

  test('responses, however they are cut', () => {
    const methods = fc.constantFrom('GET', 'GET', 'HEAD', 'CONNECT')
    fc.assert(
      fc.property(anyResponses, anyCuts, methods, (text, cuts, method) => {
        const messages = said(cut(octets(text), cuts), undefined, method).messages
        expect(messages).toEqual(oracle(text, method))
      }),
      { numRuns: RUNS },
    )
  })

  test('the generator makes enough of both', () => {
    const texts = fc.sample(anyRequests, { numRuns: 2000, seed: 1 })
    const taken = texts.filter((text) => oracle(text).length > 0).length
    expect(taken).toBeGreaterThan(300)
    expect(taken).toBeLessThan(1700)
  })
})

describe('what we take is what Node takes', () => {
  const agree = async (text: string): Promise<void> => {
    const { messages } = said([octets(text)])
    // Node knows no methods but these, and refuses others.
    const unknown = messages.findIndex(({ start }) => !METHODS.includes(start[0]))
    const ours = unknown < 0 ? messages : messages.slice(0, unknown)
    const theirs = await requestsSeenByNode(text)
    expect(theirs.slice(0, ours.length).map(plain)).toEqual(ours.map(plain))
  }

  test('requests', async () => {
    await fc.assert(fc.asyncProperty(anyRequests, agree), { numRuns: NODE_RUNS })
  })

  test('the corpus of request smuggling', async () => {
    for (const { text, strict } of CORPUS) {
      if ('forward' in strict) await agree(text)
    }
  })

  test('responses', async () => {
    const methods = fc.constantFrom('GET', 'GET', 'HEAD')
    await fc.assert(
      fc.asyncProperty(anyResponses, methods, async (text, method) => {
        const { messages, ends } = said([octets(text)], undefined, method)
        const n = messages.findIndex(({ start }) => Number(start[0]) >= 200 || start[0] === '101')
        const final = messages[n]
        // Node waits for a protocol it does not speak.
        if (final === undefined || final.start[0] === '101') return
        const theirs = await responseSeenByNode(text.slice(0, ends[n]), method)
        expect(theirs && plain(theirs)).toEqual(plain(final))
      }),
      { numRuns: NODE_RUNS },
    )
  })
})

/** Whether another follows is not asked of Node. */
const plain = (message: Message): Message => ({ ...message, isLast: false })
