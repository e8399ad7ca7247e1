import { describe, expect, test } from 'vitest'
import { requestFields, requestHead } from '../../../../../core/http/forward/request.ts'
import { linesOf, passageOf, streamFrom } from '../../forward/heads.ts'
import { GET, warm } from '../world.ts'

const WS = { method: 'CONNECT', path: '/x', protocol: 'websocket' }
const REFUSED = 'HTTP/1.1 404 Not Found~Content-Length: 0~~'

/** RFC 8441, 4: what follows the head goes through the tunnel, and is no body of the request. */
describe('an extended CONNECT has no length', () => {
  for (const length of ['50', '0']) {
    test(`content-length ${length} would frame what follows for an HTTP/1.1 backend`, () => {
      const world = warm()
      expect(world.open(2, { ...WS, fields: ['content-length', length] }, false)).toEqual([
        '2 < 400 own',
        '2 < own',
        'end 2',
        '(2 bad-request 400 0/own)',
      ])
      expect(world.send(1, GET)).toEqual(['u1 < GET /'])
    })
  }

  test('a backend that did not want the WebSocket is not asked anything else on that connection', () => {
    const world = warm()
    world.open(2, WS, false)
    expect(world.reply(1, REFUSED)).toEqual([
      '2 < 404 content-length: 0 last',
      'close u1',
      '(2 CONNECT done 404 A 0/0)',
    ])
    expect(world.send(1, GET)).toEqual(['connect u2 A http1'])
  })

  test('nor one that did not want an upgrade of HTTP/1.1', () => {
    const world = warm()
    world.send(1, 'GET / HTTP/1.1~Host: a~Connection: Upgrade~Upgrade: websocket~~')
    expect(world.reply(1, REFUSED)).toEqual([
      '1 < 404 Not Found Content-Length: 0',
      'close u1',
      '(1 GET done 404 A 0/0)',
    ])
  })

  test('neither a length nor a key of its own goes on', () => {
    const fields = ['content-length', '5', 'sec-websocket-key', 'evil==', 'x-own', '1']
    const head = Object.assign(streamFrom('GET', fields, { isLast: false }), { method: 'CONNECT' })
    const webSocketKey = 'dGhlIHNhbXBsZSBub25jZQ=='
    const passage = passageOf({ requestUpgrade: 'websocket', webSocketKey })
    const lines = linesOf(requestHead(head, passage))
    expect(lines.filter((line) => /^(?:sec-|content-|x-own)/i.test(line))).toEqual([
      'x-own: 1',
      `Sec-WebSocket-Key: ${webSocketKey}`,
    ])
    const pairs = requestFields(head, passageOf({ requestUpgrade: 'websocket' }))
    expect(pairs.filter((name) => /^(?:sec-|content-|x-own)/.test(name))).toEqual(['x-own'])
  })
})
