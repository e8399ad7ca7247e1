import { describe, expect, test } from 'vitest'
import { routeLines } from '../../../../shells/cli/screen/routes.ts'
import { widthOf } from '../../../../shells/cli/screen/width.ts'
import { routeView } from '../sample-view.ts'

const PLAIN = { colour: false }

const MANY = [
  routeView('web', { address: '0.0.0.0:80', port: 80, host: 'a.example.com', redirectTo: 443 }),
  routeView('web', { address: '[::]:80', port: 80, host: 'a.example.com', redirectTo: 443 }),
  routeView('web', { address: '0.0.0.0:443', port: 443, host: 'a.example.com', tls: true }),
  routeView('api', {
    address: '0.0.0.0:443',
    port: 443,
    host: '*.example.com',
    path: '/api',
    tls: true,
    stripPrefix: true,
    ready: 1,
  }),
  routeView('jobs', { state: 'asleep', backends: 0, ready: 0 }),
  routeView('cold', { path: '/cold', state: 'waking', backends: 0, ready: 0, stripPrefix: true }),
  routeView('down', { path: '/down', state: 'no-backend', backends: 1, ready: 0 }),
]

describe('routes as a table', () => {
  test('where requests go, what is done to them, and whether somebody takes them', () => {
    expect(routeLines(MANY, PLAIN)).toEqual([
      'ADDRESS             SCHEME  HOST           PATH   SERVICE  ENDPOINT  REQUESTS GO         BACKENDS  STATE',
      '0.0.0.0:80 [::]:80  http    a.example.com  /      web      http      to https, port 443            redirects',
      '0.0.0.0:443         https   a.example.com  /      web      http                                 2  serving',
      '0.0.0.0:443         https   *.example.com  /api   api      http      without /api             1/2  serving',
      '127.0.0.1:8080      http    (any)          /      jobs     http                                 0  asleep',
      '127.0.0.1:8080      http    (any)          /cold  cold     http      without /cold              0  waking',
      '127.0.0.1:8080      http    (any)          /down  down     http                               0/1  no-backend',
    ])
  })

  test('two addresses that differ in more stay two lines', () => {
    const rows = [routeView('web'), routeView('web', { address: '[::1]:8080', state: 'waking' })]
    expect(routeLines(rows, PLAIN)).toHaveLength(3)
  })

  test('a service name that two deployments use is shown in full', () => {
    const rows = [routeView('web', { path: '/a' }), routeView('web', { deployment: 'shop' })]
    const lines = routeLines(rows, PLAIN)
    expect(lines[1]).toContain(' hello/web ')
    expect(lines[2]).toContain(' shop/web ')
  })

  test('no line is wider than the terminal', () => {
    for (const line of routeLines(MANY, { ...PLAIN, width: 70 })) {
      expect(widthOf(line)).toBeLessThanOrEqual(70)
    }
  })

  test('colours tell what serves, what does not and what is on its way', () => {
    const state = (index: number) => routeLines(MANY, { colour: true })[index + 1]
    expect(state(2)).toContain('\x1b[32mserving\x1b[39m')
    expect(state(3)).toContain('\x1b[2masleep\x1b[22m')
    expect(state(4)).toContain('\x1b[33mwaking\x1b[39m')
    expect(state(5)).toContain('\x1b[31mno-backend\x1b[39m')
  })
})
