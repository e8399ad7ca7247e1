import { describe, expect, test } from 'vitest'
import type { ExchangeOutcome } from '../../../../core/http/commands.ts'
import {
  type Answer,
  answerText,
  challengeAnswer,
  errorAnswer,
  redirectAnswer,
} from '../../../../core/http/forward/answer.ts'
import { responseFrom } from './heads.ts'

const field = ({ fields }: Answer, name: string): string | undefined => {
  const at = fields.indexOf(name)
  return at < 0 ? undefined : fields[at + 1]
}

const REFUSALS: Readonly<Partial<Record<ExchangeOutcome, number>>> = {
  'bad-request': 400,
  'no-route': 404,
  forbidden: 403,
  'no-backend': 503,
  'backends-full': 503,
  'held-max': 503,
  'hold-timeout': 503,
  'connect-failed': 502,
  'host-limit': 503,
  'bad-response': 502,
  'upstream-closed': 502,
  'request-timeout': 408,
  'connect-timeout': 504,
  'response-timeout': 504,
  'total-timeout': 504,
  cut: 502,
  aborted: 503,
}
describe('refusals', () => {
  for (const [name, status] of Object.entries(REFUSALS)) {
    const outcome = name as ExchangeOutcome
    test(`${outcome}: ${status}`, () => {
      const answer = errorAnswer(outcome, 400, '', 'r1')
      const retryAfter = status === 503 ? '5' : undefined
      expect([answer.status, field(answer, 'retry-after')]).toEqual([status, retryAfter])
      expect(field(answer, 'content-type')).toBe('application/problem+json')
      const { detail, ...problem } = JSON.parse(answer.body)
      const [, title] = /^HTTP\/1\.1 \d+ (.*)\r\n/.exec(answerText(answer, '', 'GET'))!
      expect(problem).toEqual({ status, title, requestId: 'r1' })
      if (status !== 400) expect(detail).toMatch(/^[A-Z][a-z, ]+\.$/)
    })
  }

  test('whoever cannot be understood is told in which way', () => {
    for (const [status, title] of [
      [414, 'URI Too Long'],
      [417, 'Expectation Failed'],
      [421, 'Misdirected Request'],
      [431, 'Request Header Fields Too Large'],
      [501, 'Not Implemented'],
      [505, 'HTTP Version Not Supported'],
    ] as const) {
      const { body } = errorAnswer('bad-request', status, '', 'r1')
      expect(JSON.parse(body)).toMatchObject({ status, title })
    }
  })

  test('the whole answer', () => {
    const answer = errorAnswer('no-route', 0, '*/*', 'r1')
    expect(answerText(answer, 'close', 'GET')).toBe(
      'HTTP/1.1 404 Not Found\r\n' +
        'content-type: application/problem+json\r\nx-request-id: r1\r\n' +
        'content-length: 87\r\ncache-control: no-store\r\nconnection: close\r\n\r\n' +
        '{"status":404,"title":"Not Found","detail":"Nothing is served here.","requestId":"r1"}\n'.slice(
          0,
        ),
    )
  })

  test('HEAD has the same head and no body', () => {
    const answer = errorAnswer('no-route', 0, '', 'r1')
    const whole = answerText(answer, '', 'GET')
    expect(answerText(answer, '', 'HEAD') + answer.body).toBe(whole)
  })

  test('each can be read, and has the length it says', () => {
    for (const outcome of Object.keys(REFUSALS) as ExchangeOutcome[]) {
      for (const accept of ['', 'text/html']) {
        const answer = errorAnswer(outcome, 400, accept, 'r1')
        const [head = '', body = ''] = answerText(answer, 'keep-alive', 'GET').split('\r\n\r\n', 2)
        expect(responseFrom(...head.split('\r\n')).body).toBe(body.length)
        expect([...body].every((character) => character < '\x7f')).toBe(true)
      }
    }
  })

  test('proxy W45: nothing that is not a plain id gets into them', () => {
    for (const id of ['"', '<script>', '\\', '\r\nx: y', '']) {
      expect(JSON.parse(errorAnswer('no-route', 0, '', id).body)).not.toHaveProperty('requestId')
      const page = errorAnswer('no-route', 0, 'text/html', id)
      expect(page.body).not.toContain('<small>')
      expect(field(page, 'x-request-id')).toBeUndefined()
    }
  })

  test('proxy W45: an error says nothing of what is behind', () => {
    const text = Object.keys(REFUSALS).map(
      (each) => errorAnswer(each as ExchangeOutcome, 400, '', 'r1').body,
    )
    expect(text.join('')).not.toMatch(
      /backend|upstream|replica|route|listener|listening|\d\.\d|weir/i,
    )
  })
})

