import { describe, expect, test } from 'vitest'
import type { NodeView, ReplicaView } from '../../../../core/node/view.ts'
import {
  durationText,
  namesAmong,
  replicaLines,
  serviceLines,
  serviceNames,
  statusLines,
  waitingFor,
  waitingText,
} from '../../../../shells/cli/screen/describe.ts'
import { replica, SAMPLE_VIEW, service } from '../sample-view.ts'

const PLAIN = { colour: false }

describe('a view as tables', () => {
  test('services', () => {
    expect(serviceLines(SAMPLE_VIEW, PLAIN)).toEqual([
      'SERVICE  READY  STATE     RESTARTS  ENDPOINTS              DETAIL',
      'db         1/1  starting         0                         waiting for its first check',
      'web        2/2  healthy          3  http://127.0.0.1:8080',
    ])
  })

  test('replicas', () => {
    expect(replicaLines(SAMPLE_VIEW, PLAIN)).toEqual([
      'REPLICA  STATE     HEALTH   PID  ADDRESS          RESTARTS    AGE',
      'db-1     checking  unknown  101  127.0.0.1:20001         0  1m05s',
      'web-1    ready     healthy  101  127.0.0.1:20001         0  1m05s',
      'web-2    ready     healthy  102  127.0.0.1:20002         3  1h02m',
    ])
  })

  test('a replica with a role, several endpoints and no process yet', () => {
    const { pid: _, ageMs: __, ...created } = replica('db', 1)
    const addresses = { http: '127.0.0.1:20001', admin: '127.0.0.1:20002' }
    const view = {
      ...SAMPLE_VIEW,
      replicas: [{ ...created, role: 'primary', addresses, detail: 'in back-off' }],
    }
    expect(replicaLines(view, PLAIN)).toEqual([
      'REPLICA  ROLE     STATE  HEALTH   ADDRESS                                     RESTARTS  DETAIL',
      'db-1     primary  ready  healthy  http=127.0.0.1:20001 admin=127.0.0.1:20002         0  in back-off',
    ])
  })

  test('the status has a line for each endpoint, with the address that is listened on', () => {
    const endpoints = ['http://0.0.0.0:8080', 'tcp://[::]:6379', 'tcp://0.0.0.0:0']
    const view = { ...SAMPLE_VIEW, services: [service('db'), service('web', { endpoints })] }
    expect(statusLines(view, PLAIN)).toEqual([
      'SERVICE  READY  STATE    RESTARTS  ENDPOINTS',
      'db         1/1  healthy         0',
      'web        1/1  healthy         0  http://0.0.0.0:8080',
      '                                   tcp://[::]:6379',
      '                                   tcp://0.0.0.0 (no port)',
    ])
  })

  test('the live table has one for each service, with addresses to open', () => {
    const endpoints = ['http://0.0.0.0:8080', 'tcp://[::]:6379', 'tcp://0.0.0.0:0']
    const view = { ...SAMPLE_VIEW, services: [service('web', { endpoints })] }
    expect(serviceLines(view, PLAIN)[1]).toBe(
      'web        1/1  healthy         0  http://127.0.0.1:8080 tcp://[::1]:6379 tcp://127.0.0.1 (no port)',
    )
  })

  test('a service name that two deployments use is shown in full', () => {
    const name = serviceNames({
      services: [service('web'), service('web', { deployment: 'shop' }), service('db')],
    })
    expect(name({ deployment: 'shop', service: 'web' })).toBe('shop/web')
    expect(name({ deployment: 'hello', service: 'db' })).toBe('db')
  })
})

test('rows of one service leave it its short name', () => {
  const web = { deployment: 'hello', service: 'web' }
  expect(namesAmong([web, { ...web }])(web)).toBe('web')
  expect(namesAmong([web, { deployment: 'shop', service: 'web' }])(web)).toBe('hello/web')
})

describe('phrases', () => {
  const rows: readonly [ms: number, text: string][] = [
    [-5, '0s'],
    [999, '0s'],
    [59_999, '59s'],
    [60_000, '1m00s'],
    [3_599_000, '59m59s'],
    [3_600_000, '1h00m'],
    [86_399_000, '23h59m'],
    [86_400_000, '1d00h'],
    [9_000_000_000, '104d04h'],
  ]
  for (const [ms, text] of rows) test(`${ms} ms`, () => expect(durationText(ms)).toBe(text))

  test('who is waited for, with the time they have at most', () => {
    const replicas = [
      replica('web', 1, { state: 'draining', limitMs: 27_400 }),
      replica('web', 2, { state: 'stopping' }),
      ...[3, 4, 5].map((number) => replica('web', number)),
    ]
    expect(waitingFor({ ...SAMPLE_VIEW, replicas })).toBe(
      'web-1 (draining, at most 27s), web-2 (stopping), web-3 (ready), web-4 (ready) and 1 more',
    )
  })
})

describe('what a deployment is waited for', () => {
  const LEAVING = replica('web', 1, { state: 'draining', limitMs: 17_400 })
  const OTHER = { deployment: 'shop', service: 'pay', id: 'shop/pay/1#1' as ReplicaView['id'] }
  const rows: readonly [text: string, view: Partial<NodeView>][] = [
    [
      'waiting for hello: db-1 (checking)',
      { replicas: [replica('db', 1, { state: 'checking', health: 'unknown' }), replica('web', 1)] },
    ],
    [
      'waiting for hello: web-1 (draining, at most 17s), web-3 (ready, unhealthy), db (waiting)',
      {
        replicas: [
          LEAVING,
          replica('web', 2),
          replica('web', 3, { health: 'unhealthy' }),
          { ...LEAVING, ...OTHER },
        ],
        services: [service('db', { state: 'waiting' }), service('web', { state: 'updating' })],
      },
    ],
    [
      'waiting for hello: db (stopping)',
      {
        replicas: [replica('db', 1)],
        services: [
          service('db', { state: 'stopping' }),
          service('job', { state: 'idle' }),
          service('pay', { deployment: 'shop', state: 'failed' }),
        ],
      },
    ],
    ['waiting for hello', { replicas: [], services: [] }],
  ]
  for (const [text, over] of rows) {
    test(text, () => expect(waitingText({ ...SAMPLE_VIEW, ...over }, 'hello')).toBe(text))
  }
})
