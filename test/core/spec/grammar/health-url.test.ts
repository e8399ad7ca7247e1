import { expect, test } from 'vitest'
import { formatHealthUrl, parseHealthUrl } from '../../../../core/spec/grammar/health-url.ts'

const GOOD: readonly [string, ReturnType<typeof parseHealthUrl>][] = [
  ['http://localhost', { scheme: 'http', host: 'localhost', target: '/' }],
  ['http://localhost/healthz', { scheme: 'http', host: 'localhost', target: '/healthz' }],
  ['http://localhost:8080/', { scheme: 'http', host: 'localhost', port: 8080, target: '/' }],
  ['https://a.example.com?x=1', { scheme: 'https', host: 'a.example.com', target: '/?x=1' }],
  ['http://[::1]:80/a', { scheme: 'http', host: '[::1]', port: 80, target: '/a' }],
]
for (const [text, url] of GOOD) {
  test(`${text} is understood, and written the same way`, () => {
    expect(parseHealthUrl(text)).toEqual(url)
    expect(parseHealthUrl(formatHealthUrl(url!))).toEqual(url)
  })
}

const BAD = [
  '',
  'localhost/healthz',
  '/healthz',
  'ftp://localhost/',
  'http://',
  'http://user@localhost/',
  'http://localhost:0/',
  'http://localhost:65536/',
  'http://localhost/#top',
  'http://localhost/a b',
  'http://localhost/a\r\nX: y',
  'http://::1/',
]
for (const text of BAD) {
  test(`${JSON.stringify(text)} is none`, () => expect(parseHealthUrl(text)).toBeUndefined())
}