describe('the form of errors', () => {
  const HTML = [
    'text/html',
    'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
    'TEXT/HTML;level=1',
    'text/*, application/json;q=0.5',
    'application/json;q=0.1, text/html;q=0.2',
    'application/json;q=0, */*, text/html',
  ]
  const JSON_ = [
    '',
    '*/*',
    'application/json',
    'text/plain',
    'text/html;q=0',
    'text/html, application/json',
    'application/problem+json, text/html;q=0.9',
    'text/html;q=x',
    'application/*, text/html;q=0.5',
    ';;;,,,text/',
    `${'a/b,'.repeat(4000)}text/html`,
  ]
  for (const [type, accepts] of [
    ['text/html; charset=utf-8', HTML],
    ['application/problem+json', JSON_],
  ] as const) {
    for (const accept of accepts) {
      test(`${type} for ${JSON.stringify(accept.slice(0, 70))}`, () => {
        expect(field(errorAnswer('no-route', 0, accept, 'r1'), 'content-type')).toBe(type)
      })
    }
  }

  test('a page', () => {
    expect(errorAnswer('hold-timeout', 0, 'text/html', 'r1').body).toBe(
      '<!doctype html><html lang=en><meta charset=utf-8><title>503 Service Unavailable</title>' +
        '<h1>Service Unavailable</h1><p>The service is not ready, or busy.<p><small>r1</small>\n',
    )
  })
})

describe('redirects to https', () => {
  const locationOf = (...given: Parameters<typeof redirectAnswer>): string | undefined => {
    const answer = redirectAnswer(...given)
    return answer && field(answer, 'location')
  }

  test('keep host, path and query; 443 is not said', () => {
    expect(locationOf('Shop.Example:80', '/a/b', '?c=d', 443)).toBe('https://shop.example/a/b?c=d')
    expect(locationOf('shop.example', '/', '', 8443)).toBe('https://shop.example:8443/')
    expect(locationOf('[2001:DB8::1]:80', '/', '', 443)).toBe('https://[2001:db8::1]/')
    expect(locationOf('127.0.0.1', '/', '', 443)).toBe('https://127.0.0.1/')
    expect(locationOf('a_b.example.', '/', '', 443)).toBe('https://a_b.example/')
    expect(locationOf('shop.example', '//evil.example', '', 443)).toBe(
      'https://shop.example//evil.example',
    )
    expect(locationOf('shop.example', '*', '', 443)).toBe('https://shop.example/')
  })

  test('where nobody says which host, there is none', () => {
    for (const host of [
      '',
      ':80',
      'a b',
      'a@b',
      'a/b',
      '"',
      'a..b',
      '.a',
      '[x]',
      '[::1',
      'a\r\nb',
    ]) {
      expect([host, redirectAnswer(host, '/', '', 443)]).toEqual([host, undefined])
    }
  })

  test('the whole answer', () => {
    expect(answerText(redirectAnswer('shop.example', '/', '', 443)!, '', 'POST')).toBe(
      'HTTP/1.1 308 Permanent Redirect\r\nlocation: https://shop.example/\r\n' +
        'content-length: 0\r\ncache-control: no-store\r\n\r\n',
    )
  })
})

test('a challenge of ACME is answered as plain text', () => {
  expect(answerText(challengeAnswer('token.thumbprint'), 'keep-alive', 'GET')).toBe(
    'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 16\r\n' +
      'cache-control: no-store\r\nconnection: keep-alive\r\n\r\ntoken.thumbprint',
  )
})
