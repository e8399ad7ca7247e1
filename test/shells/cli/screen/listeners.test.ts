import { describe, expect, test } from 'vitest'
import type { ListenerId } from '../../../../core/services/identity.ts'
import { listenerLines } from '../../../../shells/cli/screen/listeners.ts'
import { widthOf } from '../../../../shells/cli/screen/width.ts'
import type { ListenerRow } from '../../../../shells/node/operator/api.ts'
import { listenerRow } from '../sample-view.ts'

const PLAIN = { colour: false }

const TCP: Partial<ListenerRow> = {
  endpoint: 'redis',
  protocol: 'tcp',
  purpose: 'public',
  listener: 'hello/cache/redis' as ListenerId,
  connections: 12,
}

const udp = (address: string, flows: number, over: Partial<ListenerRow> = {}): ListenerRow =>
  listenerRow('dns', {
    endpoint: 'dns',
    protocol: 'udp',
    purpose: 'public',
    listener: `hello/dns/dns ${address}` as ListenerId,
    address,
    flows,
    ...over,
  })

const IDLE: Partial<ListenerRow> = { state: 'idle', backends: 0, members: [], connections: 0 }

const OWN: ListenerRow = {
  deployment: '',
  service: '',
  endpoint: 'metrics',
  protocol: 'http',
  purpose: 'metrics',
  tls: false,
  address: '127.0.0.1:9464',
  state: 'serving',
  backends: 0,
  members: [],
  connections: 0,
  requests: 0,
  flows: 0,
  detail: '',
}

const MANY: readonly ListenerRow[] = [
  listenerRow('cache', { ...TCP, address: '0.0.0.0:6379' }),
  listenerRow('cache', { ...TCP, ...IDLE, address: '[::]:6379', state: 'absent', connections: 12 }),
  listenerRow('cache', {
    ...TCP,
    ...IDLE,
    endpoint: 'mapping 6379 tcp',
    purpose: 'mapping',
    listener: 'hello/cache/mapping 6379 tcp' as ListenerId,
    address: '0.0.0.0:0',
  }),
  udp('0.0.0.0:53', 3),
  udp('[::]:53', 1, { state: 'waiting', detail: 'waits until [::]:53 of shop/dns is closed' }),
  listenerRow('web', {
    listener: 'hello/web/http' as ListenerId,
    state: 'closing',
    requests: 1,
  }),
  OWN,
]

