/** The checks that single endpoints have of their own. */
import { describe, expect, test } from 'vitest'
import type { UdpHealthSpec, UdpSpec } from '../../../../core/spec/deployment.ts'
import {
  deploymentOf,
  endpointOf,
  failing,
  ObedientShell,
  serviceOf,
  udpEndpointOf,
} from '../obedient-shell.ts'
import { DNS_TCP, deployed, redeploy, setsOf } from './dns-samples.ts'
import { fixed, typed, typesOf } from './samples.ts'

const PROBE: UdpHealthSpec = {
  type: 'udp_probe',
  request: 'ping\\x00',
  expect: 'pong',
  intervalMs: 5_000,
  timeoutMs: 2_000,
}
const CONNECT: UdpHealthSpec = { type: 'tcp_connect', intervalMs: 5_000, timeoutMs: 2_000 }

describe('checks of an endpoint', () => {
  const both = (udp: Partial<UdpSpec>, balance = { rise: 1, fall: 3 }) => [
    udpEndpointOf(udp, { balance: { strategy: 'hrw', failOpen: true, ...balance } }),
    DNS_TCP,
  ]

  test('each has an identity, a target and an interval of its own', () => {
    const shell = deployed(both({ health: [PROBE, CONNECT] }), { replicas: 1 })
    const [created] = typed(shell.commands, 'create-replica')
    const port = created!.program.ports.dns
    const tcp = { type: 'tcp', host: '127.0.0.1', port }
    expect(typed(shell.commands, 'probe')).toMatchObject([
      { check: 'main', attempt: 1, target: tcp, timeoutMs: 5_000 },
      {
        check: 'dns/udp_probe',
        attempt: 1,
        target: {
          type: 'udp',
          host: '127.0.0.1',
          port,
          request: '70696e6700',
          expect: '706f6e67',
        },
        timeoutMs: 2_000,
      },
      { check: 'dns/tcp_connect', attempt: 1, target: tcp, timeoutMs: 2_000 },
    ])
    const later = typed(shell.pass(5_000), 'probe').map(({ check }) => check)
    expect(later).toEqual(['dns/udp_probe', 'dns/tcp_connect'])
  })

  test('a replica takes no traffic anywhere before all of them have passed', () => {
    const shell = new ObedientShell().boot()
    shell.answer = failing('dns/udp_probe', 'no answer')
    redeploy(shell, both({ health: [PROBE] }))
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual([])
    expect(shell.service('dns')).toMatchObject({
      state: 'unhealthy',
      detail: 'dns-1 fails udp_probe at dns: no answer',
    })
    shell.answer = () => undefined
    shell.pass(300)
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(shell.service('dns')).toMatchObject({ state: 'healthy', detail: '' })
  })

  test('udp W22: a silent udp service beside an open tcp port goes down there, and only there', () => {
    const shell = deployed(both({ health: [PROBE, CONNECT] }))
    const isFirst = (id: string) => id.includes('/1#')
    shell.answer = failing('dns/udp_probe', 'no answer within 2s', isFirst)
    const commands = shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2', 'dns-tcp: 1 2'])
    expect(shell.service('dns')).toMatchObject({
      state: 'degraded',
      detail: 'dns-1 fails udp_probe at dns: no answer within 2s',
    })
    expect(typed(commands, 'settled')).toMatchObject([
      {
        outcome: 'failed',
        problems: ['dns: dns-1 fails udp_probe at dns: no answer within 2s'],
      },
    ])
    const [first] = shell.machine.view(shell.now).replicas
    expect(first).toMatchObject({ state: 'ready', health: 'unhealthy' })
    expect(typed(commands, 'notice').map((each) => each.text)).toEqual([
      'dns-1 is down at dns: no answer within 2s',
    ])

    shell.answer = () => undefined
    const after = shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(typed(after, 'notice').map((each) => each.text)).toEqual(['dns-1 is up again at dns'])
    expect(shell.service('dns').state).toBe('healthy')
  })

  test('udp W22: a service without a tcp port comes up again', () => {
    const shell = deployed([udpEndpointOf({ health: [PROBE] })])
    shell.answer = failing('dns/udp_probe', 'connection refused')
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!'])
    expect(shell.service('dns').state).toBe('unhealthy')
    shell.answer = () => undefined
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2'])
  })

  test('udp W22: checks that are taken out of the file leave no verdict behind', () => {
    const shell = deployed(both({ health: [PROBE] }))
    shell.answer = failing('dns/udp_probe', 'no answer')
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!', 'dns-tcp: 1 2'])
    const commands = redeploy(shell, both({}))
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(typesOf(commands)).not.toContain('signal-replica')
    expect(shell.service('dns')).toMatchObject({ state: 'healthy', detail: '' })
    expect(typed(shell.pass(20_000), 'probe').every(({ check }) => check === 'main')).toBe(true)
  })

  test('checks that a file adds begin with what runs, and are passed before it is ready again', () => {
    const shell = deployed(both({}))
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    const commands = redeploy(shell, both({ health: [PROBE] }))
    expect(typed(commands, 'probe').map(({ check }) => check)).toEqual([
      'dns/udp_probe',
      'dns/udp_probe',
    ])
    expect(typesOf(commands)).not.toContain('settled')
    expect(setsOf(shell)).toEqual(['dns: 1 2', 'dns-tcp: 1 2'])
    expect(shell.service('dns').state).toBe('updating')
    shell.answer = () => undefined
    expect(typed(shell.pass(4_000), 'settled')).toMatchObject([{ outcome: 'ready' }])
  })

  test('an answer to a check that was taken away and came back is stale', () => {
    const shell = deployed([udpEndpointOf({ health: [PROBE] })], { replicas: 1 })
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    const [asked] = typed(shell.pass(5_000), 'probe')
    expect(typed(redeploy(shell, [udpEndpointOf()], 1), 'cancel-probe')).toEqual([
      {
        type: 'cancel-probe',
        replica: asked!.replica,
        check: 'dns/udp_probe',
        attempt: asked!.attempt,
      },
    ])
    const [again] = typed(redeploy(shell, [udpEndpointOf({ health: [PROBE] })], 1), 'probe')
    expect(again!.attempt).toBeGreaterThan(asked!.attempt)
    const { replica, check } = again!
    const stale = { type: 'probe-result', replica, check, ok: true, reason: '' } as const
    expect(shell.feed({ ...stale, attempt: asked!.attempt })).toEqual([])
    expect(typesOf(shell.feed({ ...stale, attempt: again!.attempt }))).toEqual(['settled'])
  })

  test('an answer counts for its own check, whatever attempts the others are at', () => {
    const shell = deployed(both({ health: [PROBE, CONNECT] }, { rise: 1, fall: 1 }), {
      replicas: 1,
    })
    shell.answer = (command) => (command.type === 'probe' ? [] : undefined)
    const asked = typed(shell.pass(5_000), 'probe')
    const [probe, connect] = asked
    expect(probe!.attempt).toBe(connect!.attempt)
    const { replica, check, attempt } = probe!
    shell.feed({ type: 'probe-result', replica, check, attempt, ok: false, reason: 'no answer' })
    const { check: other } = connect!
    shell.feed({ type: 'probe-result', replica, check: other, attempt, ok: true, reason: '' })
    expect(setsOf(shell)).toEqual(['dns: 1!', 'dns-tcp: 1'])
  })

  test('udp 8: rise 2, fall 3: two failures keep it up, one success keeps it down', () => {
    const shell = deployed([
      udpEndpointOf(
        { health: [PROBE] },
        { balance: { strategy: 'hrw', rise: 2, fall: 3, failOpen: true } },
      ),
    ])
    const down = failing('dns/udp_probe', 'no answer')
    shell.answer = down
    shell.pass(10_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2'])
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!'])
    shell.answer = () => undefined
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1! 2!'])
    shell.pass(5_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2'])
  })

  test('a datagram that did not get through brings the checks of its endpoint forward', () => {
    const shell = deployed([
      udpEndpointOf({ health: [PROBE] }),
      udpEndpointOf({ health: [PROBE] }, { name: 'other', port: 54 }),
    ])
    const [listener] = shell.applied.keys()
    const [backend] = shell.alive
    const reason = 'connection refused'
    const commands = shell.feed({
      type: 'backend-failed',
      listener: listener!,
      backend: backend!,
      reason,
    })
    expect(typed(commands, 'probe').map(({ check }) => check)).toEqual(['dns/udp_probe'])
  })

  test('a tcp endpoint may have a check of its own too', () => {
    const stream = { ...DNS_TCP.stream, healthCheck: { type: 'tcp_connect' } as const }
    const shell = deployed([{ ...DNS_TCP, stream }, endpointOf()])
    shell.answer = failing('dns-tcp/tcp_connect', 'connection refused', (id) => id.includes('/1#'))
    shell.pass(20_000)
    expect(setsOf(shell)).toEqual(['dns-tcp: 1! 2', 'http: 1 2'])
  })

  test('an unhealthy replica is down at every endpoint, and leaves the sets when it is stopped', () => {
    const shell = deployed(both({}))
    shell.answer = failing('main', 'connection refused', (id) => id.includes('/2#'))
    shell.pass(60_000)
    expect(setsOf(shell)).toEqual(['dns: 1 2!', 'dns-tcp: 1 2!'])
    shell.scale('dns', 1)
    expect(setsOf(shell)).toEqual(['dns: 1', 'dns-tcp: 1'])
  })

  test('an update goes on only with replicas that pass the checks of their endpoints', () => {
    const web = (version: string) =>
      deploymentOf({
        dns: serviceOf({
          endpoints: both({ health: [PROBE] }),
          scale: fixed(2),
          env: { VERSION: version },
        }),
      })
    const shell = new ObedientShell().boot()
    shell.deploy(web('1'))
    const old = new Set<string>(shell.alive)
    shell.answer = failing('dns/udp_probe', 'no answer', (id) => !old.has(id))
    shell.deploy(web('2'))
    shell.pass(120_000)
    expect([...shell.alive].filter((id) => old.has(id))).toHaveLength(2)
    shell.answer = () => undefined
    shell.pass(120_000)
    expect([...shell.alive].filter((id) => old.has(id))).toHaveLength(0)
    expect(shell.service('dns').state).toBe('healthy')
  })

  test('one that goes down after it was ready does not stand for an old one', () => {
    const update = {
      surgeMax: 1,
      unavailableMax: 0,
      readyMinMs: 20_000,
      onFailure: 'pause',
    } as const
    const web = (version: string) =>
      deploymentOf({
        dns: serviceOf({
          endpoints: both({ health: [PROBE] }),
          scale: fixed(2),
          env: { VERSION: version },
          update,
        }),
      })
    const shell = new ObedientShell().boot()
    shell.deploy(web('1'))
    const old = new Set<string>(shell.alive)
    shell.deploy(web('2'))
    shell.answer = failing('dns/udp_probe', 'no answer', (id) => !old.has(id))
    shell.pass(120_000)
    expect([...shell.alive].filter((id) => old.has(id))).toHaveLength(2)
    expect(setsOf(shell)).toEqual(['dns: 1 2 3!', 'dns-tcp: 1 2 3'])
  })
})