describe('sockets as a table', () => {
  test('what is there, what is not and why; what goes through once for all sockets of a listener', () => {
    expect(listenerLines(MANY, PLAIN)).toEqual([
      'SERVICE  ENDPOINT  PROTOCOL  PURPOSE   ADDRESS         STATE    BACKENDS     LIVE  DETAIL',
      'cache    redis     tcp       public    0.0.0.0:6379    serving         2       12',
      'cache    redis     tcp       public    [::]:6379       absent          0           this machine has no such address',
      'cache    6379/tcp  tcp       mapping   0.0.0.0:(any)   idle            0        0  not bound until a replica is ready',
      'dns      dns       udp       public    0.0.0.0:53      serving         2  3 flows',
      'dns      dns       udp       public    [::]:53         waiting         2   1 flow  waits until [::]:53 of shop/dns is closed',
      'web      http      http      internal  127.0.0.1:8080  closing         2        1',
      '(node)   metrics   http      metrics   127.0.0.1:9464  serving',
    ])
  })

  test('what goes through is said where more may come in', () => {
    const rows = [
      listenerRow('web', { state: 'retrying', requests: 7 }),
      listenerRow('web', { address: '[::1]:8080', requests: 7 }),
    ]
    const lines = listenerLines(rows, PLAIN)
    expect(lines.slice(1)).toEqual([
      expect.stringMatching(/retrying +2$/),
      expect.stringMatching(/serving +2 +7$/),
    ])
  })

  test('a replica that is down is told from one that takes traffic', () => {
    const members = listenerRow('web').members.map((each, index) => ({ ...each, isUp: index > 0 }))
    expect(listenerLines([listenerRow('web', { members })], PLAIN)[1]).toMatch(/serving +1\/2 +0$/)
  })

  test('who is asked for by TLS is told from others at the same port by its name', () => {
    const at = (name: string, over: Partial<ListenerRow>) =>
      listenerRow(name, { ...TCP, tls: true, address: '0.0.0.0:443', connections: 0, ...over })
    const rows = [
      at('db', { serverName: 'db.test', listener: 'hello/db/redis' as ListenerId }),
      at('web', { protocol: 'https', endpoint: 'http', serverName: '*.w.test' }),
      at('rest', { listener: 'hello/rest/redis' as ListenerId }),
      listenerRow('plain', { listener: 'hello/plain/http' as ListenerId }),
    ]
    expect(listenerLines(rows, PLAIN)).toEqual([
      'SERVICE  ENDPOINT  PROTOCOL  PURPOSE   ADDRESS         HOST      STATE    BACKENDS  LIVE',
      'db       redis     tls       public    0.0.0.0:443     db.test   serving         2     0',
      'web      http      https     public    0.0.0.0:443     *.w.test  serving         2     0',
      'rest     redis     tls       public    0.0.0.0:443     (any)     serving         2     0',
      'plain    http      http      internal  127.0.0.1:8080            serving         2     0',
    ])
  })

  test('a service name that two deployments use is shown in full', () => {
    const lines = listenerLines(
      [listenerRow('web'), listenerRow('web', { deployment: 'shop' })],
      PLAIN,
    )
    expect(lines.slice(1).map((line) => line.split(' ')[0])).toEqual(['hello/web', 'shop/web'])
  })

  test('colours tell at a glance what serves, what is in trouble and what is not there', () => {
    const one = (state: ListenerRow['state']) =>
      listenerLines([listenerRow('web', { state })], { colour: true })[1]
    expect(one('serving')).toContain('  127.0.0.1:8080  \x1b[32mserving\x1b[39m')
    expect(one('listening')).toContain('  127.0.0.1:8080  \x1b[33mlistening\x1b[39m')
    expect(one('retrying')).toContain('  127.0.0.1:8080  \x1b[31mretrying\x1b[39m')
    // nobody need be behind one of the node's own
    expect(listenerLines([OWN], { colour: true })[1]).toContain('\x1b[32mserving\x1b[39m')
    for (const state of ['idle', 'absent', 'closing'] as const) {
      expect(one(state)).toContain(`\x1b[2m127.0.0.1:8080\x1b[22m  \x1b[2m${state}\x1b[22m`)
    }
  })
})

describe('in a terminal that is too narrow for the details', () => {
  const taken = listenerRow('web', {
    state: 'retrying',
    detail: 'address already in use, by nginx (pid 71); tried again in 3s',
  })

  test('they stand below, in full: who has the port is never cut', () => {
    const rows = [taken, listenerRow('db', { listener: 'hello/db/http' as ListenerId, ...IDLE })]
    const lines = listenerLines(rows, { ...PLAIN, width: 84 })
    expect(lines).toEqual([
      'SERVICE  ENDPOINT  PROTOCOL  PURPOSE   ADDRESS         STATE     BACKENDS  LIVE',
      'web      http      http      internal  127.0.0.1:8080  retrying         2     0',
      'db       http      http      internal  127.0.0.1:8080  idle             0     0',
      '',
      '127.0.0.1:8080 (web http): address already in use, by nginx (pid 71); tried again in 3s',
    ])
  })

  test('the table itself fits', () => {
    for (const line of listenerLines(MANY, { ...PLAIN, width: 60 }).slice(0, MANY.length + 1)) {
      expect(widthOf(line)).toBeLessThanOrEqual(60)
    }
  })

  test('what is as it should be needs no line', () => {
    const absent: Partial<ListenerRow> = { ...IDLE, state: 'absent', detail: 'EADDRNOTAVAIL' }
    const draining: Partial<ListenerRow> = { ...IDLE, detail: 'takes nothing new' }
    for (const over of [IDLE, absent, draining]) {
      expect(listenerLines([listenerRow('web', over)], { ...PLAIN, width: 80 })).toHaveLength(2)
    }
  })

  test('control characters of a detail do not reach the terminal', () => {
    const evil = listenerRow('web', { state: 'retrying', detail: 'by \x1b[2Jevil\nprogram' })
    expect(listenerLines([evil], { ...PLAIN, width: 84 }).at(-1)).toBe(
      '127.0.0.1:8080 (web http): by evil program',
    )
  })
})
